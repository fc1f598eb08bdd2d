"""
Unpaid bookings end at their deadline: not before, not twice, and with everything they hold.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from contracts.events import BookingExpired
from services.booking.domain.record import announcement
from services.booking.stores import bookings
from services.booking.use_cases.expiring import SWEEP_ROWS_MAX, sweep, sweep_for_ever
from tests.conftest import Eventually
from tests.integration.booking_room import Room, booking_id, booking_room

MANY = """
    WITH held AS (
        INSERT INTO booking
            (booking_id, account_id, slot_id, seats, person_ids, state, pay_by, held_at, partition, epoch, seq)
        SELECT 'rsv_' || md5(i::text), 'acc_' || i, $1, ARRAY[i], ARRAY['per_' || i], 'held', now(), now(), 1, 1, i
        FROM generate_series(1, $2::integer) AS i
        RETURNING *
    ), seated AS (
        INSERT INTO booking_seat (slot_id, seat, booking_id) SELECT slot_id, seats[1], booking_id FROM held
    )
    INSERT INTO booking_person (person_id, booking_id) SELECT person_ids[1], booking_id FROM held
"""


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
    assert 0 == await room.count("SELECT count(*) FROM booking_seat")
    assert 0 == await room.count("SELECT count(*) FROM booking_person")


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

    payments = (room.hear_payment(room.paid(f"n{n}", ntpn=f"{n:016}", late=True)) for n in range(1, 41))
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


async def test_what_is_told_of_an_expired_booking_is_what_its_record_says(room: Room) -> None:
    """
    Expired by thousands it is put into words the short way; the words are the same.
    """
    await room.record(room.held("family", seats=(3, 4)), room.held("other", seats=(5,)))
    await room.hear_payment(room.invoice("family"))
    await _make_due(room, 1)
    await sweep(room.db, room.visits)

    told = await room.event("family", BookingExpired)
    async with room.db.transaction() as connection:
        record = (await bookings.lock(connection, [booking_id("family")]))[booking_id("family")]
    assert announcement(record) == told
    assert (3, (3, 4)) == (record.version, record.seats)


async def test_more_than_a_sweep_takes_is_swept_by_several_at_once(room: Room, eventually: Eventually) -> None:
    """
    Each booking ends once, and once all are gone nothing is left of what they held.
    """
    number = 2 * SWEEP_ROWS_MAX + 100
    async with room.db.connection() as connection:
        await connection.execute(MANY, room.slot_id, number)
    sweeper = asyncio.create_task(sweep_for_ever(room.db))

    async def gone() -> bool:
        return 0 == await room.count("SELECT count(*) FROM booking WHERE state = 'held'")

    await eventually(gone, within_seconds=30)
    sweeper.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await sweeper

    told = await room.said()
    assert number == len(told) == len({body for _, body in told})
    assert [0, 0, 0] == [
        await room.count("SELECT count(*) FROM booking WHERE changed_at < pay_by OR version <> 2"),
        await room.count("SELECT count(*) FROM booking_seat"),
        await room.count("SELECT count(*) FROM booking_person"),
    ]
