"""
Walk-ins and those who go first: an officer seats them from the office's own places, today and with a reason.
"""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from aiohttp import ClientResponse

from services.booking.settings import CounterSettings
from tests.integration.booking_room import booking_room
from tests.integration.counter_desk import Desk, by, counter_desk

PATH = "/v1/offices/bandung/walk-ins"
WALK_IN = {"service": "regular", "reason": "came at eight, fetched by nobody"}


@pytest.fixture
async def desk(database: str) -> AsyncIterator[Desk]:
    async with booking_room(database) as room, counter_desk(room, CounterSettings(wait_seconds=8)) as opened:
        await opened.plan_today()
        yield opened


async def _seated(desk: Desk, body: dict[str, Any], *, path: str = PATH, key: str = "key-00001") -> ClientResponse:
    """
    The officer's answer, when quota gives what is asked for.
    """
    asked = asyncio.create_task(desk.post(path, body, key=key))
    wish = await desk.wish()
    await desk.room.record(desk.gives(wish, seats=range(1, 1 + len(wish["person_ids"]))))
    return await asked


async def test_a_walk_in_is_seated_today_from_the_walk_in_places(desk: Desk) -> None:
    """
    The earliest session that is not over, from no other channel; people without an account get ids of their own.
    """
    response = await _seated(desk, {**WALK_IN, "persons": 2})
    body = await response.json()
    wish = await desk.wish()
    today = dt.datetime.now(ZoneInfo("Asia/Jakarta")).date()

    assert (201, "held", "walk_in", [1, 2]) == (response.status, body["state"], body["why"], body["seats"])
    assert today.isoformat() == body["date"]
    assert wish["slot_ids"][0] == body["slot_id"]
    assert {("walk_in", "regular")} == {tuple(reversed(slot.split(".")[3:])) for slot in wish["slot_ids"]}
    assert "morning" not in {slot.split(".")[2] for slot in wish["slot_ids"]}
    assert 2 == len(set(wish["person_ids"]))
    assert wish["account_id"].startswith("acc_")


async def test_a_walk_in_pays_until_the_end_of_the_day_at_the_office(desk: Desk) -> None:
    """
    Midnight where the office is, not where the server is.
    """
    body = await (await _seated(desk, WALK_IN)).json()
    tomorrow = dt.datetime.now(ZoneInfo("Asia/Jakarta")).date() + dt.timedelta(days=1)

    assert f"{tomorrow.isoformat()}T00:00:00+07:00" == body["pay_by"]


async def test_two_walk_ins_never_meet_each_others_claims(desk: Desk) -> None:
    """
    Every walk-in has an account and people of its own.
    """
    await _seated(desk, WALK_IN)
    asked = asyncio.create_task(desk.post(PATH, WALK_IN, key="key-00002"))
    first, second = await desk.wish(0), await desk.wish(1)
    await desk.room.record(desk.gives(second, seats=(2,)))

    assert 201 == (await asked).status
    assert first["account_id"] != second["account_id"]
    assert first["person_ids"] != second["person_ids"]


async def test_asking_again_gives_the_same_booking(desk: Desk) -> None:
    """
    One wish, one line in the audit log, however often the officer's network fails.
    """
    first = await _seated(desk, WALK_IN)
    again = await desk.post(PATH, WALK_IN, key="key-00001")

    assert (201, await first.json()) == (again.status, await again.json())
    assert 1 == len(await desk.wishes())
    assert 1 == await desk.room.count("SELECT count(*) FROM audit_entry")


async def test_the_reason_is_in_the_audit_log(desk: Desk) -> None:
    """
    Who gave which place, where and why; nothing else of it leaves the room.
    """
    body = await (await _seated(desk, WALK_IN)).json()
    wish = await desk.wish()

    assert 1 == await desk.room.count(
        "SELECT count(*) FROM audit_entry WHERE actor = 'acc_officer' AND action = 'seat_walk_in' AND subject = $1"
        " AND office_id = 'bandung' AND reason = $2",
        body["booking_id"],
        WALK_IN["reason"],
    )
    assert WALK_IN["reason"] not in str(wish)


async def test_no_places_left_is_said_at_once_and_again(desk: Desk) -> None:
    """
    Quota's no is a 409; the same key hears it again, another may try another session.
    """
    asked = asyncio.create_task(desk.post(PATH, WALK_IN, key="key-00001"))
    await desk.room.record(desk.refuses(await desk.wish()))
    response, again = await asked, await desk.post(PATH, WALK_IN, key="key-00001")

    assert (409, "sold_out") == (response.status, (await response.json())["code"])
    assert (409, "sold_out") == (again.status, (await again.json())["code"])


async def test_another_refusal_is_named(desk: Desk) -> None:
    """
    A person who has a booking elsewhere is not a lack of places.
    """
    body = {**WALK_IN, "account_id": "acc_7", "person_ids": ["per_7"]}
    asked = asyncio.create_task(desk.post(PATH, body))
    await desk.room.record(desk.refuses(await desk.wish(), reason="person_already_reserved"))
    said = await (await asked).json()

    assert ("places_refused", "person_already_reserved") == (said["code"], said["refusal"])


async def test_who_waits_in_vain_is_told_where_to_look(desk: Desk) -> None:
    """
    No answer yet is not no: 202 with a Location, which knows more later.
    """
    async with counter_desk(desk.room, CounterSettings(wait_seconds=0)) as hasty:
        response = await hasty.post(PATH, WALK_IN)
        body = await response.json()
    before = await desk.client.get(response.headers["Location"], headers=by("acc_2", roles=["officer:bandung"]))
    await desk.room.record(desk.gives(await desk.wish(), seats=(3,)))
    after = await desk.client.get(response.headers["Location"], headers=by("acc_2", roles=["officer"]))
    now_known = await after.json()

    assert (202, "asked") == (response.status, body["state"])
    assert (200, "asked") == (before.status, (await before.json())["state"])
    assert (200, "held", [3]) == (after.status, now_known["state"], now_known["seats"])


async def test_only_an_officer_of_the_office_seats_anybody(desk: Desk) -> None:
    """
    Not a citizen, not another office's officer, not a planner; nor may they look.
    """
    for roles in ((), ("officer:jayapura",), ("planner:bandung",)):
        response = await desk.post(PATH, WALK_IN, roles=roles)
        looked = await desk.client.get(
            "/v1/offices/bandung/counter-bookings/rsv_" + "0" * 32, headers=by("acc_2", roles=roles)
        )
        assert (403, 403) == (response.status, looked.status)
    assert [] == await desk.wishes()


@pytest.mark.parametrize(
    ("change", "status", "said"),
    [
        ({"reason": ""}, 400, "reason"),
        ({"date": "2020-01-06"}, 400, "date"),
        ({"date": "2031-01-06"}, 409, "nothing_planned"),
        ({"session": "morning"}, 409, "nothing_planned"),
        ({"service": "diplomatic"}, 409, "nothing_planned"),
        ({"persons": 6}, 400, "persons"),
        ({"account_id": "acc_7"}, 400, "person_ids"),
        ({"account_id": "acc_7", "person_ids": ["per_7", "per_7"]}, 400, "person_ids"),
        ({"account_id": "acc_7", "person_ids": ["per_7"], "persons": 1}, 400, "persons"),
    ],
)
async def test_what_cannot_be_is_refused_with_a_word(
    desk: Desk, change: dict[str, Any], status: int, said: str
) -> None:
    """
    A past day, a session that is over, no such service, and bodies that contradict themselves.
    """
    response = await desk.post(PATH, {**WALK_IN, **change})
    body = await response.json()

    assert (status, said) == (response.status, body.get("field", body["code"]))
    assert [] == await desk.wishes()


async def test_who_goes_first_has_priority_places_and_a_ground(desk: Desk) -> None:
    """
    Without a ground there is no priority; the ground is told with the booking and in the audit log.
    """
    path = "/v1/offices/bandung/priority-bookings"
    without = await desk.post(path, WALK_IN)
    response = await _seated(desk, {**WALK_IN, "ground": "pregnant"}, path=path)
    body = await response.json()

    assert (400, "ground") == (without.status, (await without.json())["field"])
    assert (201, "pregnant") == (response.status, body["ground"])
    assert body["slot_id"].endswith(".regular.priority")
    assert 1 == await desk.room.count("SELECT count(*) FROM audit_entry WHERE details->>'ground' = 'pregnant'")


async def test_places_that_were_not_free_after_all_are_refused(desk: Desk) -> None:
    """
    Quota gave them, booking found them taken: the officer is told, and nobody is promised a queue number twice.
    """
    await _seated(desk, WALK_IN)
    asked = asyncio.create_task(desk.post(PATH, WALK_IN, key="key-00002"))
    await desk.room.record(desk.gives(await desk.wish(1), seats=(1,)))
    said = await (await asked).json()

    assert ("places_refused", "seat_taken") == (said["code"], said["refusal"])
