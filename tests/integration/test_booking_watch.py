"""
What should be done by now and is not is counted, whoever is to do it.
"""

import datetime as dt
from collections.abc import AsyncIterator

import pytest

from kernel.metrics import REGISTRY
from services.booking.domain.wishes import Why, Wish
from services.booking.use_cases import no_shows, watching, wishing
from services.booking.use_cases.watching import Undone
from services.booking.use_cases.wishing import wish_id
from tests.integration.booking_desk import confirm
from tests.integration.booking_room import Room, booking_room

NOTHING = Undone(no_show_slots=0, unanswered_seconds=0)


@pytest.fixture
async def room(database: str) -> AsyncIterator[Room]:
    async with booking_room(database) as opened:
        yield opened


async def undone(room: Room, *, grace_seconds: float = 0) -> Undone:
    async with room.db.connection() as connection:
        return await watching.undone(connection, grace_seconds=grace_seconds)


async def test_a_day_that_is_over_and_not_swept_is_counted_after_its_grace(room: Room) -> None:
    """
    Until the sweep has ended what nobody came for.
    """
    await confirm(room, "missed")
    before = await undone(room)
    async with room.db.connection() as connection:
        await connection.execute(
            "UPDATE slot SET starts_at = clock_timestamp() - interval '3 hours',"
            " ends_at = clock_timestamp() - interval '1 hour' WHERE office_id = 'bandung'"
        )
    in_grace, late = await undone(room, grace_seconds=7200), await undone(room)
    await no_shows.sweep(room.db, block_days=30, grace_seconds=0)

    assert [0, 0, 1, 0] == [each.no_show_slots for each in (before, in_grace, late, await undone(room))]


async def test_a_wish_counts_from_when_it_could_not_be_had_any_more(room: Room) -> None:
    """
    One that may still be answered in time is not late.
    """
    now = dt.datetime.now(dt.UTC)
    for name, late_seconds in (("late", 300), ("young", -60)):
        wish = Wish(
            booking_id=wish_id(Why.WALK_IN, name),
            why=Why.WALK_IN,
            account_id="acc_1",
            person_ids=(f"per_{name}",),
            slot_ids=(room.slot_id,),
            actor="acc_1",
            reason="test",
            pay_by=now,
            good_until=now - dt.timedelta(seconds=late_seconds),
        )
        async with room.db.transaction() as connection:
            assert await wishing.ask(connection, wish)
    late = await undone(room)
    [wanted] = [one for one in await room.wanted() if one.booking_id == wish_id(Why.WALK_IN, "late")]
    await room.record(room.refuse(wanted.booking_id))

    assert 300 <= late.unanswered_seconds < 360
    assert NOTHING == await undone(room)


async def test_what_is_counted_is_what_prometheus_reads(room: Room) -> None:
    """
    Each under its own name.
    """
    watching.told(Undone(no_show_slots=3, unanswered_seconds=5))
    read = [
        REGISTRY.get_sample_value(name)
        for name in (
            "booking_no_show_slots_overdue",
            "booking_wishes_unanswered_seconds",
        )
    ]
    watching.told(await undone(room))

    assert [3.0, 5.0] == read
