"""
What moves are decided by: slots one could go to, how often one has moved, and money that has no places.

Called by the use cases that move bookings, inside their transactions. Free places are those
booking knows of; whether they are had is quota's word alone.
"""

import datetime as dt
from collections.abc import Sequence

import msgspec

from kernel.postgres import Connection
from services.booking.domain.lifecycle import UNSEATED
from services.booking.domain.record import BookingRecord
from services.booking.domain.wishes import Why
from services.booking.stores.bookings import Step
from services.booking.stores.statements import SQL, as_json
from services.booking.stores.wishes import Standing


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """
    A slot somebody wants to move to.
    """

    slot_id: str
    office_id: str
    service: str
    channel: str
    date: dt.date
    pay_seconds: int
    closed: bool
    released: bool
    begun: bool


class Reseat(msgspec.Struct, frozen=True, kw_only=True):
    """
    A slot a payer in time may be given.
    """

    slot_id: str
    pay_seconds: int


class Alternative(msgspec.Struct, frozen=True, kw_only=True):
    """
    A slot with free places, as booking knows them.
    """

    slot_id: str
    office_id: str
    office_name: str
    city: str
    timezone: str
    date: dt.date
    session: str
    starts_at: dt.datetime
    ends_at: dt.datetime
    service: str
    channel: str
    free: int


class Unseated(msgspec.Struct, frozen=True, kw_only=True):
    """
    Money without places. `sought` while quota is asked for some.
    """

    booking_id: str
    state: str
    slot_id: str
    amount_rupiah: int
    ntpn: str
    paid_at: dt.datetime
    unseated_at: dt.datetime
    refund_asked_at: dt.datetime | None
    sought: bool


async def read_target(connection: Connection, slot_id: str) -> Target | None:
    """
    A slot by its id.
    """
    row = await connection.fetchrow(SQL.read_target, slot_id)
    return None if row is None else Target(**row)


async def read_reseats(connection: Connection, slot_id: str, *, limit: int) -> list[Reseat]:
    """
    Where a payer in time may sit, in order; the first is his own slot if that can be.
    """
    return [Reseat(**row) for row in await connection.fetch(SQL.read_reseat_slots, slot_id, limit)]


async def read_alternatives(
    connection: Connection, record: BookingRecord, *, near: dt.date, channel: str, but_not: Sequence[str], limit: int
) -> list[Alternative]:
    """
    Slots of the same service with places for all of a booking's people.
    """
    visit = record.visit
    rows = await connection.fetch(
        SQL.read_alternatives,
        visit.office_id,
        visit.city,
        visit.service,
        channel,
        near,
        len(record.person_ids),
        [visit.slot_id, *but_not],
        limit,
    )
    return [Alternative(**row) for row in rows]


async def count(connection: Connection, booking_id: str, why: Why) -> int:
    """
    How often what is now this booking was moved for a reason.
    """
    moves: int = await connection.fetchval(SQL.count_moves, booking_id, why.value)
    return moves


async def read(
    connection: Connection, *, move_id: str, booking_id: str, account_id: str | None, office_id: str | None
) -> Standing | None:
    """
    How the move of a booking stands, which must be that account's or that office's.
    """
    row = await connection.fetchrow(SQL.read_move, move_id, booking_id, account_id, office_id)
    return None if row is None else Standing(**dict(row) | {"why": Why(row["why"])})


async def is_under_way(connection: Connection, booking_id: str) -> bool:
    """
    Whether quota is asked for places for a booking and has not answered.
    """
    under_way: bool = await connection.fetchval(SQL.is_move_under_way, booking_id)
    return under_way


async def keep_late_money(connection: Connection, payments: Sequence[Step]) -> None:
    """
    Write down what was paid for bookings that have no places.
    """
    if payments:
        states = [state.value for state in UNSEATED]
        await connection.execute(SQL.keep_late_money, as_json(payments), states)


async def ask_refund(connection: Connection, booking_id: str) -> dt.datetime | None:
    """
    Note that a payer wants the money back. Since when, or None if the booking is not `paid_no_seat`.
    """
    since: dt.datetime | None = await connection.fetchval(SQL.ask_refund, booking_id)
    return since


async def read_unseated(connection: Connection, *, limit: int) -> list[Unseated]:
    """
    Money without places, oldest first.
    """
    return [Unseated(**row) for row in await connection.fetch(SQL.read_unseated, limit)]
