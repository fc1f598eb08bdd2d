"""
Who asks, and when: families with passes as requests spelled out in bytes, and due times drawn from a seed.

Called by scenarios before the clock starts. Passes are issued here with the stack's own
keys, as identity would issue them; quota cannot tell the difference. No account asks twice
unless a scenario sends the same bytes again.
"""

import itertools
import random
from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from kernel.auth.passes import PassKeys
from kernel.clock import now_ms

GOOD_FOR_SECONDS: Final = 3600
FAMILY_MAX: Final = 5
FIRST_NUMBER: Final = 1 << 100
"""Far from the accounts of other benches on the same stores."""
_RESERVE: Final = (
    "POST /v1/reservations HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    "Content-Length: {length}\r\nAuthorization: Pass {issued}\r\nIdempotency-Key: bench-{number:x}\r\n\r\n{body}"
)
_LOOK: Final = "GET /v1/offices/{office_id}/availability HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


class Families:
    """
    An endless row of families; each asks once.
    """

    def __init__(self, passes: PassKeys) -> None:
        self._passes = passes
        self._numbers = itertools.count(FIRST_NUMBER)

    def ask(self, slot_id: str, persons: int) -> bytes:
        """
        The next family's request.
        """
        number = next(self._numbers)
        account_id = f"acc_{number:032x}"
        person_ids = tuple(f"per_{number:032x}{nth}" for nth in range(persons))
        expires_at_ms = now_ms() + GOOD_FOR_SECONDS * 1000
        issued = self._passes.issue(account_id=account_id, person_ids=person_ids, expires_at_ms=expires_at_ms)
        named = '","'.join(person_ids)
        body = f'{{"slot_id":"{slot_id}","person_ids":["{named}"]}}'
        return _RESERVE.format(length=len(body), issued=issued, number=number, body=body).encode()

    def filling(self, places: Iterable[tuple[str, int]], *, family_max: int, dice: random.Random) -> list[bytes]:
        """
        Requests that together take every place of these slots exactly, in an order drawn by lot.
        """
        asks = [self.ask(slot_id, size) for slot_id, free in places for size in _sizes(free, family_max, dice)]
        dice.shuffle(asks)
        return asks


def _sizes(places: int, family_max: int, dice: random.Random) -> Iterator[int]:
    while places > 0:
        size = min(places, dice.randint(1, family_max))
        places -= size
        yield size


def look(office_id: str) -> bytes:
    """
    A request for what is free in an office.
    """
    return _LOOK.format(office_id=office_id).encode()


def poisson(rate: float, seconds: float, *, dice: random.Random) -> Sequence[float]:
    """
    Due times of people who do not know of each other: `rate` a second on average.
    """
    dues, at = array("d"), dice.expovariate(rate)
    while at < seconds:
        dues.append(at)
        at += dice.expovariate(rate)
    return dues


def rush(count: int, seconds: float, *, dice: random.Random) -> Sequence[float]:
    """
    Due times of an opening: most come in its first moments, everybody within `seconds`.
    """
    return array("d", sorted(min(dice.expovariate(4 / seconds), seconds) for _ in range(count)))
