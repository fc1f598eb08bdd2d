"""
Recording: what quota decided becomes bookings, in the order quota decided it.

Called by the consumer of quota's events with a batch. Bookings, seats, people, what is
told about them and the recorded sequence numbers are one transaction. A hold whose places
or people are already taken is recorded as displaced: named, never dropped, and never a
reason to stop. Behind a gap nothing is taken; quota's relay announces again.
"""

import time
from collections import Counter
from collections.abc import Sequence

from contracts.envelope import Envelope
from contracts.events import GiveBackAsked, PlacesRefused, QuotaEvent, ReservationHeld, SlotApplied
from kernel.log import get_logger
from kernel.postgres import Connection, Database
from services.booking import metrics
from services.booking.domain.lifecycle import UNPAID, State
from services.booking.domain.record import BookingRecord, ms_of
from services.booking.domain.sequence import Gap, take
from services.booking.stores import bookings, offices, spills, watermarks
from services.booking.stores.bookings import Recorded, Step
from services.booking.stores.visits import Visits
from services.booking.use_cases import wishing
from services.booking.use_cases.telling import tell_held, tell_steps

log = get_logger(__name__)
GIVE_BACK_REASON = "give_back_asked"


async def record(database: Database, visits: Visits, envelopes: Sequence[Envelope]) -> None:
    """
    Record a batch of quota's events.
    """
    started = time.perf_counter()
    events = [envelope.event for envelope in envelopes if isinstance(envelope.event, QuotaEvent)]
    async with database.transaction() as connection:
        known = await watermarks.lock(connection, ((event.partition, event.epoch) for event in events))
        taken = take(known, events)
        holds = [event for event in taken.events if isinstance(event, ReservationHeld)]
        steps = await _record_holds(connection, visits, holds)
        moved = await wishing.held(connection, (hold.reservation_id for hold in holds))
        await wishing.refused(connection, [event for event in taken.events if isinstance(event, PlacesRefused)])
        await spills.note_applied(connection, [event for event in taken.events if isinstance(event, SlotApplied)])
        given_back = await _give_back(connection, [e for e in taken.events if isinstance(e, GiveBackAsked)])
        await tell_steps(connection, given_back)
        await watermarks.move(connection, taken.moved)
    metrics.recording_seconds.observe(time.perf_counter() - started)
    metrics.recorded.inc(steps.total())
    steps.update(record.state for record in (*given_back, *moved))
    metrics.count_steps(steps)
    for gap in taken.gaps:
        _report(gap)


async def _record_holds(connection: Connection, visits: Visits, holds: Sequence[ReservationHeld]) -> Counter[State]:
    """
    By COPY if everything is new and free, as it should be; else with a closer look. Returns how the new ones begin.
    """
    if not holds:
        return Counter()
    words = await visits.words(connection, {hold.slot_id for hold in holds})
    now = await offices.read_now(connection)
    if all(hold.slot_id in words for hold in holds) and await bookings.copy(connection, holds, now=now):
        await tell_held(connection, holds, words, at_ms=ms_of(now))
        return Counter({State.HELD: len(holds)})
    records = await _sort_out(connection, holds)
    await tell_steps(connection, records)
    return Counter(record.state for record in records)


async def _sort_out(connection: Connection, holds: Sequence[ReservationHeld]) -> list[BookingRecord]:
    """
    All at once if what is new is free; else one half after the other, until what is not stands alone.
    """
    tried = await _record_if_free(connection, holds)
    if all(new.stands for new in tried):
        return [new.record for new in tried]
    if len(holds) == 1:
        return await _displace(connection, holds[0], reason=_reason(tried[0]))
    middle = len(holds) // 2
    return [*await _sort_out(connection, holds[:middle]), *await _sort_out(connection, holds[middle:])]


async def _displace(connection: Connection, hold: ReservationHeld, *, reason: str) -> list[BookingRecord]:
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
