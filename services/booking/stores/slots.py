"""
Slots as planned, and the windows they are released in.

Called by the planning and window use cases, inside their transactions.
"""

import datetime as dt
from collections.abc import Sequence

import msgspec

from contracts.events import SlotPlanned
from kernel.postgres import Connection
from services.booking.domain.plan import PlannedSlot
from services.booking.domain.record import in_zone, ms_of
from services.booking.stores.statements import SQL, as_json

CHUNK_ROWS = 3000
"""Slots per statement: a nation's week takes four, each well below the statement deadline."""


class WindowRow(msgspec.Struct, frozen=True, kw_only=True):
    """
    A window as it is kept. Without office and zone it is for the whole nation.
    """

    window_id: str
    kind: str
    office_id: str | None = None
    timezone: str | None = None
    first_day: dt.date
    last_day: dt.date
    opens_at: dt.datetime
    closes_at: dt.datetime
    pay_seconds: int


class WindowListed(WindowRow, frozen=True, kw_only=True):
    """
    A window with where it stands and what it releases.
    """

    begun: bool
    over: bool
    slots: int
    places: int


class Opening(msgspec.Struct, frozen=True, kw_only=True):
    """
    A window for the days of one office.
    """

    office_id: str
    window_id: str
    first_day: dt.date
    last_day: dt.date
    opens_at: dt.datetime
    closes_at: dt.datetime
    next_opens_at: dt.datetime | None
    pay_seconds: int


async def put_windows(connection: Connection, windows: Sequence[WindowRow]) -> None:
    """
    Load windows by id.
    """
    await connection.execute(SQL.put_windows, as_json(windows))


async def read_windows(connection: Connection, *, now: dt.datetime) -> list[WindowListed]:
    """
    Windows of the seven days before `now`, open then and to come.
    """
    return [WindowListed(**row) for row in await connection.fetch(SQL.read_windows, now)]


async def put(connection: Connection, slots: Sequence[PlannedSlot]) -> list[str]:
    """
    Write a plan. Returns the ids of slots that are new or differ from what was planned.
    """
    changed: list[str] = []
    for start in range(0, len(slots), CHUNK_ROWS):
        rows = await connection.fetch(SQL.put_slots, as_json(slots[start : start + CHUNK_ROWS]))
        changed += [row["slot_id"] for row in rows]
    return changed


async def close_unplanned(
    connection: Connection, *, days: Sequence[tuple[str, dt.date]], planned: Sequence[str]
) -> list[str]:
    """
    Close what the plan of those offices' days does not hold any more. Returns the ids.
    """
    office_ids, dates = [office_id for office_id, _ in days], [day for _, day in days]
    rows = await connection.fetch(SQL.close_unplanned_slots, office_ids, dates, planned)
    return [row["slot_id"] for row in rows]


async def open_for(connection: Connection, openings: Sequence[Opening]) -> list[str]:
    """
    Give slots another window. Returns the ids of those that have it now.
    """
    return [row["slot_id"] for row in await connection.fetch(SQL.open_slots, as_json(openings))]


async def read(connection: Connection, slot_ids: Sequence[str]) -> list[SlotPlanned]:
    """
    Slots as they are told to quota.
    """
    return [
        SlotPlanned(
            slot_id=row["slot_id"],
            version=row["version"],
            office_id=row["office_id"],
            office_name=row["office_name"],
            city=row["city"],
            province=row["province"],
            timezone=row["timezone"],
            date=row["date"].isoformat(),
            session=row["session"],
            starts_at=in_zone(row["starts_at"], row["timezone"]),
            ends_at=in_zone(row["ends_at"], row["timezone"]),
            service=row["service"],
            channel=row["channel"],
            capacity=row["capacity"],
            opens_at_ms=ms_of(row["opens_at"]),
            closes_at_ms=ms_of(row["closes_at"]),
            next_opens_at_ms=None if row["next_opens_at"] is None else ms_of(row["next_opens_at"]),
            pay_seconds=row["pay_seconds"],
            closed=row["closed"],
            return_times=tuple(row["return_times"]),
        )
        for row in await connection.fetch(SQL.read_slots, list(slot_ids))
    ]
