"""
Watching: money that waits for a person, counted for whoever is on call.

Called by the worker as a task. Only counts: finance decides.
"""

import asyncio
from typing import Final

from kernel.errors import Retryable
from kernel.log import get_logger
from kernel.postgres import Database
from services.payment import metrics
from services.payment.stores import exceptions, refunds

log = get_logger(__name__)
WATCH_SECONDS: Final = 30.0


async def watch_for_ever(database: Database) -> None:
    """
    Count until cancelled.
    """
    while True:
        try:
            await watch(database)
        except Retryable as error:
            log.warning("watching_waits", error=str(error))
        await asyncio.sleep(WATCH_SECONDS)


async def watch(database: Database) -> None:
    """
    Say how many reports nobody has resolved, and how long the oldest of them and of the undecided refunds has waited.
    """
    async with database.connection() as connection:
        kept = await exceptions.waiting(connection)
        ages = await refunds.waiting_seconds(connection)
    metrics.exceptions_open.set(kept.reports)
    metrics.exception_oldest_seconds.set(kept.oldest_seconds)
    for state, seconds in ages.items():
        metrics.refund_oldest_seconds.labels(state.value).set(seconds)
