"""
Closed days: their slots, their bookings, and where these may go.

Called by the closing and rebooking use cases, inside their transactions.
"""

import datetime as dt
from typing import Any

import msgspec

from kernel.postgres import Connection
from services.booking.stores.statements import SQL


class Stranded(msgspec.Struct, frozen=True, kw_only=True):
    """
    A booking of a closed day for which nothing is under way.
    """

    booking_id: str
    state: str
    account_id: str
    person_ids: tuple[str, ...]
    office_id: str
    date: dt.date
    session: str
    service: str
    channel: str
    timezone: str
    pay_seconds: int
    closed_by: str
    asked_before: int


class ClosedBooking(msgspec.Struct, frozen=True, kw_only=True):
    """
    What has become of a booking of a closed day. `wish_state` is that of its last move: asked, held or refused.
    """

    booking_id: str
    state: str
    places: int
    reason: str | None
    moved_to: str | None
    wish_state: str | None
    refusal: str | None


class Closure(msgspec.Struct, frozen=True, kw_only=True):
    """
    Since when a day is closed, and why.
    """

    reason: str
    closed_at: dt.datetime


async def close_slots(connection: Connection, office_id: str, first: dt.date, last: dt.date) -> list[str]:
    """
    Close every slot of those days. Returns those that were open.
    """
    return [row["slot_id"] for row in await connection.fetch(SQL.close_days, office_id, first, last)]


async def lock_stranded(connection: Connection, *, limit: int, again_after_seconds: float) -> list[Stranded]:
    """
    Bookings that still stand on closed days, locked; refused ones again after a while.
    """
    rows: list[Any] = await connection.fetch(SQL.lock_closed_bookings, limit, again_after_seconds)
    return [Stranded(**dict(row) | {"person_ids": tuple(row["person_ids"])}) for row in rows]


async def next_places(connection: Connection, booking: Stranded, *, limit: int) -> tuple[str, ...]:
    """
    Slots of the office's later days that have room for a booking, in the order to try.
    """
    rows = await connection.fetch(
        SQL.read_next_places,
        booking.office_id,
        booking.date,
        booking.service,
        booking.channel,
        booking.session,
        len(booking.person_ids),
        limit,
    )
    return tuple(row["slot_id"] for row in rows)


async def bookings_of(connection: Connection, office_id: str, day: dt.date) -> list[ClosedBooking]:
    """
    Every booking that stood when the day was closed.
    """
    return [ClosedBooking(**row) for row in await connection.fetch(SQL.read_closed_bookings, office_id, day)]


async def read(connection: Connection, office_id: str, day: dt.date) -> Closure | None:
    """
    Whether a day is closed.
    """
    row = await connection.fetchrow(SQL.read_closure, office_id, day)
    return None if row is None else Closure(**row)
