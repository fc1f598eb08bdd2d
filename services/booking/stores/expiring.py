"""
Overdue bookings, ended by the ten thousand.

Called by the expiring use case, inside its transaction. Everything is one statement, so that what is ended is read,
and written, once.
"""

import datetime as dt

import msgspec

from kernel.postgres import Connection
from services.booking.stores.statements import SQL

_EXPIRE_NEWEST = SQL.expire_overdue.replace(" ASC", " DESC")
"""The same statement from the other end: Postgres takes no direction as a parameter."""


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """
    A booking that has just expired, as far as it is told.
    """

    booking_id: str
    account_id: str
    slot_id: str
    seats: tuple[int, ...]
    person_ids: tuple[str, ...]
    version: int
    pay_by: dt.datetime
    changed_at: dt.datetime


async def expire_overdue(connection: Connection, *, limit: int, newest_first: bool = False) -> list[Ended]:
    """
    End unpaid bookings past their deadline that nobody else has in hand, and free what they hold.

    Those overdue longest come first, or last: two that come from either end are not in each other's pages.
    """
    await connection.execute(SQL.step_row_by_row)
    return [
        Ended(
            booking_id=booking_id,
            account_id=account_id,
            slot_id=slot_id,
            seats=tuple(seats),
            person_ids=tuple(person_ids),
            version=version,
            pay_by=pay_by,
            changed_at=changed_at,
        )
        for booking_id, account_id, slot_id, seats, person_ids, version, pay_by, changed_at in await connection.fetch(
            _EXPIRE_NEWEST if newest_first else SQL.expire_overdue, limit
        )
    ]
