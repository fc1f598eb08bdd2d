"""
Who has to pay, and who is awaited, stand in tables of their own: after every step they say what the states say.
"""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from kernel.postgres import Connection
from services.booking.domain.lifecycle import TRANSITIONS, UNPAID, State
from services.booking.use_cases.expiring import sweep
from tests.integration.booking_room import Room, booking_id, booking_room

BEGUN = """
    INSERT INTO booking (
        booking_id, account_id, slot_id, seats, person_ids, state, version, pay_by, held_at, partition, epoch, seq,
        billing_code, virtual_account, amount_rupiah, ntpn, paid_at, reason, moved_to, pick_up_on, blocked_until,
        unseated_at
    )
    VALUES (
        $1, 'acc_1', 'a.slot', ARRAY[1], ARRAY['per_1'], $2, 2, now() + interval '1 hour', now(), 1, 1, 1,
        '820261100000017', '8808000000000017', 650000, $1, now(), 'other', 'rsv_x', current_date, now(), now()
    )
"""
STEP = "UPDATE booking SET state = $2, version = version + 1 WHERE booking_id = $1"
WAITED_FOR = """
    SELECT EXISTS (SELECT FROM booking_unpaid AS u WHERE (u.booking_id, u.pay_by) = (b.booking_id, b.pay_by)),
        EXISTS (SELECT FROM booking_awaited AS w WHERE (w.booking_id, w.slot_id) = (b.booking_id, b.slot_id))
    FROM booking AS b
    WHERE b.booking_id = $1
"""


@pytest.fixture
async def room(database: str) -> AsyncIterator[Room]:
    async with booking_room(database) as opened:
        yield opened


async def _waited_for(connection: Connection, one: str) -> tuple[bool, bool]:
    return tuple(await connection.fetchrow(WAITED_FOR, one))


async def test_after_every_step_is_known_who_has_to_pay_and_who_is_awaited(room: Room) -> None:
    """
    From every state to every state it may become; each begun as it is, as another program might write it.
    """
    steps = [(before, after) for before in State for after in sorted(TRANSITIONS[before])]
    told = {}
    async with room.db.connection() as connection:
        for before, after in steps:
            one = f"{before}-{after}"
            await connection.execute(BEGUN, one, before.value)
            begun = await _waited_for(connection, one)
            await connection.execute(STEP, one, after.value)
            told[before, after] = (begun, await _waited_for(connection, one))

    assert {
        (before, after): tuple((state in UNPAID, state is State.CONFIRMED) for state in (before, after))
        for before, after in steps
    } == told


async def test_one_step_that_is_none_refuses_the_whole_statement(room: Room) -> None:
    """
    Steps are judged when the statement has ended, and all of them stand or fall.
    """
    await room.record(*(room.held(f"n{n}", seats=(n,)) for n in range(1, 4)))
    async with room.db.connection() as connection:
        with pytest.raises(asyncpg.CheckViolationError, match="held cannot become served"):
            await connection.execute(
                "UPDATE booking SET version = version + 1, ntpn = 'n', paid_at = now(), amount_rupiah = 1,"
                " state = CASE booking_id WHEN $1 THEN 'served' ELSE 'confirmed' END",
                booking_id("n2"),
            )

    assert ["held"] * 3 == [await room.state(f"n{n}") for n in range(1, 4)]
    assert 0 == await room.count("SELECT count(*) FROM booking_step")


async def test_two_sweeps_come_from_either_end(room: Room) -> None:
    """
    One takes what has been overdue longest, the other what has been shortest.
    """
    await room.record(*(room.held(f"n{n}", seats=(n,), pay_in_seconds=-60 * n) for n in range(1, 5)))
    oldest = await sweep(room.db, room.visits, limit=1)
    newest = await sweep(room.db, room.visits, limit=1, newest_first=True)

    assert [[booking_id("n4")], [booking_id("n1")]] == [[one.booking_id for one in part] for part in (oldest, newest)]
    assert {"held"} == {await room.state("n2"), await room.state("n3")}
