"""
Visits and the offices they are at, in Postgres.

Called by use cases inside their transaction. Holds ids; the names are the vault's.
"""

import datetime as dt
from collections.abc import Sequence

import msgspec

from kernel.postgres import Connection
from services.identity.domain.visits import Office, OfficeTime, Visit
from services.identity.stores import SQL


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """
    A queue number of a day and whose it is.
    """

    session: str
    starts_at: dt.datetime
    ends_at: dt.datetime
    seat: int
    service: str
    channel: str
    state: str
    booking_id: str
    person_id: str


async def keep(connection: Connection, visits: Sequence[Visit]) -> None:
    """
    Know these visits, where nothing newer is known of them.
    """
    await connection.execute(
        SQL.keep_visits,
        [visit.booking_id for visit in visits],
        [visit.version for visit in visits],
        [visit.office_id for visit in visits],
        [visit.date for visit in visits],
        [visit.session for visit in visits],
        [visit.starts_at for visit in visits],
        [visit.ends_at for visit in visits],
        [visit.service for visit in visits],
        [visit.channel for visit in visits],
        [visit.state for visit in visits],
        [",".join(map(str, visit.seats)) for visit in visits],
        [",".join(visit.person_ids) for visit in visits],
    )


async def keep_offices(connection: Connection, offices: Sequence[Office]) -> None:
    """
    Know these offices, where nothing newer is known of them.
    """
    await connection.execute(
        SQL.keep_offices,
        [office.office_id for office in offices],
        [office.name for office in offices],
        [office.timezone for office in offices],
        [office.told_at_ms for office in offices],
    )


async def read_time(connection: Connection, office_id: str) -> OfficeTime | None:
    """
    What time it is, and where; None for an office nobody was ever awaited at.
    """
    row = await connection.fetchrow(SQL.read_office_time, office_id)
    return None if row is None else OfficeTime(**row)


async def read_day(connection: Connection, office_id: str, date: dt.date, *, limit: int) -> list[Line]:
    """
    The queue numbers of an office's day, by session and number.
    """
    return [Line(**row) for row in await connection.fetch(SQL.read_visits, office_id, date, limit)]


async def forget(connection: Connection, *, keep_days: int, rows_max: int) -> int:
    """
    Forget visits of days long over. Returns how many.
    """
    return int(await connection.fetchval(SQL.forget_visits, keep_days, rows_max))
