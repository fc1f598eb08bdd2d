"""
What the desk reads and notes: places, check-ins, the sheet of a day.

Called by the visiting use cases inside their transaction, and by the routes of the day sheet.
Never moves a booking.
"""

import datetime as dt
from typing import Annotated

import msgspec

from kernel.postgres import Connection
from services.booking.domain.desk import How
from services.booking.domain.lifecycle import State
from services.booking.stores.statements import SQL

Word = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]{1,64}$")]


class Place(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    A queue number: of which day, session, service and channel.
    """

    date: dt.date
    session: Word
    service: Word
    channel: Word = "online"
    number: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]


class CheckIn(msgspec.Struct, frozen=True, kw_only=True):
    """
    Who saw a family, and when.
    """

    at: dt.datetime
    by_account: str
    how: How


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """
    A queue number of a day and who has it.
    """

    session: str
    starts_at: dt.datetime
    ends_at: dt.datetime
    seat: int
    service: str
    channel: str
    state: State
    booking_id: str
    person_id: str
    checked_in_at: dt.datetime | None


class Revoked(msgspec.Struct, frozen=True, kw_only=True):
    """
    A booking that had a ticket and is no longer valid.
    """

    booking_id: str
    state: State
    since: dt.datetime


class OfficeTime(msgspec.Struct, frozen=True, kw_only=True):
    """
    An office's name and zone, and the time of the server that decides.
    """

    name: str
    timezone: str
    now: dt.datetime


async def find(connection: Connection, office_id: str, place: Place) -> str | None:
    """
    The booking that has a queue number.
    """
    booking_id: str | None = await connection.fetchval(
        SQL.find_booking_by_place, office_id, place.date, place.session, place.service, place.channel, place.number
    )
    return booking_id


async def note(connection: Connection, booking_id: str, check_in: CheckIn) -> None:
    """
    Write down who was seen. Raises if somebody has noted it before: whoever calls holds the booking's lock.
    """
    await connection.execute(SQL.write_check_in, booking_id, check_in.at, check_in.by_account, check_in.how.value)


async def read_check_in(connection: Connection, booking_id: str) -> CheckIn | None:
    """
    Who saw that booking's people, and when.
    """
    row = await connection.fetchrow(SQL.read_check_in, booking_id)
    return None if row is None else CheckIn(at=row["at"], by_account=row["by_account"], how=How(row["how"]))


async def read_time(connection: Connection, office_id: str) -> OfficeTime | None:
    """
    What time it is, and where; None if there is no such office.
    """
    row = await connection.fetchrow(SQL.read_office_zone, office_id)
    return None if row is None else OfficeTime(name=row["name"], timezone=row["timezone"], now=row["now"])


async def read_sheet(connection: Connection, office_id: str, date: dt.date, *, limit: int) -> list[Line]:
    """
    The queue numbers of an office's day that are taken, by session and number.
    """
    rows = await connection.fetch(SQL.read_day_sheet, office_id, date, limit)
    return [Line(**{**row, "state": State(row["state"])}) for row in rows]


async def read_revoked(connection: Connection, office_id: str, date: dt.date, *, limit: int) -> list[Revoked]:
    """
    Bookings of an office's day that were paid and are no longer valid.
    """
    rows = await connection.fetch(SQL.read_revoked, office_id, date, limit)
    return [Revoked(**{**row, "state": State(row["state"])}) for row in rows]
