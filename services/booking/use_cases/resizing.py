"""
Resizing: a planner gives a slot more or fewer places while it sells, or closes it.

Called by routes inside the transaction that also stores the answer. A cut below what is
taken cancels nobody: quota sells nothing more, and what there is no room for is listed
until somebody moves it.
"""

import msgspec

from kernel.audit import entries
from kernel.audit.entries import Deed
from kernel.postgres import Connection
from services.booking.stores import calendars, offices, standings
from services.booking.stores.standings import Standing, Surplus
from services.booking.use_cases.planning import Contradiction, tell


class Resize(msgspec.Struct, frozen=True, kw_only=True):
    """
    What is asked: places, closing or opening, and why; None leaves what is.
    """

    capacity: int | None
    closed: bool | None
    actor: str
    reason: str


class Looked(msgspec.Struct, frozen=True, kw_only=True):
    """
    A slot and what it has no room for.
    """

    slot: Standing
    surplus: list[Surplus]


async def look(connection: Connection, slot_id: str) -> Looked | None:
    """
    A slot as it stands; None if it is not planned.
    """
    slot = await standings.read(connection, slot_id)
    return None if slot is None else Looked(slot=slot, surplus=await standings.surplus(connection, [slot_id]))


async def resize(connection: Connection, slot_id: str, asked: Resize) -> Looked | Contradiction | None:
    """
    Change a slot, tell it, and say what it has no room for now. None if it is not planned.
    """
    slot = (await standings.lock(connection, [slot_id])).get(slot_id)
    if slot is None:
        return None
    refusal = await _refusal(connection, slot, asked)
    if refusal is not None:
        return Contradiction(reason=refusal)
    if await standings.resize(connection, slot_id, capacity=asked.capacity, closed=asked.closed) is not None:
        await tell(connection, [slot_id])
    deed = Deed(
        actor=asked.actor,
        action="resize_slot",
        subject=slot_id,
        office_id=slot.office_id,
        reason=asked.reason,
        details={"capacity": asked.capacity, "closed": asked.closed, "capacity_before": slot.capacity},
    )
    await entries.write(connection, deed)
    return await look(connection, slot_id)


async def _refusal(connection: Connection, slot: Standing, asked: Resize) -> str | None:
    if asked.capacity is None and asked.closed is None:
        return "nothing is asked: give a capacity, or closed"
    if slot.ends_at <= await offices.read_now(connection):
        return f"the session of {slot.slot_id} is over"
    everything = await calendars.read(connection)
    if asked.closed is False and everything and not everything.serves_on(slot.office_id, slot.date):
        return f"{slot.office_id} does not serve on {slot.date}: a slot of that day cannot be opened"
    return None
