"""
Bookings asked for at an office's counter: what they count for and what became of them.

Called by the seating use case inside its transaction, and by its routes' readers.
"""

import datetime as dt

import msgspec

from kernel.postgres import Connection
from services.booking.domain.counter import Ground
from services.booking.domain.lifecycle import KEEPS_PLACES, State
from services.booking.domain.wishes import Why
from services.booking.stores.statements import SQL

SLOTS_MAX = 50
"""A wish names no more."""


class Seating(msgspec.Struct, frozen=True, kw_only=True):
    """
    What a booking of the counter counts for.
    """

    booking_id: str
    office_id: str
    day: dt.date
    why: Why
    ground: Ground | None
    persons: int


class Seated(msgspec.Struct, frozen=True, kw_only=True):
    """
    What became of it. Of the booking nothing is known until quota has answered.
    """

    booking_id: str
    office_id: str
    day: dt.date
    why: Why
    ground: Ground | None
    wish_state: str
    refusal: str | None
    account_id: str
    booking_state: State | None
    reason: str | None
    slot_id: str | None
    seats: tuple[int, ...] | None
    person_ids: tuple[str, ...] | None
    pay_by: dt.datetime | None
    billing_code: str | None
    virtual_account: str | None
    amount_rupiah: int | None
    session: str | None
    starts_at: dt.datetime | None
    ends_at: dt.datetime | None
    timezone: str | None
    service: str | None


async def lock(connection: Connection, office_id: str) -> str | None:
    """
    Keep other officers of an office waiting until the caller's transaction ends. Its time zone; None if there is none.
    """
    timezone: str | None = await connection.fetchval(SQL.lock_counter, office_id)
    return timezone


async def slot_ids(
    connection: Connection, *, office_id: str, day: dt.date, service: str, channel: str, session: str | None
) -> tuple[str, ...]:
    """
    Slots that are planned and not over, the earliest first.
    """
    rows = await connection.fetch(SQL.read_counter_slots, office_id, day, service, channel, session, SLOTS_MAX)
    return tuple(row["slot_id"] for row in rows)


async def places_given(connection: Connection, *, office_id: str, day: dt.date, why: Why) -> int:
    """
    Places given or asked for; those that came back do not count.
    """
    given: int = await connection.fetchval(
        SQL.count_counter_places, office_id, day, why.value, [state.value for state in KEEPS_PLACES]
    )
    return given


async def put(connection: Connection, seating: Seating) -> None:
    """
    Note what a wish counts for.
    """
    await connection.execute(
        SQL.put_counter_seating,
        seating.booking_id,
        seating.office_id,
        seating.day,
        seating.why.value,
        None if seating.ground is None else seating.ground.value,
        seating.persons,
    )


async def read(connection: Connection, booking_id: str, *, office_id: str) -> Seated | None:
    """
    What became of a booking of that office's counter.
    """
    row = await connection.fetchrow(SQL.read_counter_seating, booking_id, office_id)
    return None if row is None else msgspec.convert(dict(row), Seated)
