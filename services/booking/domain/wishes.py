"""
Wishes: places booking asks quota for, and what their coming means.

Called by use cases that move a booking or seat somebody from the office's own places. A
wish is asked under the id its booking will have, so asking again takes nothing. Quota
decides; nothing here knows what is free.
"""

import datetime as dt
import enum
from collections.abc import Mapping
from typing import Final

import msgspec

from services.booking.domain.lifecycle import UNSEATED, State

GOOD_FOR: Final = dt.timedelta(seconds=60)
"""So long quota may take its time; later it takes nothing for the wish any more."""
NOTED_GOOD_FOR: Final = dt.timedelta(hours=1)
"""Of people who were served already: a broker that comes back after an outage is not to find it too late."""
RESEAT_GOOD_FOR: Final = dt.timedelta(minutes=10)
"""Nobody waits at a page for it, and money is in hand: a broker that is away for minutes costs nobody his place."""


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

MOVABLE: Final[Mapping[Why, frozenset[State]]] = {
    Why.RESCHEDULE: frozenset({State.CONFIRMED}),
    Why.REBOOK: frozenset({State.CONFIRMED, State.NO_SHOW, State.PAID_NO_SEAT}),
    Why.RESEAT: UNSEATED | {State.PAID_NO_SEAT},
}
"""Where a booking must still be when its new places are there; else it went another way meanwhile and stays."""


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


def may_move(why: Why, state: State, *, ntpn: str | None) -> bool:
    """
    Whether a booking can give its payment to new places now.
    """
    return ntpn is not None and state in MOVABLE[why]


def is_listed_after_refusal(why: Why, state: State) -> bool:
    """
    Whether money is left without places, for good or until its payer chooses, because quota has none.
    """
    return why is Why.RESEAT and state in UNSEATED
