"""
Telling: every step of a booking and every change of a plan goes into the outbox with it.

Called by the other use cases inside their transaction. The relay carries it to Kafka.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from contracts.envelope import seal
from contracts.events import ReservationHeld, SlotPlanned
from kernel import outbox
from kernel.postgres import Connection
from services.booking.domain.record import (
    FIRST_VERSION,
    BookingRecord,
    announcement,
    event_id_of,
    held,
)

SOURCE = "booking"
NOBODY_WAITED: Final[Mapping[str, str]] = {}


async def tell_steps(
    connection: Connection, records: Sequence[BookingRecord], *, offered: Mapping[str, str] = NOBODY_WAITED
) -> None:
    """
    Announce bookings as they are after a step. `offered` says by booking whose turn its places were.
    """
    await outbox.append(
        connection,
        [
            seal(event, event_id=event_id_of(record.booking_id, record.version), key=record.booking_id, source=SOURCE)
            for record in records
            if (event := announcement(record, offered=offered.get(record.booking_id))) is not None
        ],
    )


async def tell_held(
    connection: Connection, holds: Sequence[ReservationHeld], words: Mapping[str, Mapping[str, str]], *, at_ms: int
) -> None:
    """
    Announce bookings that are new in this transaction. `words` say where and when each slot is.
    """
    await outbox.append_bundles(
        connection,
        [
            seal(
                held(hold, words[hold.slot_id], at_ms=at_ms),
                event_id=event_id_of(hold.reservation_id, FIRST_VERSION),
                key=hold.reservation_id,
                source=SOURCE,
            )
            for hold in holds
        ],
    )


async def tell_plans(connection: Connection, slots: Sequence[SlotPlanned]) -> None:
    """
    Announce slots as they are planned now.
    """
    await outbox.append(
        connection,
        [seal(slot, event_id=f"s.{slot.slot_id}.{slot.version}", key=slot.slot_id, source=SOURCE) for slot in slots],
    )
