"""
Bookings, their seats, their people and their history.

Called by the recording, paying, expiring and cancelling use cases, inside their
transactions, and by routes' readers. A step that Postgres refuses raises; a step whose
booking has moved on meanwhile is simply not among those returned.
"""

import datetime as dt
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any

import asyncpg
import msgspec

from contracts.events import ReservationHeld
from kernel.postgres import Connection
from services.booking.domain.lifecycle import KEEPS_PERSONS, KEEPS_PLACES, State
from services.booking.domain.record import BookingRecord, Visit, visit_by_id
from services.booking.stores.statements import SQL, as_json

EXPORT_ROWS = 500
BOOKING_COLUMNS = (
    "booking_id",
    "account_id",
    "slot_id",
    "seats",
    "person_ids",
    "state",
    "pay_by",
    "held_at",
    "changed_at",
    "partition",
    "epoch",
    "seq",
)
SEAT_COLUMNS = ("slot_id", "seat", "booking_id")
PERSON_COLUMNS = ("person_id", "booking_id")


class Step(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """
    A booking that is to take a step, and what is learned with it.
    """

    booking_id: str
    billing_code: str | None = None
    virtual_account: str | None = None
    amount_rupiah: int | None = None
    ntpn: str | None = None
    paid_at: dt.datetime | None = None
    reason: str | None = None
    moved_to: str | None = None
    pick_up_on: dt.date | None = None
    blocked_until: dt.datetime | None = None
    pardoned_at: dt.datetime | None = None


class Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """
    A booking that is new in this transaction, and what of its claim was still free.
    """

    record: BookingRecord
    has_slot: bool
    has_seats: bool
    has_persons: bool

    @property
    def stands(self) -> bool:
        """
        Whether every place and person is its own.
        """
        return self.has_slot and self.has_seats and self.has_persons


class HistoryEntry(msgspec.Struct, frozen=True, kw_only=True):
    """
    A state and when it began.
    """

    state: State
    at: dt.datetime


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """
    A booking with its history, for its holder.
    """

    record: BookingRecord
    history: tuple[HistoryEntry, ...]


_history = msgspec.json.Decoder(tuple[HistoryEntry, ...])


async def copy(connection: Connection, holds: Sequence[ReservationHeld], *, now: dt.datetime) -> bool:
    """
    Write holds, their seats and their people, if all are new and free. False, and nothing is written, if any is not.

    In order of what is unique, so that two writers never wait for each other crosswise.
    """
    bookings = sorted(
        (
            hold.reservation_id,
            hold.account_id,
            hold.slot_id,
            hold.seats,
            hold.person_ids,
            State.HELD.value,
            moment_of(hold.pay_by_ms),
            moment_of(hold.at_ms),
            now,
            hold.partition,
            hold.epoch,
            hold.seq,
        )
        for hold in holds
    )
    seats = sorted((hold.slot_id, seat, hold.reservation_id) for hold in holds for seat in hold.seats)
    persons = sorted((person_id, hold.reservation_id) for hold in holds for person_id in hold.person_ids)
    try:
        async with connection.transaction():
            await connection.copy_records_to_table("booking", records=bookings, columns=BOOKING_COLUMNS)
            await connection.copy_records_to_table("booking_seat", records=seats, columns=SEAT_COLUMNS)
            await connection.copy_records_to_table("booking_person", records=persons, columns=PERSON_COLUMNS)
    except asyncpg.UniqueViolationError:
        return False
    return True


async def record(
    connection: Connection, holds: Sequence[ReservationHeld], *, state: State, reason: str | None = None
) -> list[Recorded]:
    """
    Write those holds that are not known yet, in order of their sequence. Returns the new ones.
    """
    rows = [
        {
            "booking_id": hold.reservation_id,
            "account_id": hold.account_id,
            "slot_id": hold.slot_id,
            "seats": hold.seats,
            "person_ids": hold.person_ids,
            "pay_by": moment_of(hold.pay_by_ms),
            "held_at": moment_of(hold.at_ms),
            "partition": hold.partition,
            "epoch": hold.epoch,
            "seq": hold.seq,
            "reason": reason,
        }
        for hold in holds
    ]
    return [
        Recorded(
            record=record_of(row),
            has_slot=row["office_id"] is not None,
            has_seats=row["has_seats"],
            has_persons=row["has_persons"],
        )
        for row in await connection.fetch(SQL.record_bookings, as_json(rows), state.value)
    ]


async def lock(connection: Connection, booking_ids: Iterable[str]) -> dict[str, BookingRecord]:
    """
    Bookings as they are now and stay until the caller's transaction ends.
    """
    rows = await connection.fetch(SQL.lock_bookings, sorted(set(booking_ids)))
    return {row["booking_id"]: record_of(row) for row in rows}


async def seconds_to_next_deadline(connection: Connection) -> float | None:
    """
    Until the next unpaid booking is due; negative when one is overdue, None when there is none.
    """
    seconds: float | None = await connection.fetchval(SQL.read_next_deadline)
    return seconds


async def move(
    connection: Connection, steps: Sequence[Step], *, to: State, come_from: Iterable[State]
) -> list[BookingRecord]:
    """
    Take a step with every booking that is in one of `come_from`. Returns those that took it.
    """
    if not steps:
        return []
    rows = await connection.fetch(
        SQL.move_bookings,
        to.value,
        [state.value for state in come_from],
        as_json(steps),
        to in KEEPS_PLACES,
        to in KEEPS_PERSONS,
    )
    return [record_of(row) for row in rows]


async def read(connection: Connection, booking_id: str, *, account_id: str) -> Told | None:
    """
    A booking of that account; somebody else's is as absent as none.
    """
    row = await connection.fetchrow(SQL.read_booking, booking_id, account_id)
    return None if row is None else _told(row)


async def read_any(connection: Connection, booking_id: str) -> Told | None:
    """
    A booking, whoever has it: for callers whose right to see it is known.
    """
    row = await connection.fetchrow(SQL.read_any_booking, booking_id)
    return None if row is None else _told(row)


async def read_page(
    connection: Connection, *, account_id: str, held_before: dt.datetime, id_before: str, limit: int
) -> list[Told]:
    """
    An account's bookings, newest first, from behind a place on.
    """
    rows = await connection.fetch(SQL.read_bookings, account_id, held_before, id_before, limit)
    return [_told(row) for row in rows]


async def export(connection: Connection) -> AsyncIterator[str]:
    """
    Slots, bookings and watermarks as JSON lines. Inside one transaction they are of one moment.
    """
    for statement in (SQL.export_slots, SQL.export_bookings, SQL.export_watermarks):
        async for row in connection.cursor(statement, prefetch=EXPORT_ROWS):
            yield row[0]


def moment_of(at_ms: int) -> dt.datetime:
    """
    Milliseconds since 1970 UTC as a moment.
    """
    return dt.datetime.fromtimestamp(at_ms / 1000, tz=dt.UTC)


def record_of(row: Any) -> BookingRecord:
    """
    A joined row as a record.
    """
    return BookingRecord(
        booking_id=row["booking_id"],
        account_id=row["account_id"],
        person_ids=tuple(row["person_ids"]),
        seats=tuple(row["seats"]),
        state=State(row["state"]),
        version=row["version"],
        pay_by=row["pay_by"],
        held_at=row["held_at"],
        changed_at=row["changed_at"],
        billing_code=row["billing_code"],
        virtual_account=row["virtual_account"],
        amount_rupiah=row["amount_rupiah"],
        ntpn=row["ntpn"],
        paid_at=row["paid_at"],
        reason=row["reason"],
        moved_to=row["moved_to"],
        pick_up_on=row["pick_up_on"],
        blocked_until=row["blocked_until"],
        pardoned_at=row["pardoned_at"],
        unseated_at=row["unseated_at"],
        refund_asked_at=row["refund_asked_at"],
        visit=_visit_of(row),
    )


def _visit_of(row: Any) -> Visit:
    if row["office_id"] is None:
        return visit_by_id(row["slot_id"])
    return Visit(**{name: row[name] for name in Visit.__struct_fields__})


def _told(row: Any) -> Told:
    return Told(record=record_of(row), history=_history.decode(row["history"]))
