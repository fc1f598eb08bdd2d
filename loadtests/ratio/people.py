"""
Requests spelled out as bytes before a round, each by an account of its own where that matters.

Called by scenarios. Passes and tokens are issued here with the stack's own keys, as
identity would issue them; quota cannot tell the difference. Families are of one person.
"""

import itertools
from collections.abc import Sequence
from typing import Final, NamedTuple

from kernel.auth.passes import PassKeys
from kernel.auth.tokens import TokenSigner
from kernel.clock import now_ms

GOOD_FOR_SECONDS: Final = 3600
_HOST: Final = "Host: 127.0.0.1\r\n"
_RESERVE: Final = (
    "POST /v1/reservations HTTP/1.1\r\n"
    + _HOST
    + "Content-Type: application/json\r\nContent-Length: {length}\r\nAuthorization: {who}\r\n"
    "Idempotency-Key: ratio-{number:012d}\r\n\r\n{body}"
)
_LOOK: Final = f"GET /v1/reservations/rsv_{0:032x} HTTP/1.1\r\n{_HOST}Authorization: {{who}}\r\n\r\n"


class Asked(NamedTuple):
    """
    Reservations, and for each a look with the same token that makes the worker remember it.
    """

    reservations: list[bytes]
    looks: list[bytes]


class People:
    """
    An endless row of accounts; nobody is asked for twice.
    """

    def __init__(self, passes: PassKeys, tokens: TokenSigner) -> None:
        self._passes = passes
        self._tokens = tokens
        self._numbers = itertools.count(1)

    def with_passes(self, slots: Sequence[str], count: int) -> list[bytes]:
        """
        `count` requests by as many accounts over all `slots` in turn.
        """
        expires_at_ms = now_ms() + GOOD_FOR_SECONDS * 1000
        requests = []
        for slot_id, number in zip(itertools.cycle(slots), itertools.islice(self._numbers, count), strict=False):
            account_id, person_id = _ids(number)
            issued = self._passes.issue(account_id=account_id, person_ids=(person_id,), expires_at_ms=expires_at_ms)
            requests.append(_reservation(f"Pass {issued}", number, slot_id, person_id))
        return requests

    def with_tokens(self, slots: Sequence[str], count: int) -> Asked:
        """
        The same with a JWT of each account's own.
        """
        asked = Asked([], [])
        for slot_id, number in zip(itertools.cycle(slots), itertools.islice(self._numbers, count), strict=False):
            account_id, person_id = _ids(number)
            token = self._tokens.issue(
                account_id=account_id,
                person_ids=(person_id,),
                roles=(),
                now_ms=now_ms(),
                ttl_seconds=GOOD_FOR_SECONDS,
            )
            asked.reservations.append(_reservation(f"Bearer {token}", number, slot_id, person_id))
            asked.looks.append(_LOOK.format(who=f"Bearer {token}").encode())
        return asked


def _ids(number: int) -> tuple[str, str]:
    return f"acc_{number:032x}", f"per_{number:032x}"


def _reservation(who: str, number: int, slot_id: str, person_id: str) -> bytes:
    body = f'{{"slot_id":"{slot_id}","person_ids":["{person_id}"]}}'
    return _RESERVE.format(length=len(body), who=who, number=number, body=body).encode()
