"""
Walk-ins noted without a network: what has become of each, told from what stands.

Called by the noting use case and its routes. Pure: no clock, no store.
"""

import datetime as dt
import enum
from typing import Final

from services.booking.domain.desk import SEEN
from services.booking.domain.lifecycle import UNPAID, State

OLDEST: Final = dt.timedelta(days=366)
"""What is older was not noted on a leaf of ours."""


class WalkInOutcome(enum.StrEnum):
    """
    What became of people a desk has noted.
    """

    PENDING = "pending"
    """Quota has not answered yet; the same upload again tells more."""
    AWAITING_PAYMENT = "awaiting_payment"
    """They have places; as soon as these are paid the visit is brought in."""
    MERGED = "merged"
    """Checked in, and served where that was noted, at the hour that was noted."""
    KNOWN = "known"
    """The same, uploaded before."""
    NO_PLACE = "no_place"
    """Quota had none: they are on record here alone."""
    NOTHING_PLANNED = "nothing_planned"
    """The office has no walk-in places for that service that day."""
    UNPAID = "unpaid"
    """They had places, which went back: nobody paid for them in time."""
    CONTRADICTS = "contradicts"
    """Something else was noted under this id before; that one stands."""
    WRONG_DAY = "wrong_day"
    IN_THE_FUTURE = "in_the_future"


UNDER_WAY: Final = frozenset({WalkInOutcome.PENDING, WalkInOutcome.AWAITING_PAYMENT})
CONFLICTS: Final = frozenset(WalkInOutcome) - UNDER_WAY - {WalkInOutcome.MERGED, WalkInOutcome.KNOWN}
"""For a person to look at."""
ASKED_AGAIN: Final = frozenset({WalkInOutcome.NO_PLACE, WalkInOutcome.NOTHING_PLANNED})
"""Another upload asks once more: places may have been added meanwhile."""


def outcome_of(wish_state: str | None, state: State | None) -> WalkInOutcome:
    """
    What has become of a note, by its wish and the booking that came of it.
    """
    if wish_state is None:
        return WalkInOutcome.NOTHING_PLANNED
    if wish_state == "refused":
        return WalkInOutcome.NO_PLACE
    if state is None:
        return WalkInOutcome.PENDING
    if state in UNPAID or state is State.CONFIRMED:
        return WalkInOutcome.AWAITING_PAYMENT
    return WalkInOutcome.MERGED if state in SEEN else WalkInOutcome.UNPAID


def refused_at_the_door(at: dt.datetime, now: dt.datetime) -> WalkInOutcome | None:
    """
    An hour nobody can have noted: a clock at the desk is wrong, and the note is not kept.
    """
    if now - at > OLDEST:
        return WalkInOutcome.WRONG_DAY
    return WalkInOutcome.IN_THE_FUTURE if at > now else None
