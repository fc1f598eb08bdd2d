"""
Offices, holidays and the calendar.

Called by the seed, the planner and the offices page.
"""

import datetime as dt
from collections.abc import Sequence

import msgspec

from kernel.postgres import Connection
from services.booking.domain.calendar import Calendar
from services.booking.domain.plan import Office
from services.booking.domain.windows import Span
from services.booking.stores.statements import SQL, as_json


class Holiday(msgspec.Struct, frozen=True, kw_only=True):
    """
    A day on which no office serves.
    """

    day: dt.date
    name: str
    kind: str


async def put(
    connection: Connection, *, offices: Sequence[Office], holidays: Sequence[Holiday], calendar: Calendar
) -> int:
    """
    Load what the seed read. Returns how many offices were new or changed.
    """
    changed: int = await connection.fetchval(SQL.put_offices, as_json(offices))
    await connection.execute(SQL.put_holidays, as_json(holidays))
    await connection.execute(SQL.put_calendar, as_json(calendar))
    return changed


async def read(connection: Connection) -> list[Office]:
    """
    All offices, by province, city and name.
    """
    return [Office(**row) for row in await connection.fetch(SQL.read_offices)]


async def read_calendar(connection: Connection) -> Calendar | None:
    """
    The calendar, or None before the seed.
    """
    body = await connection.fetchval(SQL.read_calendar)
    return None if body is None else msgspec.json.decode(body, type=Calendar)


async def read_spans(connection: Connection) -> dict[str, list[Span]]:
    """
    The windows of every office's slots.
    """
    spans: dict[str, list[Span]] = {}
    for row in await connection.fetch(SQL.read_office_spans):
        spans.setdefault(row["office_id"], []).append(Span(opens_at=row["opens_at"], closes_at=row["closes_at"]))
    return spans


async def read_now(connection: Connection) -> dt.datetime:
    """
    The time of the server that decides.
    """
    now: dt.datetime = await connection.fetchval(SQL.read_now)
    return now
