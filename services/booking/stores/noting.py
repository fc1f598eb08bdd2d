"""
Walk-ins as a desk noted them without a network, and what has become of each.

Called by the noting use case inside its transactions, and by readers of the leaf.
"""

import datetime as dt
from collections.abc import Sequence
from typing import Any

import msgspec

from kernel.postgres import Connection
from services.booking.domain.lifecycle import State
from services.booking.domain.noting import WalkInOutcome, outcome_of
from services.booking.stores.statements import SQL

FREE_NUMBERS_MAX = 200


class WalkInNote(msgspec.Struct, frozen=True, kw_only=True):
    """
    People who came without a booking, as they were noted. `numbers` are queue numbers the desk handed out.
    """

    entry_id: str
    day: dt.date
    service: str
    persons: int
    numbers: tuple[int, ...]
    at: dt.datetime
    by_account: str
    served: bool


class Became(msgspec.Struct, frozen=True, kw_only=True):
    """
    A note and what stands of it now.
    """

    note: WalkInNote
    outcome: WalkInOutcome
    attempts: int
    booking_id: str | None
    refusal: str | None
    state: State | None
    slot_id: str | None
    seats: tuple[int, ...]
    pay_by: dt.datetime | None
    billing_code: str | None
    virtual_account: str | None
    amount_rupiah: int | None


class WalkInPlaces(msgspec.Struct, frozen=True, kw_only=True):
    """
    Walk-in places of a session and service, and the numbers nobody has as far as is recorded.
    """

    slot_id: str
    session: str
    service: str
    starts_at: dt.datetime
    ends_at: dt.datetime
    places: int
    free_numbers: list[int]


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """
    A booking whose people a desk has seen: when, who, and whether they were served.
    """

    booking_id: str
    office_id: str
    at: dt.datetime
    by_account: str
    served: bool
    uploaded_by: str


async def put(connection: Connection, office_id: str, note: WalkInNote, *, uploaded_by: str) -> None:
    """
    Keep a note. Raises if there is one under its id: whoever calls holds the office's lock.
    """
    await connection.execute(
        SQL.put_offline_walk_in,
        office_id,
        note.entry_id,
        note.day,
        note.service,
        note.persons,
        note.numbers,
        note.at,
        note.by_account,
        note.served,
        uploaded_by,
    )


async def asked(connection: Connection, office_id: str, entry_id: str, *, booking_id: str) -> None:
    """
    Places are asked for by that wish.
    """
    await connection.execute(SQL.ask_for_offline_walk_in, office_id, entry_id, booking_id)


async def read(connection: Connection, office_id: str, entry_ids: Sequence[str]) -> dict[str, Became]:
    """
    What has become of those of these that were noted.
    """
    rows = await connection.fetch(SQL.read_offline_walk_ins, office_id, list(entry_ids), None, len(entry_ids))
    return {row["entry_id"]: _became(row) for row in rows}


async def read_day(connection: Connection, office_id: str, day: dt.date, *, limit: int) -> list[Became]:
    """
    What has become of everybody noted on a day, in the order they came.
    """
    return [_became(row) for row in await connection.fetch(SQL.read_offline_walk_ins, office_id, [], day, limit)]


async def slot_at(
    connection: Connection, office_id: str, day: dt.date, *, service: str, channel: str, at: dt.datetime
) -> str | None:
    """
    The slot of that hour; None where the day has no such places.
    """
    slot_id: str | None = await connection.fetchval(SQL.read_walk_in_slot, office_id, day, service, channel, at)
    return slot_id


async def places(connection: Connection, office_id: str, day: dt.date, *, channel: str) -> list[WalkInPlaces]:
    """
    An office's walk-in places of a day.
    """
    rows = await connection.fetch(SQL.read_walk_in_places, office_id, day, channel, FREE_NUMBERS_MAX)
    return [WalkInPlaces(**row) for row in rows]


async def seen_among(connection: Connection, booking_ids: Sequence[str]) -> list[Seen]:
    """
    Those of these bookings whose people a desk has seen without a network.
    """
    return [Seen(**row) for row in await connection.fetch(SQL.read_noted_bookings, booking_ids)]


def _became(row: Any) -> Became:
    state = None if row["booking_state"] is None else State(row["booking_state"])
    return Became(
        note=WalkInNote(
            **{name: row[name] for name in WalkInNote.__struct_fields__} | {"numbers": tuple(row["numbers"])}
        ),
        outcome=outcome_of(row["wish_state"], state),
        attempts=row["attempts"],
        booking_id=row["booking_id"],
        refusal=row["refusal"],
        state=state,
        slot_id=row["slot_id"],
        seats=tuple(row["seats"] or ()),
        pay_by=row["pay_by"],
        billing_code=row["billing_code"],
        virtual_account=row["virtual_account"],
        amount_rupiah=row["amount_rupiah"],
    )
