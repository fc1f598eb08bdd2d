"""
Wishes: places booking asks quota for, and what their coming means.

Called by use cases that move a booking or seat somebody from the office's own places. A
wish is asked under the id its booking will have, so asking again takes nothing. Quota
decides; nothing here knows what is free.
"""

import datetime as dt
import enum
from typing import Final

import msgspec

from kernel.ids import derived

GOOD_FOR: Final = dt.timedelta(seconds=60)
"""So long quota may take its time; later it takes nothing for the wish any more."""


class Why(enum.StrEnum):
    """
    What places are wanted for.
    """

    RESCHEDULE = "reschedule"
    REBOOK = "rebook"
    RESEAT = "reseat"
    WAITLIST = "waitlist"
    WALK_IN = "walk_in"
    PRIORITY = "priority"
    ASSISTED = "assisted"


MOVES: Final = frozenset({Why.RESCHEDULE, Why.REBOOK, Why.RESEAT})
"""The payment of the booking that is moved goes along: its new places are confirmed at once."""


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """
    Places somebody wants. `slot_ids` are tried in order; `seats` are numbers of the first that are had if free.
    """

    booking_id: str
    why: Why
    account_id: str
    person_ids: tuple[str, ...]
    slot_ids: tuple[str, ...]
    seats: tuple[int, ...] = ()
    replaces: str | None = None
    actor: str
    reason: str
    pay_by: dt.datetime
    good_until: dt.datetime


def wish_id(why: Why, *parts: str) -> str:
    """
    The id of the booking a wish becomes: the same for the same wish.
    """
    return derived("rsv", why.value, *parts)
