"""
Assisted bookings: an officer books for somebody who cannot, up to a cap that holds however many officers try.
"""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import ClientResponse

from services.booking.settings import CounterSettings
from services.booking.use_cases.expiring import sweep
from tests.integration.booking_room import booking_room
from tests.integration.counter_desk import Desk, counter_desk

PATH = "/v1/offices/bandung/assisted-bookings"
CAP = 3


@pytest.fixture
async def desk(database: str) -> AsyncIterator[Desk]:
    settings = CounterSettings(assisted_places_a_day=CAP, priority_places_a_day=1, wait_seconds=0)
    async with booking_room(database) as room, counter_desk(room, settings) as opened:
        yield opened


async def _day(desk: Desk, number: int = 0) -> str:
    days = sorted({slot.split(".")[1] for slot in await desk.room.slots()})
    return dt.datetime.strptime(days[number], "%Y%m%d").replace(tzinfo=dt.UTC).date().isoformat()


async def _ask(desk: Desk, *, day: int = 0, path: str = PATH, **more: Any) -> ClientResponse:
    body = {"service": "regular", "reason": "a mother from far away", "date": await _day(desk, day), **more}
    return await desk.post(path, body)


async def test_an_assisted_booking_takes_a_place_everybody_books(desk: Desk) -> None:
    """
    Online places of that office and day, all sessions, the earliest first; of one session if it is named.
    """
    every, one = await _ask(desk), await _ask(desk, session="midday")
    first, second = await desk.wishes()

    assert (202, 202) == (every.status, one.status)
    assert ["morning", "midday", "afternoon"] == [slot.split(".")[2] for slot in first["slot_ids"]]
    assert {"online"} == {slot.split(".")[4] for slot in first["slot_ids"]}
    assert ["midday"] == [slot.split(".")[2] for slot in second["slot_ids"]]
    assert "assisted" == first["why"]


async def test_an_account_may_be_helped(desk: Desk) -> None:
    """
    The booking is its own then, and it is told like any other.
    """
    await _ask(desk, account_id="acc_7", person_ids=["per_7", "per_8"])
    wish = await desk.wish()
    await desk.room.record(desk.gives(wish, seats=(4, 5)))

    assert ("acc_7", ["per_7", "per_8"]) == (wish["account_id"], wish["person_ids"])
    assert 1 == await desk.room.count("SELECT count(*) FROM booking WHERE account_id = 'acc_7' AND state = 'held'")


async def test_the_cap_counts_places_of_an_office_and_day(desk: Desk) -> None:
    """
    A family of two and one more is the cap of three; another day has its own.
    """
    answers = [
        await _ask(desk, persons=2),
        await _ask(desk, persons=2),
        await _ask(desk),
        await _ask(desk),
        await _ask(desk, day=1),
    ]
    refused = await answers[1].json()

    assert [202, 409, 202, 409, 202] == [answer.status for answer in answers]
    assert ("cap_reached", CAP, 2) == (refused["code"], refused["cap"], refused["given"])
    assert 3 == await desk.room.count("SELECT count(*) FROM audit_entry")


async def test_officers_at_once_do_not_get_past_the_cap(desk: Desk) -> None:
    """
    Counting and asking are one step under the office's lock.
    """
    answers = await asyncio.gather(*(_ask(desk) for _ in range(12)))

    assert CAP == [answer.status for answer in answers].count(202)
    assert CAP == len(await desk.wishes())


async def test_what_was_refused_or_came_back_does_not_count(desk: Desk) -> None:
    """
    The cap is on places given, not on tries.
    """
    for _ in range(CAP):
        await _ask(desk)
    wishes = await desk.wishes()
    full = await _ask(desk)
    expired = {**wishes[1], "pay_by_ms": 0}
    await desk.room.record(desk.refuses(wishes[0]), desk.gives(expired, seats=(2,)))
    await sweep(desk.room.db, desk.room.visits)
    later = [await _ask(desk) for _ in range(3)]

    assert 409 == full.status
    assert [202, 202, 409] == [answer.status for answer in later]


async def test_priority_has_a_cap_of_its_own_and_walk_ins_have_none(desk: Desk) -> None:
    """
    The walk-in channel is its own limit.
    """
    priority = "/v1/offices/bandung/priority-bookings"
    assisted = await _ask(desk)
    first = [await _ask(desk, path=priority, ground="elderly") for _ in range(2)]
    walk_ins = [await _ask(desk, path="/v1/offices/bandung/walk-ins", session="afternoon") for _ in range(CAP + 1)]

    assert 202 == assisted.status
    assert [202, 409] == [answer.status for answer in first]
    assert {202} == {answer.status for answer in walk_ins}


async def test_there_is_a_bounded_time_to_pay(desk: Desk) -> None:
    """
    As long as the setting says, from the moment of asking.
    """
    await _ask(desk)
    wish = await desk.wish()

    assert CounterSettings().pay_seconds == round((wish["pay_by_ms"] - wish["at_ms"]) / 1000)


async def test_an_unknown_office_is_not_found_and_an_officer_of_one_cannot_help_in_another(desk: Desk) -> None:
    """
    An officer of all offices is told that there is none of that name.
    """
    body = {"service": "regular", "reason": "far away"}
    unknown = await desk.post("/v1/offices/atlantis/assisted-bookings", body, roles=("officer",))
    elsewhere = await desk.post("/v1/offices/jayapura/assisted-bookings", body)

    assert (404, 403) == (unknown.status, elsewhere.status)
