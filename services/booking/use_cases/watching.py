"""
Watching: work of this room that should be done by now and is not, counted for whoever is on call.

Called by the worker as a task of its own, for a sweeper that stands still says nothing. Only counts: the sweepers
do the work, and any number may watch.
"""

import asyncio
from typing import Final

import msgspec

from kernel.errors import Retryable
from kernel.log import get_logger
from kernel.postgres import Connection, Database
from services.booking import metrics
from services.booking.stores import incidents, wishes

log = get_logger(__name__)
WATCH_SECONDS: Final = 30.0


class Undone(msgspec.Struct, frozen=True, kw_only=True):
    """
    What is overdue. Zero where nothing is.
    """

    no_show_slots: int
    """Slots whose office has ended its day, and where somebody is still awaited."""
    unanswered_seconds: float
    """How long ago quota should have answered the oldest open wish."""


async def watch_for_ever(database: Database, *, grace_seconds: float) -> None:
    """
    Count until cancelled.
    """
    while True:
        try:
            async with database.connection() as connection:
                told(await undone(connection, grace_seconds=grace_seconds))
        except Retryable as error:
            log.warning("watching_waits", error=str(error))
        await asyncio.sleep(WATCH_SECONDS)


async def undone(connection: Connection, *, grace_seconds: float) -> Undone:
    """
    What is overdue now, by the clock of Postgres.
    """
    return Undone(
        no_show_slots=len(await incidents.slots_over(connection, grace_seconds=grace_seconds)),
        unanswered_seconds=await wishes.unanswered_seconds(connection),
    )


def told(undone_now: Undone) -> None:
    """
    Put it where Prometheus looks.
    """
    metrics.no_show_slots_overdue.set(undone_now.no_show_slots)
    metrics.wishes_unanswered_seconds.set(undone_now.unanswered_seconds)
