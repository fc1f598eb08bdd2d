"""
The audit log's seals: lines that wait, hashes, signed heads.

Called by the sealing, in its transaction, and by the verifying, which reads all of one moment
bit by bit. Seals and heads are only ever added.
"""

import datetime as dt
from collections.abc import AsyncIterator, Sequence
from typing import Any

from kernel.audit.chain import Head, Item, Line
from kernel.audit.statements import SQL
from kernel.postgres import Connection

HEADS_READ_AHEAD = 20
IDS_READ_AHEAD = 1000
LINE_FIELDS = Line.__struct_fields__
HEAD_FIELDS = Head.__struct_fields__


async def now(connection: Connection) -> dt.datetime:
    """
    The time of the server that keeps the log.
    """
    moment: dt.datetime = await connection.fetchval(SQL.read_audit_now)
    return moment


async def lead(connection: Connection) -> bool:
    """
    Whether the caller alone seals until its transaction ends.
    """
    leads: bool = await connection.fetchval(SQL.lead_sealing)
    return leads


async def take_unsealed(connection: Connection, *, limit: int) -> list[Line]:
    """
    Lines that wait for their seal; once the transaction ends they no longer do.
    """
    return [_line(row) for row in await connection.fetch(SQL.take_unsealed, limit)]


async def last_head(connection: Connection) -> Head | None:
    """
    The newest head.
    """
    row = await connection.fetchrow(SQL.read_last_head)
    return None if row is None else _head(row)


async def put(connection: Connection, head: Head, items: Sequence[Item], chain: Sequence[bytes]) -> None:
    """
    Add a batch: its seals and its head.
    """
    rows = [
        (number, item.entry_id, item.content, each)
        for number, (item, each) in enumerate(zip(items, chain, strict=True), head.first_number)
    ]
    columns = ("number", "entry_id", "content", "chain")
    await connection.copy_records_to_table("audit_seal", records=rows, columns=columns)
    await connection.execute(SQL.write_head, *(getattr(head, field) for field in HEAD_FIELDS))


async def oldest_unsealed_seconds(connection: Connection) -> float:
    """
    How long the line that was written first has waited for its seal; 0 where none waits.
    """
    seconds: float = await connection.fetchval(SQL.read_oldest_unsealed)
    return seconds


async def count_unsealed(connection: Connection) -> int:
    """
    How many lines wait.
    """
    waiting: int = await connection.fetchval(SQL.count_unsealed)
    return waiting


async def heads(connection: Connection) -> AsyncIterator[Head]:
    """
    Every head in order.
    """
    async for row in connection.cursor(SQL.read_heads, prefetch=HEADS_READ_AHEAD):
        yield _head(row)


async def seals(connection: Connection, first: int, last: int) -> dict[int, tuple[Item, bytes]]:
    """
    By number: what was sealed, and the chain up to it.
    """
    return {
        row["number"]: (Item(entry_id=row["entry_id"], content=row["content"]), row["chain"])
        for row in await connection.fetch(SQL.read_seals, first, last)
    }


async def last_number(connection: Connection) -> int:
    """
    The highest number given; 0 before the first.
    """
    number: int = await connection.fetchval(SQL.read_last_number)
    return number


async def lines(connection: Connection, entry_ids: Sequence[int]) -> dict[int, Line]:
    """
    Lines that are there, by id.
    """
    return {row["entry_id"]: _line(row) for row in await connection.fetch(SQL.read_entries, entry_ids)}


async def strangers(connection: Connection) -> AsyncIterator[int]:
    """
    Ids of lines that are neither sealed nor waiting for it.
    """
    async for row in connection.cursor(SQL.read_strangers, prefetch=IDS_READ_AHEAD):
        yield row["entry_id"]


async def lost(connection: Connection) -> AsyncIterator[int]:
    """
    Ids of lines that went before they were sealed.
    """
    async for row in connection.cursor(SQL.read_lost, prefetch=IDS_READ_AHEAD):
        yield row["entry_id"]


async def count(connection: Connection) -> tuple[int, int]:
    """
    How many lines there are, and how many of them wait.
    """
    [row] = await connection.fetch(SQL.count_entries)
    return row["entries"], row["waiting"]


def _line(row: Any) -> Line:
    return Line(**{field: row[field] for field in LINE_FIELDS})


def _head(row: Any) -> Head:
    return Head(**{field: row[field] for field in HEAD_FIELDS})
