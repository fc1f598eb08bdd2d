"""
Merging: check-ins that a desk noted without a network are brought in later, each once.

Called by the route of the leaf's uploads, inside the transaction that also stores the answer.
What has happened meanwhile wins: an entry it contradicts is listed, never forced.
"""

import datetime as dt
import enum
from collections.abc import Sequence

import msgspec

from kernel.postgres import Connection
from services.booking.domain.desk import Ground, How
from services.booking.domain.lifecycle import State
from services.booking.stores import bookings, offices
from services.booking.stores.desk import CheckIn
from services.booking.use_cases import visiting
from services.booking.use_cases.visiting import (
    Absent,
    AlreadyCheckedIn,
    Answer,
    Desk,
    Done,
    ElsewhereOrOtherDay,
)


class Outcome(enum.StrEnum):
    """
    What became of an entry.
    """

    MERGED = "merged"
    KNOWN = "known"
    """The very same check-in is there already."""
    PARDONED = "pardoned"
    """Swept as a no-show before the upload came: the booking stays one, its block is lifted."""
    ALREADY_CHECKED_IN = "already_checked_in"
    """By somebody else, or at another time."""
    NO_LONGER_VALID = "no_longer_valid"
    """Cancelled, moved or otherwise ended."""
    WRONG_DAY = "wrong_day"
    WRONG_OFFICE = "wrong_office"
    NOT_FOUND = "not_found"
    IN_THE_FUTURE = "in_the_future"


OLDEST = dt.timedelta(days=366)
"""What is older was not noted on a leaf of ours."""
SETTLED = frozenset({Outcome.MERGED, Outcome.KNOWN})
"""Any other outcome is a conflict, for a person to look at."""


class Noted(msgspec.Struct, frozen=True, kw_only=True):
    """
    A check-in noted offline.
    """

    booking_id: str
    at: dt.datetime
    by: str


class Merged(msgspec.Struct, frozen=True, kw_only=True):
    """
    What became of an entry, the state its booking is in now, and who is known to have seen it.
    """

    noted: Noted
    outcome: Outcome
    state: State | None
    check_in: CheckIn | None


async def merge(connection: Connection, noted: Sequence[Noted], desk_of: Desk) -> list[Merged]:
    """
    Bring check-ins in, in the order of the upload.
    """
    # All at once and in one order, so that two uploads never wait for each other crosswise.
    await bookings.lock(connection, (entry.booking_id for entry in noted))
    now = await offices.read_now(connection)
    return [await _merge_one(connection, entry, desk_of, now=now) for entry in noted]


async def _merge_one(connection: Connection, entry: Noted, desk_of: Desk, *, now: dt.datetime) -> Merged:
    if now - entry.at > OLDEST:
        return Merged(noted=entry, outcome=Outcome.WRONG_DAY, state=None, check_in=None)
    if entry.at > now:
        return Merged(noted=entry, outcome=Outcome.IN_THE_FUTURE, state=None, check_in=None)
    answer = await visiting.check_in(
        connection, entry.booking_id, desk_of, how=How.OFFLINE, at=entry.at, seen_by=entry.by
    )
    if isinstance(answer, Absent):
        return Merged(noted=entry, outcome=Outcome.NOT_FOUND, state=None, check_in=None)
    outcome = _outcome(answer, entry)
    if answer.record.state is State.NO_SHOW and outcome is Outcome.NO_LONGER_VALID:
        if answer.record.pardoned_at is None:
            await visiting.pardon(connection, entry.booking_id, desk_of, ground=Ground.ATTENDED)
        outcome = Outcome.PARDONED
    seen = answer.check_in if isinstance(answer, Done | AlreadyCheckedIn) else None
    # Of another office's booking its officers hear no more than that it is none of theirs.
    state = None if outcome is Outcome.WRONG_OFFICE else answer.record.state
    return Merged(noted=entry, outcome=outcome, state=state, check_in=seen)


def _outcome(answer: Answer, entry: Noted) -> Outcome:
    if isinstance(answer, Done):
        return Outcome.MERGED
    if isinstance(answer, ElsewhereOrOtherDay):
        return Outcome.WRONG_DAY if answer.at_office else Outcome.WRONG_OFFICE
    if isinstance(answer, AlreadyCheckedIn):
        seen = answer.check_in
        same = seen is not None and (seen.at, seen.by_account) == (entry.at, entry.by)
        return Outcome.KNOWN if same else Outcome.ALREADY_CHECKED_IN
    return Outcome.NO_LONGER_VALID
