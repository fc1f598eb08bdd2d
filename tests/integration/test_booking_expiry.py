"""
Unpaid bookings end at their deadline: not before, not twice, and with everything they hold.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from services.booking.use_cases.expiring import sweep, sweep_for_ever
from tests.conftest import Eventually
from tests.integration.booking_room import Room, booking_id, booking_room


@pytest.fixture
async def room(database: str) -> AsyncIterator[Room]:
    async with booking_room(database) as opened:
        yield opened


async def _make_due(room: Room, seconds_ago: float) -> None:
    async with room.db.connection() as connection:
        await connection.execute("UPDATE booking SET pay_by = now() - make_interval(secs => $1)", seconds_ago)


async def test_nothing_ends_before_its_deadline(room: Room) -> None:
    """
    A sweep just before the moment finds nothing.
    """
    await room.record(room.held("one", pay_in_seconds=30))

    assert [] == await sweep(room.db, room.visits)
    assert "held" == await room.state("one")


async def test_the_sweeper_ends_a_booking_soon_after_its_deadline(room: Room, eventually: Eventually) -> None:
    """
    History says it was after the deadline by Postgres' clock, and well within a second.
    """
    sweeper = asyncio.create_task(sweep_for_ever(room.db))
    await room.record(room.held("one", pay_in_seconds=0.4))

    async def ended() -> bool:
        return "expired" == await room.state("one")

    await eventually(ended)
    sweeper.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await sweeper
    async with room.db.connection() as connection:
        lag_seconds = await connection.fetchval(
            "SELECT extract(epoch FROM changed_at - pay_by)::float8 FROM booking WHERE booking_id = $1",
            booking_id("one"),
        )
    assert 0 <= lag_seconds < 1


async def test_many_sweepers_at_once_end_each_booking_once(room: Room) -> None:
    """
    Each takes what no other has in hand.
    """
    await room.record(*(room.held(f"n{n}", seats=(n,)) for n in range(1, 101)))
    await _make_due(room, 1)

    swept = await asyncio.gather(*(sweep(room.db, room.visits) for _ in range(4)))

    assert 100 == sum(len(part) for part in swept)
    assert 100 == (await room.told()).count("booking.expired.v1")
    assert 0 == await room.count("SELECT count(*) FROM booking_seat WHERE active")
    assert 0 == await room.count("SELECT count(*) FROM booking_person WHERE active")


async def test_a_confirmed_booking_outlives_its_deadline(room: Room) -> None:
    """
    Only what waits for money can expire.
    """
    await room.record(room.held("paid"), room.held("invoiced", seats=(2,)))
    await room.hear_payment(room.paid("paid"), room.invoice("invoiced"))
    await _make_due(room, 1)
    await sweep(room.db, room.visits)

    assert ("confirmed", "expired") == (await room.state("paid"), await room.state("invoiced"))


async def test_a_payment_and_a_sweep_at_the_same_moment_leave_one_truth(room: Room) -> None:
    """
    Whoever comes first decides; the other's word still is heard.
    """
    await room.record(*(room.held(f"n{n}", seats=(n,)) for n in range(1, 41)))
    await _make_due(room, 1)

    payments = (room.hear_payment(room.paid(f"n{n}", ntpn=f"{n:016}")) for n in range(1, 41))
    await asyncio.gather(sweep(room.db, room.visits), *payments, sweep(room.db, room.visits))

    states = [await room.state(f"n{n}") for n in range(1, 41)]
    told = await room.told()
    assert {"confirmed", "paid_no_seat"} >= set(states)
    assert told.count("booking.confirmed.v1") == states.count("confirmed")
    assert told.count("booking.paid_no_seat.v1") == told.count("booking.expired.v1") == states.count("paid_no_seat")


async def test_a_freed_seat_can_be_held_again(room: Room) -> None:
    """
    The index keeps only active places apart.
    """
    await room.record(room.held("gone", seats=(5,), persons=("per_x",)))
    await _make_due(room, 1)
    await sweep(room.db, room.visits)
    await room.record(room.held("next", seats=(5,), persons=("per_x",)))

    assert "held" == await room.state("next")
