"""
Telling: every step of a booking and every change of a plan goes into the outbox with it.

Called by the other use cases inside their transaction. The relay carries it to Kafka.
"""

from collections.abc import Sequence

from contracts.envelope import seal
from contracts.events import SlotPlanned
from kernel import outbox
from kernel.postgres import Connection
from services.booking.domain.record import BookingRecord, announcement, event_id_of

SOURCE = "booking"


async def tell_steps(connection: Connection, records: Sequence[BookingRecord]) -> None:
    """
    Announce bookings as they are after a step.
    """
    await outbox.append(
        connection,
        [
            seal(event, event_id=event_id_of(record), key=record.booking_id, source=SOURCE)
            for record in records
            if (event := announcement(record)) is not None
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
