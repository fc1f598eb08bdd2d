"""
Blank booklets: what offices count, what has changed a stock, and what slots may sell of it.

Called by the stocking and dealing use cases inside their transactions. Never decides anything.
"""

import datetime as dt
from collections.abc import Mapping, Sequence

import msgspec

from kernel.postgres import Connection
from services.booking.domain.booklets import DrawingSlot
from services.booking.stores.statements import SQL, as_json

SLOTS_MAX = 20_000
"""A year of an office has fewer."""


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    """
    A kind of booklet and the services that take it.
    """

    kind: str
    services: list[str]


class DueStock(msgspec.Struct, frozen=True, kw_only=True):
    """
    A stock that is to be dealt out. `left_over` is what was found the last time.
    """

    office_id: str
    kind: str
    in_stock: int
    left_over: int


class Movement(msgspec.Struct, frozen=True, kw_only=True):
    """
    What changed a stock, and how many there were afterwards.
    """

    at: dt.datetime
    why: str
    change: int
    in_stock: int
    actor: str
    booking_id: str | None


class BeyondStock(msgspec.Struct, frozen=True, kw_only=True):
    """
    A confirmed visit for which there is no booklet. It stands until somebody moves it, or booklets come.
    """

    booking_id: str
    slot_id: str
    date: dt.date
    state: str
    places: int


class Short(msgspec.Struct, frozen=True, kw_only=True):
    """
    How many stocks are all promised, and how many places of the coming days are beyond theirs.
    """

    out: int
    short_places: int


class _Limit(msgspec.Struct, frozen=True, kw_only=True):
    slot_id: str
    capacity: int
    stock_limit: int | None


async def put_kinds(connection: Connection, kinds: Mapping[str, str]) -> list[str]:
    """
    Load which kind each service takes. Returns the slots that take none that is counted, and sell more for it.
    """
    await connection.execute(SQL.put_service_booklets, list(kinds), list(kinds.values()))
    return [row["slot_id"] for row in await connection.fetch(SQL.lift_stock_limits, None)]


async def read_kinds(connection: Connection) -> list[Kind]:
    """
    Every kind there is.
    """
    return [Kind(**row) for row in await connection.fetch(SQL.read_booklet_kinds)]


async def begin(connection: Connection, office_id: str, kind: str) -> None:
    """
    Count a kind from now on, if it is not counted yet.
    """
    await connection.execute(SQL.begin_booklet_stock, office_id, kind)


async def lock(connection: Connection, office_id: str, kind: str) -> int | None:
    """
    How many there are and stay until the caller's transaction ends. None where nobody counts.
    """
    in_stock: int | None = await connection.fetchval(SQL.lock_booklet_stock, office_id, kind)
    return in_stock


async def put(
    connection: Connection, office_id: str, kind: str, *, in_stock: int, change: int, why: str, actor: str
) -> None:
    """
    So many there are now; they are to be dealt out at once.
    """
    await connection.execute(SQL.set_booklet_stock, office_id, kind, in_stock, change, why, actor)


async def end(connection: Connection, office_id: str, kind: str) -> list[str]:
    """
    Count a kind no more. Returns the slots that have more places to sell now.
    """
    await connection.execute(SQL.end_booklet_stock, office_id, kind)
    return [row["slot_id"] for row in await connection.fetch(SQL.lift_stock_limits, office_id)]


async def use(
    connection: Connection, *, office_id: str, service: str, booking_id: str, places: int, actor: str
) -> None:
    """
    Take a booking's booklets out of the stock, once; where nobody counts, nothing happens.
    """
    await connection.execute(SQL.use_booklets, office_id, service, booking_id, places, actor)


async def read(connection: Connection, office_id: str) -> dict[str, int]:
    """
    How many there are of each kind an office counts.
    """
    return {row["kind"]: row["in_stock"] for row in await connection.fetch(SQL.read_booklet_stocks, office_id)}


async def movements(connection: Connection, office_id: str, kind: str, *, limit: int) -> list[Movement]:
    """
    What changed a stock, the latest first.
    """
    rows = await connection.fetch(SQL.read_booklet_movements, office_id, kind, limit)
    return [Movement(**row) for row in rows]


async def beyond(connection: Connection, office_id: str, kind: str, *, in_stock: int, limit: int) -> list[BeyondStock]:
    """
    Confirmed visits beyond a stock, the last to come.
    """
    rows = await connection.fetch(SQL.read_beyond_stock, office_id, kind, in_stock, limit)
    return [BeyondStock(**row) for row in rows]


async def slots(connection: Connection, office_id: str, kind: str) -> list[DrawingSlot]:
    """
    An office's slots of today and later that draw on a kind, the next visit first.
    """
    rows = await connection.fetch(SQL.read_booklet_slots, office_id, kind, SLOTS_MAX)
    return [DrawingSlot(**row) for row in rows]


async def lock_due(connection: Connection) -> DueStock | None:
    """
    The stock that has been due the longest, locked. None when none is.
    """
    row = await connection.fetchrow(SQL.lock_due_booklet_stock)
    return None if row is None else DueStock(**row)


async def limit(connection: Connection, drawing: Sequence[DrawingSlot], limits: Mapping[str, int | None]) -> list[str]:
    """
    Let slots sell so much. Returns those for which that is news; one somebody has resized meanwhile waits.
    """
    news = [
        _Limit(slot_id=slot.slot_id, capacity=slot.capacity, stock_limit=limits[slot.slot_id])
        for slot in drawing
        if slot.slot_id in limits and limits[slot.slot_id] != slot.stock_limit
    ]
    if not news:
        return []
    return [row["slot_id"] for row in await connection.fetch(SQL.put_stock_limits, as_json(news))]


async def put_off(
    connection: Connection, stock: DueStock, *, left_over: int, short_places: int, after_seconds: float
) -> None:
    """
    Note what was found, and when to look again.
    """
    await connection.execute(
        SQL.put_off_booklet_stock, stock.office_id, stock.kind, left_over, short_places, after_seconds
    )


async def short(connection: Connection) -> Short:
    """
    How it stands in the whole nation, as it was found last.
    """
    row = await connection.fetchrow(SQL.read_booklets_short)
    return Short(out=0, short_places=0) if row is None else Short(**row)
