"""
Expiring: unpaid bookings end at their deadline, by Postgres' clock, and give their places back.

Called by the worker as two tasks that come from either end of what is overdue. Any number of sweepers may run: each
locks what it takes and skips what another, or a payment, has in hand. Nothing ends early and nothing ends twice.
"""

import asyncio
from collections.abc import Mapping, Sequence

from contracts import events
from contracts.envelope import seal
from kernel import outbox
from kernel.errors import Retryable
from kernel.kafka.message import Message
from kernel.log import get_logger
from kernel.postgres import Connection, Database
from services.booking import metrics
from services.booking.domain.lifecycle import State
from services.booking.domain.record import event_id_of, ms_of, visit_by_id, words_of
from services.booking.stores import bookings
from services.booking.stores.expiring import Ended, expire_overdue
from services.booking.stores.visits import Visits
from services.booking.use_cases.telling import SOURCE

log = get_logger(__name__)
SWEEP_ROWS_MAX = 50_000
"""Whoever did not pay a release that sold out in a minute is due within a minute, two hours later."""
SWEEP_ROWS_MIN = 500
TOLD_AT_ONCE = 1000
"""In between others of the process have their turn."""
PAUSE_SECONDS_MAX = 0.5
PAUSE_SECONDS_MIN = 0.02
"""Overdue rows somebody else has locked must not make the sweeper spin."""
TROUBLE_SECONDS = 1.0


async def sweep_for_ever(database: Database, *, newest_first: bool = False) -> None:
    """
    Sweep until cancelled: at once while there is work, else at the next deadline or soon.

    A store that misses a deadline gets half as much at a time.
    """
    visits, limit = Visits(), SWEEP_ROWS_MAX
    while True:
        try:
            ended = await sweep(database, visits, limit=limit, newest_first=newest_first)
            if len(ended) < limit:
                await asyncio.sleep(await _pause_seconds(database))
            limit = min(SWEEP_ROWS_MAX, limit * 2)
        except Retryable as error:
            limit = max(SWEEP_ROWS_MIN, limit // 2)
            log.warning("expiry_waits", error=str(error), next_rows_max=limit)
            await asyncio.sleep(TROUBLE_SECONDS)


async def sweep(
    database: Database, visits: Visits, *, limit: int = SWEEP_ROWS_MAX, newest_first: bool = False
) -> list[Ended]:
    """
    Expire what is overdue, a bounded number at a time. Returns what was expired.
    """
    async with database.transaction() as connection:
        ended = await expire_overdue(connection, limit=limit, newest_first=newest_first)
        await _tell(connection, visits, ended)
    metrics.expiry_lag.set(max(((one.changed_at - one.pay_by).total_seconds() for one in ended), default=0.0))
    metrics.count_steps([State.EXPIRED] * len(ended))
    return ended


async def _tell(connection: Connection, visits: Visits, ended: Sequence[Ended]) -> None:
    words = await visits.words(connection, {one.slot_id for one in ended}) if ended else {}
    for start in range(0, len(ended), TOLD_AT_ONCE):
        await outbox.append_bundles(
            connection, [_message(one, words.get(one.slot_id)) for one in ended[start : start + TOLD_AT_ONCE]]
        )


def _message(one: Ended, words: Mapping[str, str] | None) -> Message:
    booking = events.Booking(
        booking_id=one.booking_id,
        account_id=one.account_id,
        person_ids=one.person_ids,
        seats=one.seats,
        pay_by_ms=ms_of(one.pay_by),
        state=State.EXPIRED.value,
        version=one.version,
        **(words or words_of(visit_by_id(one.slot_id))),
    )
    return seal(
        events.BookingExpired(booking=booking, at_ms=ms_of(one.changed_at)),
        event_id=event_id_of(one.booking_id, one.version),
        key=one.booking_id,
        source=SOURCE,
    )


async def _pause_seconds(database: Database) -> float:
    async with database.connection() as connection:
        seconds = await bookings.seconds_to_next_deadline(connection)
    if seconds is None:
        return PAUSE_SECONDS_MAX
    return min(PAUSE_SECONDS_MAX, max(PAUSE_SECONDS_MIN, seconds))
