"""
Cancelling: the holder gives a booking up.

Called by routes inside the transaction that also stores the answer. Unpaid bookings end at
once; a confirmed one may be given back until the day before the visit, by the office's own
calendar and Postgres' clock. The fee is not given back.
"""

import dataclasses
from typing import TypeAlias
from zoneinfo import ZoneInfo

from kernel.postgres import Connection
from services.booking.domain.lifecycle import UNPAID, Cancellation, State, cancellation_means
from services.booking.domain.record import BookingRecord
from services.booking.stores import bookings, offices
from services.booking.stores.bookings import Step
from services.booking.use_cases.telling import tell_steps


@dataclasses.dataclass(frozen=True, slots=True)
class Cancelled:
    """
    It is given back.
    """

    record: BookingRecord


@dataclasses.dataclass(frozen=True, slots=True)
class Absent:
    """
    This account has no such booking.
    """


@dataclasses.dataclass(frozen=True, slots=True)
class NotCancelled:
    """
    It stays as it is.
    """

    why: Cancellation
    record: BookingRecord


Answer: TypeAlias = Cancelled | Absent | NotCancelled


async def cancel(connection: Connection, booking_id: str, *, account_id: str, reason: str) -> Answer:
    """
    Cancel a booking of that account, or say why not.
    """
    record = (await bookings.lock(connection, [booking_id])).get(booking_id)
    if record is None or record.account_id != account_id:
        return Absent()
    now = await offices.read_now(connection)
    today = now.astimezone(ZoneInfo(record.visit.timezone)).date()
    meaning = cancellation_means(record.state, today=today, visit_on=record.visit.date)
    if meaning is not Cancellation.GRANTED:
        return NotCancelled(why=meaning, record=record)
    [cancelled] = await bookings.move(
        connection,
        [Step(booking_id=booking_id, reason=reason)],
        to=State.CANCELLED,
        come_from=UNPAID | {State.CONFIRMED},
    )
    await tell_steps(connection, [cancelled])
    return Cancelled(cancelled)
