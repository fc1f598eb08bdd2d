"""
The visit: a family is checked in, served, sent home for documents, and given its passports.

Called by officers' routes inside the transaction that also stores the answer. Every step locks
the booking, so that two desks never both take it; every step is a line of the audit log.
"""

import dataclasses
import datetime as dt
from typing import TypeAlias

from kernel.audit import entries
from kernel.audit.entries import Deed
from kernel.postgres import Connection
from services.booking.domain.desk import SEEN, Ground, How, Missing, comes_from, day_at
from services.booking.domain.lifecycle import State
from services.booking.domain.record import BookingRecord
from services.booking.stores import bookings, desk, offices
from services.booking.stores.bookings import Step
from services.booking.stores.desk import CheckIn
from services.booking.use_cases import stocking
from services.booking.use_cases.telling import tell_steps

ACTIONS = {
    State.SERVED: "serve_booking",
    State.INCOMPLETE: "return_booking",
    State.PROCESSING: "process_booking",
    State.READY: "ready_booking",
    State.COLLECTED: "collect_booking",
}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """
    Who acts, where and why.
    """

    office_id: str
    actor: str
    reason: str


@dataclasses.dataclass(frozen=True, slots=True)
class Done:
    """
    The booking after the step.
    """

    record: BookingRecord
    check_in: CheckIn | None


@dataclasses.dataclass(frozen=True, slots=True)
class Absent:
    """
    There is no such booking.
    """


@dataclasses.dataclass(frozen=True, slots=True)
class ElsewhereOrOtherDay:
    """
    The booking is for another office (`at_office` is false) or for another day.
    """

    record: BookingRecord
    at_office: bool


@dataclasses.dataclass(frozen=True, slots=True)
class AlreadyCheckedIn:
    """
    Somebody was here with this booking before.
    """

    record: BookingRecord
    check_in: CheckIn | None


@dataclasses.dataclass(frozen=True, slots=True)
class NotPossible:
    """
    The booking is not where this step begins.
    """

    record: BookingRecord


Answer: TypeAlias = Done | Absent | ElsewhereOrOtherDay | AlreadyCheckedIn | NotPossible


async def check_in(
    connection: Connection,
    booking_id: str,
    desk_of: Desk,
    *,
    how: How,
    at: dt.datetime | None = None,
    seen_by: str | None = None,
) -> Answer:
    """
    A family is at the desk. `at` and `seen_by` are when it was and who saw it, if that was noted offline.
    """
    record = (await bookings.lock(connection, [booking_id])).get(booking_id)
    if record is None:
        return Absent()
    if record.visit.office_id != desk_of.office_id:
        return ElsewhereOrOtherDay(record, at_office=False)
    if record.state in SEEN:
        return AlreadyCheckedIn(record, await desk.read_check_in(connection, booking_id))
    seen_at = at or await offices.read_now(connection)
    if day_at(seen_at, record.visit.timezone) != record.visit.date:
        return ElsewhereOrOtherDay(record, at_office=True)
    if record.state is not State.CONFIRMED:
        return NotPossible(record)
    seen = CheckIn(at=seen_at, by_account=seen_by or desk_of.actor, how=how)
    [after] = await bookings.move(
        connection, [Step(booking_id=booking_id)], to=State.CHECKED_IN, come_from=(State.CONFIRMED,)
    )
    await desk.note(connection, booking_id, seen)
    await _tell(
        connection, after, desk_of, action="check_in_booking", details={"how": how.value, "seen_by": seen.by_account}
    )
    return Done(after, seen)


async def step(
    connection: Connection,
    booking_id: str,
    desk_of: Desk,
    *,
    to: State,
    missing: Missing | None = None,
    pick_up_on: dt.date | None = None,
) -> Answer:
    """
    Take a booking that has been checked in one step on.
    """
    record = (await bookings.lock(connection, [booking_id])).get(booking_id)
    if record is None or record.visit.office_id != desk_of.office_id:
        return Absent()
    if record.state not in comes_from(to):
        return NotPossible(record)
    learned = Step(booking_id=booking_id, reason=missing.value if missing else None, pick_up_on=pick_up_on)
    [after] = await bookings.move(connection, [learned], to=to, come_from=(record.state,))
    if to is State.SERVED:
        await stocking.use(connection, after, actor=desk_of.actor)
    details = {"missing": missing.value} if missing else {}
    details |= {"pick_up_on": pick_up_on.isoformat()} if pick_up_on else {}
    await _tell(connection, after, desk_of, action=ACTIONS[to], details=details)
    return Done(after, await desk.read_check_in(connection, booking_id))


async def pardon(connection: Connection, booking_id: str, desk_of: Desk, *, ground: Ground) -> Answer:
    """
    Lift the block of a no-show. One that is lifted already stays as it was.
    """
    record = (await bookings.lock(connection, [booking_id])).get(booking_id)
    if record is None or record.visit.office_id != desk_of.office_id:
        return Absent()
    if record.state is not State.NO_SHOW or record.pardoned_at is not None:
        return NotPossible(record)
    lifted = Step(booking_id=booking_id, pardoned_at=await offices.read_now(connection), reason=ground.value)
    [after] = await bookings.move(connection, [lifted], to=State.NO_SHOW, come_from=(State.NO_SHOW,))
    await _tell(connection, after, desk_of, action="pardon_booking", details={"ground": ground.value})
    return Done(after, None)


async def _tell(
    connection: Connection, after: BookingRecord, desk_of: Desk, *, action: str, details: dict[str, str]
) -> None:
    await tell_steps(connection, [after])
    deed = Deed(
        actor=desk_of.actor,
        action=action,
        subject=after.booking_id,
        office_id=desk_of.office_id,
        reason=desk_of.reason,
        details=details,
    )
    await entries.write(connection, deed)
