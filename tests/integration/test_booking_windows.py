"""
Planners put calendars in force and open windows of their own; what contradicts itself is refused with a sentence.
"""

import datetime as dt
from collections.abc import AsyncIterator
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from services.booking.stores import publications
from services.booking.use_cases import publishing
from tests.integration.booking_planners import PLANNER, Planners, deeds, planners_at, plans_told, today_at
from tests.integration.booking_room import Room, booking_id, booking_room, real_seed

JAKARTA = "Asia/Jakarta"
DAY = dt.timedelta(days=1)
STAGED = {
    "kind": "staged",
    "stages": [{"months_ahead": 2, "percent": 40}, {"months_ahead": 1, "percent": 60}],
    "opens_at": "09:00:00",
    "closes_days_before": 1,
    "closes_at": "12:00:00",
}


@pytest.fixture
async def room(database: str) -> AsyncIterator[Room]:
    async with booking_room(database) as opened:
        yield opened


@pytest.fixture
async def planners(room: Room) -> AsyncIterator[Planners]:
    async with planners_at(room.db) as opened:
        yield opened


def _calendar(**changes: Any) -> dict[str, Any]:
    document: dict[str, Any] = msgspec.to_builtins(real_seed().calendar)
    return {**document, **changes}


async def _window(room: Room, **changes: Any) -> dict[str, Any]:
    """
    A window of three hours for the two weeks after the coming one.
    """
    today = await today_at(room.db, JAKARTA)
    monday = today + dt.timedelta(days=14 - today.weekday())
    now = dt.datetime.now(dt.UTC)
    return {
        "opens_at": now.isoformat(),
        "closes_at": (now + dt.timedelta(hours=3)).isoformat(),
        "first_day": monday.isoformat(),
        "last_day": (monday + 13 * DAY).isoformat(),
        "reason": "after the outage",
        **changes,
    }


async def test_an_office_gets_a_calendar_of_its_own_and_is_published_by_it(room: Room, planners: Planners) -> None:
    """
    In stages from now on: two months of days are planned at once, of this office alone.
    """
    today = await today_at(room.db, JAKARTA)
    body = {
        "effective_from": (today + 14 * DAY).isoformat(),
        "calendar": _calendar(window=STAGED),
        "reason": "people plan ahead here",
    }
    before = len(await plans_told(room.db))
    status, answer = await planners.ask("PUT", "/v1/offices/bandung/calendar", body, roles=("planner:bandung",))
    told = (await plans_told(room.db))[before:]

    assert (200, len(told), []) == (status, answer["slots_changed"], answer["surplus"])
    assert {"bandung"} == {plan.office_id for plan in told}
    days = {dt.date.fromisoformat(plan.date) for plan in told}
    assert min(days) >= today + 14 * DAY
    assert 55 <= (max(days) - today).days <= 66
    assert [(PLANNER, "put_calendar", "people plan ahead here")] == await deeds(room.db)
    stages = {plan.date: set() for plan in told}
    for plan in told:
        stages[plan.date].add(plan.opens_at_ms)
    assert max(len(openings) for openings in stages.values()) <= 2


async def test_the_nations_calendar_is_planned_by_the_worker_and_spares_offices_with_their_own(
    room: Room, planners: Planners
) -> None:
    """
    Jayapura keeps the weekly window that its planner has put.
    """
    today = await today_at(room.db, JAKARTA)
    effective = (today + 14 * DAY).isoformat()
    own = {"effective_from": effective, "calendar": _calendar(pay_seconds=900), "reason": "x"}
    nation = {"effective_from": effective, "calendar": _calendar(window=STAGED), "reason": "y"}
    statuses = [
        (await planners.ask("PUT", "/v1/offices/jayapura/calendar", own, roles=("planner:jayapura",)))[0],
        (await planners.ask("PUT", "/v1/calendar", nation))[0],
    ]
    async with room.db.transaction() as connection:
        await publications.begin(connection)
    looked = set()
    while (published := await publishing.publish(room.db)) is not None:
        looked.add(published.office_id)
    late = [plan for plan in await plans_told(room.db) if plan.date >= effective]

    assert ([200, 200], {"bandung", "jayapura"}) == (statuses, looked)
    assert {"bandung"} == {plan.office_id for plan in late if plan.pay_seconds == 7200}
    assert "bandung" not in {plan.office_id for plan in late if plan.pay_seconds == 900}


async def test_a_calendar_that_leaves_less_room_cancels_nobody_and_lists_the_surplus(
    room: Room, planners: Planners
) -> None:
    """
    A service is given up while people have places for it: their slots close, they are listed and stand.
    """
    async with room.db.connection() as connection:
        # As published by the policy, on sale now and for some days more.
        await connection.execute("UPDATE slot SET follows_policy = true")
        day = await connection.fetchval("SELECT min(date) FROM slot")
    await room.record(room.held("one"))
    only_regular = _calendar(
        shares={"service": {"regular": 1.0}, "channel": {"online": 0.8, "priority": 0.15, "walk_in": 0.05}},
        publish_ahead_hours=24 * 14,
        window={
            "kind": "weekly",
            "opens_on": "monday",
            "opens_at": "00:00:00",
            "closes_on": "sunday",
            "closes_at": "23:59:00",
            "weeks_ahead": 1,
        },
    )
    body = {"effective_from": day.isoformat(), "calendar": only_regular, "reason": "no more electronic booklets"}
    status, answer = await planners.ask("PUT", "/v1/offices/bandung/calendar", body)

    assert room.slot_id.endswith(".electronic.online")
    assert (200, [(room.slot_id, booking_id("one"), "held")]) == (
        status,
        [(each["slot_id"], each["booking_id"], each["state"]) for each in answer["surplus"]],
    )
    assert "held" == await room.state("one")


async def test_a_window_of_its_own_plans_and_opens_days_nobody_has_published(room: Room, planners: Planners) -> None:
    """
    For one office: its days are told once each, in that window, and publishing leaves them there.
    """
    before = len(await plans_told(room.db))
    status, answer = await planners.ask(
        "POST", "/v1/windows", await _window(room, office_id="bandung", pay_seconds=600)
    )
    told = (await plans_told(room.db))[before:]
    async with room.db.transaction() as connection:
        now = await connection.fetchval("SELECT clock_timestamp() + interval '6 days'")
        await publishing.publish_office(connection, "bandung", now=now)
    windows = await room.count(
        "SELECT count(*) FROM slot WHERE window_id = $1 AND NOT closed AND NOT follows_policy", answer["window_id"]
    )

    assert (201, 1, len(told)) == (status, answer["offices"], answer["slots"])
    assert len(told) == len({plan.slot_id for plan in told}) == windows
    assert {("bandung", 600)} == {(plan.office_id, plan.pay_seconds) for plan in told}
    assert answer["places"] == sum(plan.capacity for plan in told)
    assert 1 == len({(plan.opens_at_ms, plan.closes_at_ms) for plan in told})
    assert [(PLANNER, "open_window", "after the outage")] == await deeds(room.db)


async def test_a_national_window_opens_every_office_once_however_often_it_is_asked(
    room: Room, planners: Planners
) -> None:
    """
    The same key gives the same window.
    """
    body = await _window(room)
    first = await planners.ask("POST", "/v1/windows", body, key="window-once-1")
    again = await planners.ask("POST", "/v1/windows", body, key="window-once-1")

    assert (201, 2) == (first[0], first[1]["offices"])
    assert first == again
    assert 1 == len(await deeds(room.db))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"closes_at": "2026-01-01T00:00:00+07:00"}, "the window closes before it opens"),
        ({"last_day": "2026-01-01"}, "the days end before they begin"),
        ({"first_day": "2026-01-02"}, "a window releases 31 days at most"),
        ({"first_day": "2026-01-02", "last_day": "2026-01-03"}, "2026-01-02 is over"),
        ({"last_day": "9999-12-31"}, "nothing is planned more than 400 days ahead"),
    ],
)
async def test_a_window_that_cannot_be_is_refused_with_a_sentence(
    room: Room, planners: Planners, changes: dict[str, Any], sentence: str
) -> None:
    """
    And nothing of it is written.
    """
    status, answer = await planners.ask("POST", "/v1/windows", await _window(room, **changes))

    assert (422, sentence) == (status, answer["reason"])
    assert [] == await deeds(room.db)


async def test_a_window_for_days_on_which_nobody_serves_or_that_outlasts_them_is_refused(
    room: Room, planners: Planners
) -> None:
    """
    A Saturday and a Sunday; and a window open when its days are over.
    """
    body = await _window(room)
    saturday = dt.date.fromisoformat(body["first_day"]) + 5 * DAY
    weekend = {"first_day": saturday.isoformat(), "last_day": (saturday + DAY).isoformat()}
    late = dt.datetime.combine(saturday + 20 * DAY, dt.time(), ZoneInfo(JAKARTA)).isoformat()
    nobody = await planners.ask("POST", "/v1/windows", {**body, **weekend})
    outlasting = await planners.ask("POST", "/v1/windows", {**body, "closes_at": late})

    assert (422, f"nobody serves from {saturday} to {saturday + DAY}") == (nobody[0], nobody[1]["reason"])
    assert (422, f"the window is still open when {body['last_day']}, its last day, is over") == (
        outlasting[0],
        outlasting[1]["reason"],
    )


async def test_a_calendar_that_contradicts_itself_or_begins_in_the_past_is_refused(
    room: Room, planners: Planners
) -> None:
    """
    With the sentence the seed gives, or one of the calendar's own.
    """
    path, today = "/v1/offices/bandung/calendar", await today_at(room.db, JAKARTA)
    stages = {**STAGED, "stages": [{"months_ahead": 1, "percent": 90}]}
    past = await planners.ask("PUT", path, {"effective_from": "2026-01-01", "calendar": _calendar(), "reason": "x"})
    lossy = await planners.ask(
        "PUT", path, {"effective_from": today.isoformat(), "calendar": _calendar(window=stages), "reason": "x"}
    )
    unknown = await planners.ask(
        "PUT",
        "/v1/offices/atlantis/calendar",
        {"effective_from": (today + 2 * DAY).isoformat(), "calendar": _calendar(), "reason": "x"},
    )

    assert (422, "effective_from 2026-01-01 is over: visits of the past keep their calendar") == (
        past[0],
        past[1]["reason"],
    )
    assert (400, "the stages release 90 percent of the places, not 100") == (lossy[0], lossy[1]["reason"])
    assert (404, "office_not_found") == (unknown[0], unknown[1]["code"])
    assert [] == await deeds(room.db)


async def test_who_plans_for_one_office_plans_neither_for_the_nation_nor_for_another(
    room: Room, planners: Planners
) -> None:
    """
    Calendars and windows alike.
    """
    today = await today_at(room.db, JAKARTA)
    calendar = {"effective_from": (today + DAY).isoformat(), "calendar": _calendar(), "reason": "x"}
    roles = ("planner:bandung", "officer", "auditor")
    asked = [
        await planners.ask("PUT", "/v1/calendar", calendar, roles=roles),
        await planners.ask("PUT", "/v1/offices/jayapura/calendar", calendar, roles=roles),
        await planners.ask("POST", "/v1/windows", await _window(room), roles=roles),
        await planners.ask("POST", "/v1/windows", await _window(room, office_id="jayapura"), roles=roles),
    ]

    assert [403] * 4 == [status for status, _ in asked]
    assert [] == await deeds(room.db)
