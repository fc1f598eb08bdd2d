"""
Placing: a hold becomes a booking if all it claims is free, else it is named as displaced.

Called by recording and by settling, inside their transaction. Never drops a hold and never
takes anything from the booking that was there first.
"""

from collections.abc import Sequence

from contracts.events import ReservationHeld
from kernel.log import get_logger
from kernel.postgres import Connection
from services.booking.domain.lifecycle import State
from services.booking.domain.record import BookingRecord
from services.booking.stores import bookings
from services.booking.stores.bookings import Recorded

log = get_logger(__name__)


async def record_if_free(connection: Connection, holds: Sequence[ReservationHeld]) -> list[Recorded]:
    """
    Record, and take it back if any of them does not get all it claims.
    """
    savepoint = connection.transaction()
    await savepoint.start()
    recorded = await bookings.record(connection, holds, state=State.HELD)
    if all(new.stands for new in recorded):
        await savepoint.commit()
    else:
        await savepoint.rollback()
    return recorded


async def displace(connection: Connection, hold: ReservationHeld, *, reason: str) -> list[BookingRecord]:
    """
    Record a hold that cannot be had. Quota hears of it and has the places back.
    """
    log.error("booking_displaced", booking_id=hold.reservation_id, slot_id=hold.slot_id, reason=reason)
    displaced = await bookings.record(connection, [hold], state=State.DISPLACED, reason=reason)
    return [new.record for new in displaced]


def reason_of(refused: Recorded) -> str:
    """
    Why a hold does not stand.
    """
    if not refused.has_slot:
        return "slot_unknown"
    return "person_busy" if refused.has_seats else "seat_taken"
