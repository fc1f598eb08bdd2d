"""
The inbox: which events a consumer has taken, noted in the transaction of their effect.

Called by consumers' use cases: `fresh` says which of a batch are new, and takes them.
If the transaction fails, they were not taken.
"""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Protocol, TypeVar

from kernel.errors import Retryable
from kernel.log import get_logger
from kernel.outbox import SQL
from kernel.postgres import Connection, Database

log = get_logger(__name__)
KEEP = timedelta(days=8)
"""Longer than any topic keeps a message."""
TIDY_SECONDS = 60.0


class Identified(Protocol):
    """
    Anything with the id that recognises a second delivery.
    """

    @property
    def event_id(self) -> str: ...  # noqa: D102 - said by the class


T = TypeVar("T", bound=Identified)


async def fresh(connection: Connection, consumer: str, events: Sequence[T]) -> list[T]:
    """
    Take a batch in the caller's transaction. Returns those not taken before, in order, each id once.
    """
    taken = await connection.fetch(SQL.take_inbox, consumer, list(dict.fromkeys(e.event_id for e in events)))
    ids = {row["event_id"] for row in taken}
    first: dict[str, T] = {}
    for event in events:
        if event.event_id in ids:
            first.setdefault(event.event_id, event)
    return list(first.values())


async def tidy(database: Database) -> None:
    """
    Forget, for ever and slowly, what no broker delivers and no client asks for any more.
    """
    while True:
        try:
            async with database.connection() as connection:
                await connection.execute(SQL.delete_inbox, KEEP, 1000)
                await connection.execute(SQL.delete_idempotency, KEEP, 1000)
        except Retryable as error:
            log.warning("inbox_tidy_waits", error=str(error))
        await asyncio.sleep(TIDY_SECONDS)
