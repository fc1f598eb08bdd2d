"""
How far quota's decisions are recorded, per partition and epoch.

Called by the recording use case, which locks lines before it looks and moves them with
what it recorded, and by the announcer.
"""

from collections.abc import Iterable, Mapping

from contracts.events import BookingWatermark
from kernel.postgres import Connection
from services.booking.domain.sequence import Line
from services.booking.stores.statements import SQL


async def lock(connection: Connection, lines: Iterable[Line]) -> dict[Line, int]:
    """
    The recorded numbers, which nobody else can move until the caller's transaction ends.
    """
    ordered = sorted(set(lines))
    columns = [line[0] for line in ordered], [line[1] for line in ordered]
    rows = await connection.fetch(SQL.lock_watermarks, *columns)
    if len(rows) < len(ordered):
        await connection.execute(SQL.begin_watermarks, *columns)
        rows = await connection.fetch(SQL.lock_watermarks, *columns)
    return {(row["partition"], row["epoch"]): row["seq"] for row in rows}


async def move(connection: Connection, moved: Mapping[Line, int]) -> None:
    """
    Note new numbers.
    """
    if moved:
        await connection.execute(
            SQL.move_watermarks, [line[0] for line in moved], [line[1] for line in moved], list(moved.values())
        )


async def read(connection: Connection) -> list[BookingWatermark]:
    """
    Every partition's number in its newest epoch.
    """
    return [
        BookingWatermark(partition=row["partition"], epoch=row["epoch"], seq=row["seq"])
        for row in await connection.fetch(SQL.read_watermarks)
    ]
