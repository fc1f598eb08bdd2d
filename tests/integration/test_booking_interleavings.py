"""
The race {pay, expire, cancel, resell} on the real database: at once, again and again, and quota's answer either way.
"""

import asyncio
import itertools
import random
from collections import Counter
from collections.abc import AsyncIterator

import pytest

from services.booking.stores import moves
from services.booking.use_cases.cancelling import cancel
from services.booking.use_cases.expiring import sweep
from tests.integration.booking_room import Room, booking_id, booking_room

RACES = 48
ORDERS = tuple(itertools.permutations(("pay", "expire", "cancel", "resell")))


@pytest.fixture
async def room(database: str) -> AsyncIterator[Room]:
    async with booking_room(database) as opened:
        opened.slot_id = next(slot for slot in await opened.slots() if slot.endswith(".regular.online"))
        yield opened


async def _act(room: Room, act: str, number: int) -> None:
    name = f"n{number}"
    if act == "pay":
        await room.hear_payment(room.paid(name, ntpn=f"{number:016}"))
    elif act == "expire":
        await sweep(room.db, room.visits)
    elif act == "cancel":
        async with room.db.transaction() as connection:
            await cancel(connection, booking_id(name), account_id="acc_1", reason="other")
    # Quota sells a seat again once it has heard that its booking has ended.
    elif {"booking.expired.v1", "booking.cancelled.v1"} & set(await room.told(name)):
        await room.record(room.held(f"resold{number}", seats=(number,), partition=100 + number, seq=1))


async def _answer(room: Room, *, grants: random.Random) -> None:
    """
    Quota hears what was wanted: the same seat if it has not sold it, else another, or none.
    """
    for wanted in await room.wanted():
        [seat] = wanted.seats
        resold = await room.state(f"resold{seat}") == "held"
        if resold and grants.random() < 0.5:
            await room.record(room.refuse(wanted.booking_id))
        else:
            await room.grant(wanted, seats=(seat + 1000,) if resold else (seat,))


async def _look(room: Room, numbers: range) -> Counter[str]:
    """
    How each ended, after nothing is under way any more.
    """
    async with room.db.connection() as connection:
        listed = {each.booking_id for each in await moves.read_unseated(connection, limit=1000)}
    ends: Counter[str] = Counter()
    for number in numbers:
        state = await room.state(f"n{number}")
        told = await room.told(f"n{number}")
        if state == "cancelled" and "booking.confirmed.v1" in told:
            state = "given up"
        assert (state == "paid_no_seat") is (booking_id(f"n{number}") in listed), f"n{number} is {state}"
        ends[str(state)] += 1
    assert 0 == await room.count("SELECT count(*) FROM wish WHERE state = 'asked'")
    assert await room.count("SELECT count(*) FROM booking WHERE state = 'rescheduled'") == await room.count(
        "SELECT count(*) FROM booking AS b JOIN booking AS o ON b.booking_id = o.moved_to AND b.ntpn = o.ntpn"
        " WHERE b.state = 'confirmed'"
    )
    assert 0 == await room.count(
        "SELECT count(*) FROM (SELECT ntpn FROM booking WHERE ntpn IS NOT NULL AND state = 'confirmed'"
        " GROUP BY ntpn HAVING count(*) > 1) AS twice"
    )
    return ends


async def test_in_every_order_money_is_confirmed_or_listed(room: Room) -> None:
    """
    All 24 orders, one after the other; quota answers at the end.
    """
    numbers = range(1, len(ORDERS) + 1)
    await room.record(*(room.held(f"n{n}", seats=(n,), pay_in_seconds=3600) for n in numbers))
    for number, order in zip(numbers, ORDERS, strict=True):
        for act in order:
            if act == "expire":
                async with room.db.connection() as connection:
                    await connection.execute(
                        "UPDATE booking SET pay_by = now() - interval '1 second' WHERE booking_id = $1",
                        booking_id(f"n{number}"),
                    )
            await _act(room, act, number)
    await _answer(room, grants=random.Random(1))  # noqa: S311 - which way quota answers

    assert {"rescheduled", "given up", "paid_no_seat"} == set(await _look(room, numbers))


async def test_at_the_same_moment_money_is_confirmed_or_listed(room: Room) -> None:
    """
    Everybody at once, on connections of their own: Postgres' locks decide the order.
    """
    numbers = range(1, RACES + 1)
    chance = random.Random(7)  # noqa: S311 - shuffles
    await room.record(*(room.held(f"n{n}", seats=(n,), pay_in_seconds=-1) for n in numbers))
    acts = [(act, number) for number in numbers for act in ("pay", "expire", "cancel", "resell")]
    chance.shuffle(acts)
    sixteen = asyncio.Semaphore(16)

    async def act(what: str, number: int) -> None:
        async with sixteen:
            await _act(room, what, number)

    await asyncio.gather(*(act(*each) for each in acts))
    await _answer(room, grants=chance)

    ends = await _look(room, numbers)
    assert {"confirmed", "rescheduled", "given up", "paid_no_seat"} >= set(ends)
    assert RACES == ends.total()
