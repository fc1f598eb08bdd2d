"""
Forget what nobody needs: accounts never activated, log-in windows long over, visits of days long past.

A task of the worker, for ever and slowly, a bounded number of rows at a time.
"""

import asyncio

from kernel.errors import Retryable
from kernel.log import get_logger
from kernel.postgres import Database
from services.identity.stores import accounts, visits

TIDY_SECONDS = 60.0
ROWS_MAX = 1000
log = get_logger(__name__)


async def tidy(
    database: Database, *, pending_keep_seconds: int, login_window_seconds: int, visits_keep_days: int
) -> None:
    """
    Run until cancelled.
    """
    while True:
        try:
            erased = await tidy_once(
                database,
                pending_keep_seconds=pending_keep_seconds,
                login_window_seconds=login_window_seconds,
                visits_keep_days=visits_keep_days,
            )
            if erased:
                log.info("pending_accounts_erased", count=erased)
        except Retryable as error:
            log.warning("identity_tidy_waits", error=str(error))
        await asyncio.sleep(TIDY_SECONDS)


async def tidy_once(
    database: Database, *, pending_keep_seconds: int, login_window_seconds: int, visits_keep_days: int
) -> int:
    """
    One round. Returns how many accounts were erased.
    """
    async with database.transaction() as connection:
        await visits.forget(connection, keep_days=visits_keep_days, rows_max=ROWS_MAX)
        await accounts.forget_attempts(connection, older_than_seconds=login_window_seconds, rows_max=ROWS_MAX)
        return await accounts.erase_pending(connection, older_than_seconds=pending_keep_seconds, rows_max=ROWS_MAX)
