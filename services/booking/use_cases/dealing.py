"""
Dealing: what an office's stock of booklets leaves over is dealt out to the slots that draw on it.

Called by the worker as a task; any number may run. Each takes a stock that is due, by a row it
locks, and tells quota what has changed: a slot is told fewer places, never closed, and nobody is
cancelled. Postgres gives new places nothing to sell until this has been here.
"""

import asyncio
from typing import Final

from kernel.errors import Retryable
from kernel.log import get_logger
from kernel.postgres import Database
from services.booking import metrics
from services.booking.domain.booklets import Need, deal, need_of
from services.booking.stores import booklets
from services.booking.stores.booklets import DueStock
from services.booking.use_cases.planning import tell

log = get_logger(__name__)
LOOK_AGAIN_SECONDS: Final = 10.0
"""Sales change nothing; what does (a release, a day that is over, a place that came back) can wait so long."""
PAUSE_SECONDS: Final = 1.0
TROUBLE_SECONDS: Final = 5.0


async def deal_for_ever(database: Database, *, short_days: int) -> None:
    """
    Deal until cancelled: at once while a stock is due.
    """
    while True:
        try:
            if await deal_one(database, short_days=short_days) is None:
                await count(database)
                await asyncio.sleep(PAUSE_SECONDS)
        except Retryable as error:
            log.warning("dealing_waits", error=str(error))
            await asyncio.sleep(TROUBLE_SECONDS)


async def deal_one(database: Database, *, short_days: int) -> list[str] | None:
    """
    Deal out the stock that has been due the longest. Returns the slots for which that is news; None without a stock.
    """
    async with database.transaction() as connection:
        stock = await booklets.lock_due(connection)
        if stock is None:
            return None
        slots = await booklets.slots(connection, stock.office_id, stock.kind)
        need = need_of(stock.in_stock, slots)
        changed = await booklets.limit(connection, slots, deal(need.left_over, slots))
        await tell(connection, changed)
        await booklets.put_off(
            connection,
            stock,
            left_over=need.left_over,
            short_places=need_of(stock.in_stock, slots, days=short_days).shortfall,
            after_seconds=LOOK_AGAIN_SECONDS,
        )
    _say(stock, need, changed)
    return changed


async def count(database: Database) -> None:
    """
    Say in metrics how many stocks are all promised, and what is beyond them.
    """
    async with database.connection() as connection:
        found = await booklets.short(connection)
    metrics.booklets_out.set(found.out)
    metrics.booklets_short_places.set(found.short_places)


def _say(stock: DueStock, need: Need, changed: list[str]) -> None:
    said = {"office_id": stock.office_id, "kind": stock.kind, "in_stock": stock.in_stock, "left_over": need.left_over}
    if need.left_over <= 0 < stock.left_over:
        log.warning("booklets_out", **said, shortfall=need.shortfall, slots=len(changed))
    elif stock.left_over <= 0 < need.left_over:
        log.info("booklets_back", **said, slots=len(changed))
