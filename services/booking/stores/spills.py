"""
Spill-overs: unused places of a channel on their way to another.

Called by the spill-over and the recording use cases, inside their transactions.
"""

import datetime as dt
from collections.abc import Sequence

import msgspec

from contracts.events import SlotApplied
from kernel.postgres import Connection
from services.booking.stores.statements import SQL, as_json


class DueSpill(msgspec.Struct, frozen=True, kw_only=True):
    """
    An office's day whose time to spill over has come, from one channel to another.
    """

    office_id: str
    day: dt.date
    source: str
    target: str
    open_minutes: int


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """
    A slot and its twin of the other channel.
    """

    slot_id: str
    target_id: str
    open_minutes: int


class Begun(Pair, frozen=True, kw_only=True):
    """
    A slot that was shrunk from `places` to `kept`, and how many were in use when quota had done so.
    """

    places: int
    kept: int
    in_use: int


async def spillable(connection: Connection, due: Sequence[DueSpill], *, limit: int) -> list[Pair]:
    """
    Pairs of slots of those days that have not spilled over yet.
    """
    return [Pair(**row) for row in await connection.fetch(SQL.read_spillable, as_json(due), limit)]


async def begin(connection: Connection, pair: Pair, *, places: int, kept: int, version: int) -> bool:
    """
    Write down that a slot was shrunk. False if it was before.
    """
    return (
        await connection.fetchval(
            SQL.put_spill_over, pair.slot_id, pair.target_id, places, kept, version, pair.open_minutes
        )
        is not None
    )


async def note_applied(connection: Connection, applied: Sequence[SlotApplied]) -> None:
    """
    Quota has applied plans: whoever waits for one learns what was in use.
    """
    if not applied:
        return
    newest = {event.slot_id: event for event in sorted(applied, key=lambda event: event.version)}
    await connection.execute(
        SQL.note_applied,
        list(newest),
        [event.version for event in newest.values()],
        [event.held + event.confirmed for event in newest.values()],
    )


async def lock_applied(connection: Connection, *, limit: int) -> list[Begun]:
    """
    Spill-overs that can be ended, locked.
    """
    return [Begun(**row) for row in await connection.fetch(SQL.lock_applied_spill_overs, limit)]


async def ask_again(connection: Connection, *, after_seconds: float, limit: int) -> list[str]:
    """
    Slots whose shrinking nobody has answered for a while: with a new version each, to be told again.
    """
    rows = await connection.fetch(SQL.ask_spill_overs_again, after_seconds, limit)
    return [row["slot_id"] for row in rows]


async def end(connection: Connection, slot_id: str, *, moved: int) -> None:
    """
    So many places have gone over.
    """
    await connection.execute(SQL.end_spill_over, slot_id, moved)


async def reopen(
    connection: Connection, slot_id: str, *, window_id: str, opens_at: dt.datetime, closes_at: dt.datetime
) -> None:
    """
    Let a slot sell again for a while.
    """
    await connection.execute(SQL.reopen_slot, slot_id, window_id, opens_at, closes_at)
