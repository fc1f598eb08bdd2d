"""
When a request was asked: the gateway notes it, so that work nobody waits for any more is not started.

Called by routes whose work is worth refusing. Never trusts another clock far: an answer
that makes no sense is "just now".
"""

from collections.abc import Mapping
from typing import Final

WAITED_MS_MAX: Final = 60_000
"""Nothing waits longer between the gateway and a room; a clock that says so is wrong."""
_HEADER: Final = "X-Request-Start"


def waited_ms(headers: Mapping[str, str], now_ms: int) -> int:
    """
    How long the request has been on its way from the gateway (`X-Request-Start: t=<seconds since 1970>`); 0 if unknown.
    """
    noted = headers.get(_HEADER)
    if noted is None:
        return 0
    try:
        waited = now_ms - int(float(noted.removeprefix("t=")) * 1000)
    except (ValueError, OverflowError):
        return 0
    return waited if 0 < waited <= WAITED_MS_MAX else 0
