"""
What quota needs to sell again after Valkey was lost, read as a stream of lines.

Called by the snapshotting use case inside one transaction. Bookings come out of Postgres as it
copies them, tab-separated, without a Python object each: a million of them take seconds.
"""

from collections.abc import Callable, Coroutine
from typing import Any

from kernel.postgres import Connection
from services.booking.domain.lifecycle import KEEPS_PERSONS, KEEPS_PLACES
from services.booking.domain.sequence import Line
from services.booking.stores.statements import SQL

COPY_SECONDS_MAX = 600.0
ENDED_DAYS = 30
"""Who asks again for what ended longer ago than this is told by booking, not by quota."""

Take = Callable[[bytes], Coroutine[Any, Any, None]]


async def lines(connection: Connection) -> dict[Line, int]:
    """
    How far every partition is recorded in every epoch.
    """
    return {(row["partition"], row["epoch"]): row["seq"] for row in await connection.fetch(SQL.read_lines)}


async def slot_ids(connection: Connection) -> list[str]:
    """
    Every slot there is.
    """
    return [row["slot_id"] for row in await connection.fetch(SQL.read_slot_ids)]


async def copy_bookings(connection: Connection, take: Take) -> int:
    """
    Hand everything out that has ended lately, then what keeps places. Returns how many.
    """
    keeping = [state.value for state in KEEPS_PLACES]
    ended = await connection.copy_from_query(
        SQL.snapshot_ended, keeping, ENDED_DAYS, output=take, timeout=COPY_SECONDS_MAX
    )
    kept = await connection.copy_from_query(
        SQL.snapshot_bookings, keeping, [state.value for state in KEEPS_PERSONS], output=take, timeout=COPY_SECONDS_MAX
    )
    return _count(ended) + _count(kept)


async def copy_blocks(connection: Connection, take: Take) -> None:
    """
    Hand out who may not reserve yet.
    """
    await connection.copy_from_query(SQL.snapshot_blocks, output=take, timeout=COPY_SECONDS_MAX)


def _count(status: str) -> int:
    # "COPY 17"
    return int(status.rpartition(" ")[2])
