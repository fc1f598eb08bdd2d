"""
The waitlist: who is next, and what becomes of an offer.

Called by the waitlisting use case with a line in order of joining. Nothing here knows
what is free: quota decides whether an offer comes true.
"""

import enum
from collections.abc import Iterable
from typing import Final

import msgspec

from services.booking.domain.lifecycle import KEEPS_PLACES, UNPAID, State


class Standing(enum.StrEnum):
    """
    Where an entry stands.
    """

    WAITING = "waiting"
    OFFERED = "offered"
    TAKEN = "taken"
    PASSED = "passed"
    LEFT = "left"
    OVER = "over"


class Fate(enum.Enum):
    """
    What an offer has come to.
    """

    TAKEN = "taken"
    PASSED = "passed"
    WAITS_ON = "waits_on"
    GIVES_BACK = "gives_back"
    DONE = "done"


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """
    A family in line. `place` grows in order of joining.
    """

    entry_id: str
    place: int
    account_id: str
    person_ids: tuple[str, ...]
    attempts: int


BUSY: Final = frozenset({"account_already_reserved", "person_already_reserved", "no_show_block"})
"""Quota's words for a family that cannot have any place now."""
TAKEN: Final = (KEEPS_PLACES - UNPAID) | {State.RESCHEDULED}


def whom_to_offer(line: Iterable[Waiting], seats: int) -> tuple[list[Waiting], int]:
    """
    Who of a line, oldest first, is offered places that came back, and how many places that leaves.

    Whoever fits what those before him leave is never passed over.
    """
    chosen: list[Waiting] = []
    for family in line:
        if len(family.person_ids) <= seats:
            chosen.append(family)
            seats -= len(family.person_ids)
    return chosen, seats


def pass_on(place: int, persons: int, refusal: str) -> tuple[int, int]:
    """
    What quota's refusal of a family leaves to others: how many places, and behind which place in line.

    Fewer places than it needs may do for a smaller family; those of a busy family are all there.
    Asked too late nobody has had them, so the family itself is next. Anything else leaves none.
    """
    if refusal == "sold_out":
        return persons - 1, place
    if refusal == "too_late":
        return persons, place - 1
    return (persons, place) if refusal in BUSY else (0, place)


def fate_of(standing: Standing, booking: State | None) -> Fate:
    """
    Judge an offer by the booking it became; None if it became none.
    """
    if standing is Standing.LEFT:
        return Fate.GIVES_BACK if booking in UNPAID else Fate.DONE
    if booking in TAKEN:
        return Fate.TAKEN
    # Displaced: quota gave places that were not free after all; that is nobody's turn taken.
    return Fate.WAITS_ON if booking is State.DISPLACED else Fate.PASSED
