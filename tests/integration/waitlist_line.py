"""
A sold-out office with a line in front of it, and short words for who joins, leaves and is offered places.

Used by `test_booking_waitlist*.py`.
"""

import datetime as dt
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import ClientResponse

from services.booking.settings import CounterSettings
from tests.integration.booking_room import Room, booking_id, booking_room
from tests.integration.counter_desk import Desk, by, counter_desk

PATH = "/v1/waitlist"


@asynccontextmanager
async def sold_out_desk(dsn: str) -> AsyncIterator[Desk]:
    """
    A desk whose office has no online places left, but for those each test has come back.
    """
    async with booking_room(dsn) as room, counter_desk(room, CounterSettings()) as opened:
        async with room.db.transaction() as connection:
            await connection.execute(
                "INSERT INTO booking_seat (booking_id, slot_id, seat)"
                " SELECT 'rsv_others', slot_id, number FROM slot, generate_series(1, capacity) AS number"
                " WHERE channel = 'online' AND office_id = 'bandung'"
            )
        yield opened


def slot_of(room: Room) -> str:
    """
    The slot whose places come and go.
    """
    office, day, session, _, _ = room.slot_id.split(".")
    return f"{office}.{day}.{session}.regular.online"


def day_of(room: Room) -> str:
    """
    Its day.
    """
    return dt.datetime.strptime(room.slot_id.split(".")[1], "%Y%m%d").replace(tzinfo=dt.UTC).date().isoformat()


async def join(desk: Desk, name: str, persons: int = 1, *, key: str | None = None, **change: Any) -> ClientResponse:
    """
    A family of that name joins the line.
    """
    day = day_of(desk.room)
    person_ids = [f"per_{name}{number}" for number in range(persons)]
    body = {"office_id": "bandung", "service": "regular", "first_day": day, "last_day": day, "person_ids": person_ids}
    return await desk.post(PATH, body | change, account=f"acc_{name}", roles=(), persons=person_ids, key=key)


async def line(desk: Desk, *families: tuple[str, int]) -> None:
    """
    These families join, one after the other.
    """
    for name, persons in families:
        assert 201 == (await join(desk, name, persons)).status


async def entry_of(desk: Desk, name: str) -> dict[str, Any]:
    """
    The newest entry of a family, as it sees it.
    """
    response = await desk.client.get(PATH, headers=by(f"acc_{name}"))
    entries: list[dict[str, Any]] = (await response.json())["entries"]
    return entries[0]


async def states_of(desk: Desk, *names: str) -> list[str]:
    """
    Where families stand.
    """
    return [(await entry_of(desk, name))["state"] for name in names]


async def come_back(desk: Desk, seats: int = 1) -> None:
    """
    Quota says: so many places of the slot are free again.
    """
    await desk.room.record(desk.releases(booking_id("gone"), slot_id=slot_of(desk.room), seats=range(1, seats + 1)))


async def free(desk: Desk, *seats: int) -> None:
    """
    These numbers are free in Postgres too.
    """
    async with desk.room.db.transaction() as connection:
        await connection.execute(
            "DELETE FROM booking_seat WHERE slot_id = $1 AND seat = ANY ($2::integer[])",
            slot_of(desk.room),
            list(seats),
        )


async def take_up(desk: Desk, number: int = 0, *, seats: Sequence[int] = (1,), **change: Any) -> dict[str, Any]:
    """
    Quota gives what the offer of that number asks for.
    """
    wish = await desk.wish(number)
    await free(desk, *seats)
    await desk.room.record(desk.gives(wish | change, seats=seats))
    return wish


async def leave(desk: Desk, name: str, *, entry_id: str | None = None) -> ClientResponse:
    """
    A family leaves.
    """
    entry_id = entry_id or (await entry_of(desk, name))["entry_id"]
    headers = by(f"acc_{name}") | {"Idempotency-Key": f"leave-{name}"}
    return await desk.client.delete(f"{PATH}/{entry_id}", headers=headers)
