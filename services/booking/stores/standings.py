"""
How slots stand: their plan, the places taken by booking's own rows, and what there is no room for.

Called by the planners' use cases and the spill-over, inside their transactions.
"""

import datetime as dt
from collections.abc import Iterable, Sequence

import msgspec

from kernel.postgres import Connection
from services.booking.stores.statements import SQL


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """
    A slot as a planner sees it.
    """

    slot_id: str
    office_id: str
    timezone: str
    date: dt.date
    channel: str
    capacity: int
    stock_limit: int | None
    closed: bool
    version: int
    closes_at: dt.datetime
    pay_seconds: int
    starts_at: dt.datetime
    ends_at: dt.datetime
    taken: int


class Surplus(msgspec.Struct, frozen=True, kw_only=True):
    """
    A booking for which its slot has no room any more. It stands until somebody moves it.
    """

    slot_id: str
    booking_id: str
    state: str
    places: int


async def lock(connection: Connection, slot_ids: Iterable[str]) -> dict[str, Standing]:
    """
    Slots as they are and stay until the caller's transaction ends.
    """
    rows = await connection.fetch(SQL.lock_slots, sorted(set(slot_ids)))
    return {row["slot_id"]: Standing(**row) for row in rows}


async def read(connection: Connection, slot_id: str) -> Standing | None:
    """
    A slot as it is.
    """
    row = await connection.fetchrow(SQL.read_standing, slot_id)
    return None if row is None else Standing(**row)


async def resize(
    connection: Connection, slot_id: str, *, capacity: int | None = None, closed: bool | None = None
) -> int | None:
    """
    Set places, or close or open it; None leaves what is. Returns the new version, None if nothing changes.
    """
    version: int | None = await connection.fetchval(SQL.resize_slot, slot_id, capacity, closed)
    return version


async def surplus(connection: Connection, slot_ids: Sequence[str]) -> list[Surplus]:
    """
    What those slots have no room for.
    """
    return [Surplus(**row) for row in await connection.fetch(SQL.read_surplus, list(slot_ids))]
