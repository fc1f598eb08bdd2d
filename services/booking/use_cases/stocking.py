"""
Stocking: an office counts its blank booklets, gets some, corrects the count, or counts no more.

Called by the booklets' routes inside the transaction that also stores the answer, and by the
visit when somebody is served. What slots may sell of a stock is dealt out by the worker.
"""

from typing import TypeAlias

import msgspec

from kernel.audit import entries
from kernel.audit.entries import Deed
from kernel.postgres import Connection
from services.booking.domain.booklets import Need, need_of
from services.booking.domain.record import BookingRecord
from services.booking.stores import booklets, desk
from services.booking.stores.booklets import BeyondStock, Kind, Movement
from services.booking.use_cases.planning import tell

IN_STOCK_MAX = 1_000_000
BEYOND_MAX = 200
MOVEMENTS_MAX = 20


class StockChange(msgspec.Struct, frozen=True, kw_only=True):
    """
    What somebody says of a stock: exactly one of how many came or went, how many there are, and that nobody counts.
    """

    office_id: str
    kind: str
    change: int | None
    count: int | None
    is_kept: bool
    actor: str
    reason: str


class KindStock(msgspec.Struct, frozen=True, kw_only=True):
    """
    A kind at an office: what is there, asked of it, and beyond it. `in_stock` is None where nobody counts.
    """

    kind: Kind
    in_stock: int | None
    need: Need
    limited_slots: int
    beyond: list[BeyondStock]
    movements: list[Movement]


class OfficeUnknown(msgspec.Struct, frozen=True):
    """
    There is no such office.
    """


class KindUnknown(msgspec.Struct, frozen=True, kw_only=True):
    """
    No service takes such booklets.
    """

    kinds: list[str]


class CountImpossible(msgspec.Struct, frozen=True, kw_only=True):
    """
    There cannot be so many, or so few.
    """

    in_stock: int


Refused: TypeAlias = OfficeUnknown | KindUnknown | CountImpossible


async def look(connection: Connection, office_id: str) -> list[KindStock] | OfficeUnknown:
    """
    Every kind as it stands at an office.
    """
    if await desk.read_time(connection, office_id) is None:
        return OfficeUnknown()
    counted = await booklets.read(connection, office_id)
    return [
        await _look_at(connection, office_id, kind, counted.get(kind.kind))
        for kind in await booklets.read_kinds(connection)
    ]


async def change(connection: Connection, asked: StockChange) -> KindStock | Refused:
    """
    Change a stock, and say how it stands now. Whatever is refused is to be rolled back by the caller.
    """
    if await desk.read_time(connection, asked.office_id) is None:
        return OfficeUnknown()
    kinds = {kind.kind: kind for kind in await booklets.read_kinds(connection)}
    if asked.kind not in kinds:
        return KindUnknown(kinds=sorted(kinds))
    before = await booklets.lock(connection, asked.office_id, asked.kind)
    now: int | None = None
    if not asked.is_kept:
        await tell(connection, await booklets.end(connection, asked.office_id, asked.kind))
    else:
        counted = await _count(connection, asked, before)
        if isinstance(counted, CountImpossible):
            return counted
        now = counted
    await _note(connection, asked, before=before, now=now)
    return await _look_at(connection, asked.office_id, kinds[asked.kind], now)


async def _count(connection: Connection, asked: StockChange, known: int | None) -> int | CountImpossible:
    """
    How many there are now, written down. Who has not counted until now begins with none.
    """
    if known is None:
        await booklets.begin(connection, asked.office_id, asked.kind)
        known = await booklets.lock(connection, asked.office_id, asked.kind) or 0
    now = asked.count if asked.count is not None else known + (asked.change or 0)
    if now > IN_STOCK_MAX or now < min(0, known):
        return CountImpossible(in_stock=known)
    await booklets.put(
        connection,
        asked.office_id,
        asked.kind,
        in_stock=now,
        change=now - known,
        why="change" if asked.count is None else "count",
        actor=asked.actor,
    )
    return now


async def use(connection: Connection, record: BookingRecord, *, actor: str) -> None:
    """
    A family was served: everybody of it takes a booklet.
    """
    await booklets.use(
        connection,
        office_id=record.visit.office_id,
        service=record.visit.service,
        booking_id=record.booking_id,
        places=len(record.seats),
        actor=actor,
    )


async def _look_at(connection: Connection, office_id: str, kind: Kind, in_stock: int | None) -> KindStock:
    slots = await booklets.slots(connection, office_id, kind.kind)
    beyond: list[BeyondStock] = []
    if in_stock is not None:
        beyond = await booklets.beyond(connection, office_id, kind.kind, in_stock=in_stock, limit=BEYOND_MAX)
    return KindStock(
        kind=kind,
        in_stock=in_stock,
        need=need_of(in_stock or 0, slots),
        limited_slots=sum(slot.gives_places and slot.stock_limit is not None for slot in slots),
        beyond=beyond,
        movements=await booklets.movements(connection, office_id, kind.kind, limit=MOVEMENTS_MAX),
    )


async def _note(connection: Connection, asked: StockChange, *, before: int | None, now: int | None) -> None:
    deed = Deed(
        actor=asked.actor,
        action="stock_booklets",
        subject=f"{asked.office_id}:{asked.kind}",
        office_id=asked.office_id,
        reason=asked.reason,
        details={"kind": asked.kind, "in_stock_before": before, "in_stock": now},
    )
    await entries.write(connection, deed)
