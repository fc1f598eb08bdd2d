"""
The only place that reads the machine's clock.

Called by wiring, which hands the answer down as `now_ms`; domains never call it.
Decisions take their time from the server that decides (Valkey, Postgres) instead.
"""

import time
from collections.abc import Callable

NowMs = Callable[[], int]


def now_ms() -> int:
    """
    Milliseconds since 1970 UTC.
    """
    return time.time_ns() // 1_000_000
