"""
Recording: what quota decided becomes bookings, in the order quota decided it.

Called by the consumer of quota's events with a batch. Bookings, seats, people, what is
told about them and the recorded sequence numbers are one transaction. A hold whose places
or people are already taken is recorded as displaced: named, never dropped, and never a
reason to stop. Places booking itself wished for end the booking they move. Behind a gap
nothing is taken; quota's relay announces again.
"""

import datetime as dt
import time
from collections import Counter
from collections.abc import Sequence

from contracts.envelope import Envelope
from contracts.events import GiveBackAsked, PlacesRefused, QuotaEvent, ReservationHeld
from kernel.log import get_logger
from kernel.postgres import Connection, Database
from services.booking import metrics
from services.booking.domain.lifecycle import UNPAID, State
from services.booking.domain.record import BookingRecord, ms_of
from services.booking.domain.sequence import Gap, take
from services.booking.stores import bookings, offices, watermarks, wishes
from services.booking.stores.bookings import Step
from services.booking.stores.visits import Visits
from services.booking.use_cases import settling, waitlisting
from services.booking.use_cases.placing import displace, reason_of, record_if_free
from services.booking.use_cases.settling import is_move
from services.booking.use_cases.telling import tell_held, tell_steps

log = get_logger(__name__)
GIVE_BACK_REASON = "give_back_asked"


async def record(
    database: Database,
    visits: Visits,
    envelopes: Sequence[Envelope],
    *,
    waitlist_hold: dt.timedelta = waitlisting.HOLD,
) -> None:
    """
    Record a batch of quota's events. `waitlist_hold` is how long an offer to the waitlist stands.
    """
    started = time.perf_counter()
    events = [envelope.event for envelope in envelopes if isinstance(envelope.event, QuotaEvent)]
    async with database.transaction() as connection:
        known = await watermarks.lock(connection, ((event.partition, event.epoch) for event in events))
        taken = take(known, events)
        holds = [event for event in taken.events if isinstance(event, ReservationHeld)]
        steps, moved = await _record_wished(connection, visits, holds)
        refusals = [event for event in taken.events if isinstance(event, PlacesRefused)]
        _, listed = await settling.refused(connection, refusals)
        given_back = await _give_back(connection, [e for e in taken.events if isinstance(e, GiveBackAsked)])
        await tell_steps(connection, given_back)
        await watermarks.move(connection, taken.moved)
        offered = await waitlisting.places_came_back(connection, taken.events, hold=waitlist_hold)
    metrics.recording_seconds.observe(time.perf_counter() - started)
    metrics.recorded.inc(steps.total())
    steps.update(record.state for record in (*given_back, *moved, *listed))
    metrics.count_steps(steps)
    metrics.count_offers(offered)
    for gap in taken.gaps:
        _report(gap)


async def _record_wished(
    connection: Connection, visits: Visits, holds: Sequence[ReservationHeld]
) -> tuple[Counter[State], list[BookingRecord]]:
    """
    What moves a booking is recorded with the end of that booking, everything else at once.

    Returns how the new ones begin, and the bookings that took a step because of a move.
    """
    wished = await wishes.asked_among(connection, [hold.reservation_id for hold in holds]) if holds else {}
    moves = [(hold, wish) for hold in holds if is_move(wish := wished.get(hold.reservation_id)) and wish is not None]
    moving = {hold.reservation_id for hold, _ in moves}
    steps, displaced = await _record_holds(connection, visits, [h for h in holds if h.reservation_id not in moving])
    await settling.settle(connection, {each: displaced.get(each) for each in wished if each not in moving})
    return steps, await settling.move(connection, moves)


async def _record_holds(
    connection: Connection, visits: Visits, holds: Sequence[ReservationHeld]
) -> tuple[Counter[State], dict[str, str | None]]:
    """
    By COPY if everything is new and free, as it should be; else with a closer look.

    Returns how the new ones begin, and why some are displaced.
    """
    if not holds:
        return Counter(), {}
    words = await visits.words(connection, {hold.slot_id for hold in holds})
    now = await offices.read_now(connection)
    if all(hold.slot_id in words for hold in holds) and await bookings.copy(connection, holds, now=now):
        await tell_held(connection, holds, words, at_ms=ms_of(now))
        return Counter({State.HELD: len(holds)}), {}
    records = await _sort_out(connection, holds)
    await tell_steps(connection, records)
    displaced = {record.booking_id: record.reason for record in records if record.state is State.DISPLACED}
    return Counter(record.state for record in records), displaced


async def _sort_out(connection: Connection, holds: Sequence[ReservationHeld]) -> list[BookingRecord]:
    """
    All at once if what is new is free; else one half after the other, until what is not stands alone.
    """
    tried = await record_if_free(connection, holds)
    if all(new.stands for new in tried):
        return [new.record for new in tried]
    if len(holds) == 1:
        return await displace(connection, holds[0], reason=reason_of(tried[0]))
    middle = len(holds) // 2
    return [*await _sort_out(connection, holds[:middle]), *await _sort_out(connection, holds[middle:])]


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
