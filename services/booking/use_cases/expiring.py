"""
Expiring: unpaid bookings end at their deadline, by Postgres' clock, and give their places back.

Called by the worker as a task. Any number of sweepers may run: each locks what it takes and
skips what another, or a payment, has in hand. Nothing ends early and nothing ends twice.
"""

import asyncio

from kernel.errors import Retryable
from kernel.log import get_logger
from kernel.postgres import Database
from services.booking import metrics
from services.booking.domain.lifecycle import UNPAID, State
from services.booking.domain.record import BookingRecord
from services.booking.stores import bookings
from services.booking.stores.bookings import Step
from services.booking.use_cases.telling import tell_steps

log = get_logger(__name__)
SWEEP_ROWS_MAX = 1000
PAUSE_SECONDS_MAX = 0.5
PAUSE_SECONDS_MIN = 0.05
"""Overdue rows somebody else has locked must not make the sweeper spin."""
TROUBLE_SECONDS = 1.0


async def sweep_for_ever(database: Database) -> None:
    """
    Sweep until cancelled: at once while there is work, else at the next deadline or soon.
    """
    while True:
        try:
            if len(await sweep(database)) < SWEEP_ROWS_MAX:
                await asyncio.sleep(await _pause_seconds(database))
        except Retryable as error:
            log.warning("expiry_waits", error=str(error))
            await asyncio.sleep(TROUBLE_SECONDS)


async def sweep(database: Database) -> list[BookingRecord]:
    """
    Expire what is overdue, a bounded number at a time. Returns what was expired.
    """
    async with database.transaction() as connection:
        overdue = await bookings.lock_overdue(connection, limit=SWEEP_ROWS_MAX)
        expired = await bookings.move(
            connection, [Step(booking_id=each) for each in overdue], to=State.EXPIRED, come_from=UNPAID
        )
        await tell_steps(connection, expired)
    lags = [(record.changed_at - record.pay_by).total_seconds() for record in expired]
    metrics.expiry_lag.set(max(lags, default=0.0))
    metrics.count_steps(record.state for record in expired)
    return expired


async def _pause_seconds(database: Database) -> float:
    async with database.connection() as connection:
        seconds = await bookings.seconds_to_next_deadline(connection)
    if seconds is None:
        return PAUSE_SECONDS_MAX
    return min(PAUSE_SECONDS_MAX, max(PAUSE_SECONDS_MIN, seconds))
