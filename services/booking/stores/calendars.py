"""
Calendars in force: the seed's, their later editions, holidays and closed days, read as one.

Called by planning, publishing and the planners' use cases, inside their transactions.
"""

import datetime as dt

import msgspec

from kernel.postgres import Connection
from services.booking.domain.calendar import Calendar, Calendars, Edition
from services.booking.stores import offices
from services.booking.stores.statements import SQL, as_json

EPOCH = dt.date(1970, 1, 1)


async def read(connection: Connection) -> Calendars | None:
    """
    Everything windows and days are worked out from; None before the seed.
    """
    base = await offices.read_calendar(connection)
    if base is None:
        return None
    editions = tuple(
        Edition(
            office_id=row["office_id"],
            effective_from=row["effective_from"],
            body=msgspec.json.decode(row["body"], type=Calendar),
        )
        for row in await connection.fetch(SQL.read_editions)
    )
    closures: dict[str, set[dt.date]] = {}
    for row in await connection.fetch(SQL.read_closures, EPOCH):
        closures.setdefault(row["office_id"], set()).add(row["day"])
    return Calendars(
        base=base,
        editions=editions,
        holidays=frozenset(row["day"] for row in await connection.fetch(SQL.read_days_off, EPOCH)),
        closures={office_id: frozenset(days) for office_id, days in closures.items()},
    )


async def put_edition(
    connection: Connection, *, office_id: str | None, effective_from: dt.date, body: Calendar, actor: str
) -> None:
    """
    Keep a calendar in force from a day on.
    """
    await connection.execute(SQL.put_edition, office_id, effective_from, as_json(body), actor)


async def put_closures(
    connection: Connection, *, office_id: str, first: dt.date, last: dt.date, actor: str, reason: str
) -> None:
    """
    Keep days on which an office does not serve.
    """
    await connection.execute(SQL.put_closures, office_id, first, last, actor, reason)
