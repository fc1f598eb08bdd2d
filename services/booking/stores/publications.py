"""
When each office's plan is looked at again, and which days have one.

Called by the publishing use case, inside its transaction.
"""

import datetime as dt

from kernel.postgres import Connection
from services.booking.stores.statements import SQL


async def begin(connection: Connection) -> None:
    """
    Offices nobody has looked at are due.
    """
    await connection.execute(SQL.begin_publications)


async def lock_due(connection: Connection) -> str | None:
    """
    The office that has been due the longest and is in nobody's hand.
    """
    office_id: str | None = await connection.fetchval(SQL.lock_due_publication)
    return office_id


async def put_off(connection: Connection, office_id: str, look_at: dt.datetime) -> None:
    """
    Look at it again then.
    """
    await connection.execute(SQL.put_off_publication, office_id, look_at)


async def hurry(connection: Connection, office_id: str | None) -> None:
    """
    Look at it at once, or at all: its calendar has changed.
    """
    await connection.execute(SQL.hurry_publications, office_id)


async def seconds_to_next(connection: Connection) -> float | None:
    """
    Until the next office is due; None without offices.
    """
    seconds: float | None = await connection.fetchval(SQL.read_seconds_to_publication)
    return seconds


async def planned_days(connection: Connection, *, first: dt.date) -> frozenset[tuple[str, dt.date]]:
    """
    Offices and days that have slots.
    """
    return frozenset((row["office_id"], row["date"]) for row in await connection.fetch(SQL.read_planned_days, first))
