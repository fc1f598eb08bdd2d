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
from services.booking.domain.lifecycle import State
from services.booking.domain.record import Expired
from services.booking.stores import bookings
from services.booking.stores.visits import Visits
from services.booking.use_cases.telling import tell_expired

log = get_logger(__name__)
SWEEP_ROWS_MAX = 2500
"""What is in a transaction costs little more than the transaction; more would keep payments waiting for its locks."""
LANES = 3
"""While there is more than one sweep can take: Postgres works for two while one is put into words here."""
PAUSE_SECONDS_MAX = 0.5
PAUSE_SECONDS_MIN = 0.05
"""Overdue rows somebody else has locked must not make the sweeper spin."""
TROUBLE_SECONDS = 1.0


async def sweep_for_ever(database: Database) -> None:
    """
    Sweep until cancelled: at once while there is work, else at the next deadline or soon.
    """
    visits, lanes = Visits(), 1
    while True:
        try:
            swept = await asyncio.gather(*(sweep(database, visits) for _ in range(lanes)))
            is_more = any(len(part) == SWEEP_ROWS_MAX for part in swept)
            lanes = LANES if is_more else 1
            if not is_more:
                await asyncio.sleep(await _pause_seconds(database))
        except Retryable as error:
            log.warning("expiry_waits", error=str(error))
            await asyncio.sleep(TROUBLE_SECONDS)


async def sweep(database: Database, visits: Visits | None = None) -> list[Expired]:
    """
    Expire what is overdue, a bounded number at a time. Returns what was expired.
    """
    async with database.transaction() as connection:
        expired = await bookings.expire(connection, limit=SWEEP_ROWS_MAX)
        if expired:
            words = await (visits or Visits()).words(connection, {each.slot_id for each in expired})
            await tell_expired(connection, expired, words)
    lags = [(each.changed_at - each.pay_by).total_seconds() for each in expired]
    metrics.expiry_lag.set(max(lags, default=0.0))
    metrics.count_steps([State.EXPIRED] * len(expired))
    return expired


async def _pause_seconds(database: Database) -> float:
    async with database.connection() as connection:
        seconds = await bookings.seconds_to_next_deadline(connection)
    if seconds is None:
        return PAUSE_SECONDS_MAX
    return min(PAUSE_SECONDS_MAX, max(PAUSE_SECONDS_MIN, seconds))
