"""
Recording: what quota decided becomes bookings, in the order quota decided it.

Called by the consumer of quota's events with a batch. Bookings, seats, people, what is
told about them and the recorded sequence numbers are one transaction. A hold whose places
or people are already taken is recorded as displaced: named, never dropped, and never a
reason to stop. Behind a gap nothing is taken; quota's relay announces again.
"""

import time
from collections.abc import Sequence

from contracts.envelope import Envelope
from contracts.events import GiveBackAsked, QuotaEvent, ReservationHeld
from kernel.log import get_logger
from kernel.postgres import Connection, Database
from services.booking import metrics
from services.booking.domain.lifecycle import UNPAID, State
from services.booking.domain.record import BookingRecord
from services.booking.domain.sequence import Gap, take
from services.booking.stores import bookings, watermarks
from services.booking.stores.bookings import Recorded, Step
from services.booking.use_cases.telling import tell_steps

log = get_logger(__name__)
GIVE_BACK_REASON = "give_back_asked"


async def record(database: Database, envelopes: Sequence[Envelope]) -> None:
    """
    Record a batch of quota's events.
    """
    started = time.perf_counter()
    events = [envelope.event for envelope in envelopes if isinstance(envelope.event, QuotaEvent)]
    async with database.transaction() as connection:
        known = await watermarks.lock(connection, ((event.partition, event.epoch) for event in events))
        taken = take(known, events)
        held = await _record_holds(connection, [e for e in taken.events if isinstance(e, ReservationHeld)])
        given_back = await _give_back(connection, [e for e in taken.events if isinstance(e, GiveBackAsked)])
        await tell_steps(connection, [*held, *given_back])
        await watermarks.move(connection, taken.moved)
    metrics.recording_seconds.observe(time.perf_counter() - started)
    metrics.recorded.inc(len(held))
    metrics.count_steps(record.state for record in (*held, *given_back))
    for gap in taken.gaps:
        _report(gap)


async def _record_holds(connection: Connection, holds: Sequence[ReservationHeld]) -> list[BookingRecord]:
    """
    All at once if everything is free, as it should be; else one by one, to find out which is not.
    """
    if not holds:
        return []
    whole = await _record_if_free(connection, holds)
    if all(new.stands for new in whole):
        return [new.record for new in whole]
    records: list[BookingRecord] = []
    for hold in holds:
        records += await _record_or_displace(connection, hold)
    return records


async def _record_or_displace(connection: Connection, hold: ReservationHeld) -> list[BookingRecord]:
    tried = await _record_if_free(connection, [hold])
    refused = [new for new in tried if not new.stands]
    if not refused:
        return [new.record for new in tried]
    reason = _reason(refused[0])
    log.error("booking_displaced", booking_id=hold.reservation_id, slot_id=hold.slot_id, reason=reason)
    displaced = await bookings.record(connection, [hold], state=State.DISPLACED, reason=reason)
    return [new.record for new in displaced]


async def _record_if_free(connection: Connection, holds: Sequence[ReservationHeld]) -> list[Recorded]:
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


def _reason(refused: Recorded) -> str:
    if not refused.has_slot:
        return "slot_unknown"
    return "person_busy" if refused.has_seats else "seat_taken"


async def _give_back(connection: Connection, asked: Sequence[GiveBackAsked]) -> list[BookingRecord]:
    """
    Cancel what is not paid yet; for anything else the wish comes too late.
    """
    steps = [
        Step(booking_id=booking_id, reason=GIVE_BACK_REASON)
        for booking_id, record in (await bookings.lock(connection, (e.reservation_id for e in asked))).items()
        if record.state in UNPAID
    ]
    return await bookings.move(connection, steps, to=State.CANCELLED, come_from=UNPAID)


def _report(gap: Gap) -> None:
    metrics.sequence_gaps.inc()
    log.warning(
        "sequence_gap",
        partition=gap.line[0],
        epoch=gap.line[1],
        expected_seq=gap.expected_seq,
        came_seq=gap.came_seq,
    )
