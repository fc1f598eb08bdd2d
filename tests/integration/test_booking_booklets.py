"""
Blank booklets: an office counts them by kind, a visit takes them, and nothing is sold that there is none for.
"""

from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec
import pytest

from services.booking.stores import offices as office_store
from services.booking.stores import slots as slot_store
from services.booking.use_cases import dealing, planning
from services.booking.use_cases.seeding import load
from tests.integration.booking_desk import confirm, shift
from tests.integration.booking_planners import PLANNER, Planners, deeds, planners_at, plans_told
from tests.integration.booking_room import Room, booking_id, booking_room, real_seed

PATH = "/v1/offices/bandung/booklets"
OFFICER = ("officer:bandung",)


@pytest.fixture
async def room(database: str) -> AsyncIterator[Room]:
    async with booking_room(database) as opened:
        opened.slot_id = next(slot_id for slot_id in await opened.slots() if slot_id.endswith(".regular.online"))
        yield opened


@pytest.fixture
async def staff(room: Room) -> AsyncIterator[Planners]:
    async with planners_at(room.db) as opened:
        yield opened


async def _stock(staff: Planners, kind: str = "regular", *, reason: str = "a box came", **said: Any) -> dict[str, Any]:
    status, answer = await staff.ask("POST", f"{PATH}/{kind}", {"reason": reason, **said}, roles=("planner:bandung",))
    assert 200 == status, answer
    return answer


async def _kind(staff: Planners, kind: str = "regular") -> dict[str, Any]:
    status, answer = await staff.ask("GET", PATH, roles=("auditor",))
    assert 200 == status
    [found] = [each for each in answer["kinds"] if each["kind"] == kind]
    return dict(found)


async def _deal(room: Room) -> list[str]:
    """
    Every stock is dealt out as if its time had come.
    """
    async with room.db.connection() as connection:
        await connection.execute("UPDATE booklet_stock SET look_at = clock_timestamp()")
    changed: list[str] = []
    while (dealt := await dealing.deal_one(room.db, short_days=3)) is not None:
        changed += dealt
    await dealing.count(room.db)
    return changed


async def _on_sale(room: Room, service: str = "regular", *, office_id: str = "bandung") -> dict[str, int]:
    """
    What quota was told last of an office's slots: places of each.
    """
    told = {plan.slot_id: plan for plan in await plans_told(room.db)}
    ordered = sorted(told.values(), key=lambda plan: (plan.starts_at, plan.slot_id))
    return {plan.slot_id: plan.capacity for plan in ordered if (plan.office_id, plan.service) == (office_id, service)}


async def _serve(staff: Planners, name: str, *, key: str) -> list[int]:
    path = f"/v1/offices/bandung/bookings/{booking_id(name)}/served"
    await staff.ask("POST", "/v1/offices/bandung/check-ins", {"booking_id": booking_id(name)}, roles=OFFICER)
    return [(await staff.ask("POST", path, {}, roles=OFFICER, key=each))[0] for each in (key, key, f"{key}-another")]


async def test_what_comes_and_what_is_counted_is_written_down_with_its_reason(room: Room, staff: Planners) -> None:
    """
    Once under its key, by whoever may, and as a line of the audit log.
    """
    body = {"change": 300, "reason": "delivery of the month"}
    first = await staff.ask("POST", f"{PATH}/regular", body, roles=OFFICER, key="delivery-1")
    again = await staff.ask("POST", f"{PATH}/regular", body, roles=OFFICER, key="delivery-1")
    counted = await _stock(staff, count=295, reason="five were damaged")
    shown = await _kind(staff)

    assert first == again
    assert (300, 295) == (first[1]["in_stock"], counted["in_stock"])
    assert counted == shown
    assert [("count", -5, 295), ("change", 300, 300)] == [
        (each["why"], each["change"], each["in_stock"]) for each in shown["movements"]
    ]
    assert [
        (PLANNER, "stock_booklets", "delivery of the month"),
        (PLANNER, "stock_booklets", "five were damaged"),
    ] == await deeds(room.db)


async def test_who_keeps_the_stock(room: Room, staff: Planners) -> None:
    """
    Planners and officers of the office; auditors look.
    """
    body, allowed = {"change": 1, "reason": "x"}, {}
    for roles in ((), ("officer:jayapura", "planner:jayapura"), ("auditor",), OFFICER, ("planner",)):
        changed, _ = await staff.ask("POST", f"{PATH}/regular", body, roles=roles)
        looked, _ = await staff.ask("GET", PATH, roles=roles)
        allowed[roles] = (changed, looked)

    assert [(403, 403), (403, 403), (403, 200), (200, 200), (200, 200)] == list(allowed.values())
    assert 2 == len(await deeds(room.db))


async def test_what_cannot_be_is_refused_and_leaves_nothing(room: Room, staff: Planners) -> None:
    """
    Fewer than none, a kind no service takes, no such office, and saying two things or none.
    """

    async def said(path: str, **body: Any) -> tuple[int, str]:
        status, answer = await staff.ask("POST", path, {"reason": "x", **body})
        return status, answer["code"]

    assert (400, "bad_request") == await said(f"{PATH}/regular", change=-1)
    assert (404, "booklets_unknown") == await said(f"{PATH}/diplomatic", change=1)
    assert (404, "office_not_found") == await said("/v1/offices/atlantis/booklets/regular", change=1)
    assert [(400, "bad_request")] * 3 == [
        await said(f"{PATH}/regular", **body) for body in ({}, {"change": 1, "count": 1}, {"change": 1, "kept": False})
    ]
    assert ([], None) == (await deeds(room.db), (await _kind(staff))["in_stock"])


async def test_a_visit_takes_a_booklet_a_person_once(room: Room, staff: Planners) -> None:
    """
    When it is served, not when it is checked in; the same call again, and another, take nothing.
    """
    await _stock(staff, count=10)
    await confirm(room, "three", seats=(1, 2, 3))
    await confirm(room, "alone", seats=(4,))
    await shift(room, 0)
    before = await _kind(staff)
    assert [200, 200, 409] == await _serve(staff, "three", key="serve-three")
    after = await _kind(staff)

    assert (10, 4, 6) == (before["in_stock"], before["confirmed"], before["left_over"])
    assert (7, 1, 6) == (after["in_stock"], after["confirmed"], after["left_over"])
    assert [(-3, booking_id("three"))] == [
        (each["change"], each["booking_id"]) for each in after["movements"] if each["why"] == "served"
    ]


async def test_what_is_sold_is_never_more_than_there_are_booklets_for(room: Room, staff: Planners) -> None:
    """
    Dealt to the next visits; places that are taken stay; a sale has to be told to nobody.
    """
    whole = await _on_sale(room)
    first, late = room.slot_id, [slot_id for slot_id in whole if slot_id.endswith(".online")][-1]
    await confirm(room, "late", slot_id=late)
    await _stock(staff, count=whole[first] + 3)
    await _deal(room)
    dealt = await _on_sale(room)
    await confirm(room, "early", slot_id=first)

    assert whole[first] + 3 == sum(dealt.values())
    assert (whole[first], 1) == (dealt[first], dealt[late])
    assert [] == await _deal(room)
    assert whole[first] + 1 == (await _kind(staff))["left_over"]


async def test_at_none_left_over_nothing_more_is_sold_and_a_delivery_puts_it_back(room: Room, staff: Planners) -> None:
    """
    Of that kind at that office alone; the slots stay open, their people stay, and nothing is told twice.
    """
    whole, others = await _on_sale(room), await _on_sale(room, "electronic")
    elsewhere = await _on_sale(room, office_id="jayapura")
    await confirm(room, "one", seats=(1, 2))
    await _stock(staff, count=2)
    await _deal(room)
    stopped, shown = await _on_sale(room), await _kind(staff)
    told = len(await plans_told(room.db))
    assert [] == await _deal(room)
    await _stock(staff, change=100_000)
    await _deal(room)

    assert ({room.slot_id: 2}, told) == ({k: v for k, v in stopped.items() if v}, told)
    assert (0, True, 0, "confirmed") == (
        shown["left_over"],
        shown["out_of_stock"],
        shown["shortfall"],
        await room.state("one"),
    )
    assert whole == await _on_sale(room)
    assert (others, elsewhere) == (await _on_sale(room, "electronic"), await _on_sale(room, office_id="jayapura"))
    assert not any(plan.closed for plan in await plans_told(room.db))


async def test_confirmed_visits_beyond_the_stock_are_listed_and_stand(room: Room, staff: Planners) -> None:
    """
    The last to come, by the day of the visit. Those of the coming days are counted for whoever is to be called.
    """
    later = [slot_id for slot_id in await _on_sale(room) if slot_id.endswith("regular.online")][-1]
    await confirm(room, "later", slot_id=later)
    await confirm(room, "first", seats=(1, 2))
    await confirm(room, "second", seats=(3,))
    await shift(room, 0)
    await room.record(room.held("unpaid", seats=(9,)))
    await _stock(staff, count=2)
    await _deal(room)
    shown = await _kind(staff)

    assert (4, 1, -3, 2) == (shown["confirmed"], shown["held"], shown["left_over"], shown["shortfall"])
    assert [booking_id("second"), booking_id("later")] == [each["booking_id"] for each in shown["beyond"]]
    assert ["confirmed"] * 3 == [await room.state(name) for name in ("first", "second", "later")]
    assert 1 == await room.count("SELECT short_places FROM booklet_stock")


async def test_new_places_are_sold_only_when_booklets_were_dealt_to_them(room: Room, staff: Planners) -> None:
    """
    A slot that grows, one that is opened again, and one that is planned anew: a release is not over before the stock
    is looked at.
    """
    grown, opened, anew = [slot_id for slot_id in await _on_sale(room) if slot_id.endswith(".online")][:3]
    await _stock(staff, count=100_000)
    await _deal(room)
    whole = await _on_sale(room)
    for slot_id, body in ((grown, {"capacity": 99}), (opened, {"closed": True}), (opened, {"closed": False})):
        await staff.ask("PATCH", f"/v1/slots/{slot_id}", {**body, "reason": "more desks"})
    async with room.db.transaction() as connection:
        await connection.execute("DELETE FROM slot WHERE slot_id = $1", anew)
        await planning.plan_coming_week(connection, now=await office_store.read_now(connection))
    waiting = await _planned(room, grown, opened, anew)
    await _deal(room)

    assert [whole[grown], 0, 0] == waiting
    assert [99, whole[opened], whole[anew]] == await _planned(room, grown, opened, anew)


async def _planned(room: Room, *slot_ids: str) -> list[int]:
    async with room.db.connection() as connection:
        known = {plan.slot_id: plan.capacity for plan in await slot_store.read(connection, slot_ids)}
    return [known[slot_id] for slot_id in slot_ids]


async def test_who_counts_no_more_is_limited_no_more(room: Room, staff: Planners) -> None:
    """
    And whoever never counted has never been.
    """
    whole = await _on_sale(room)
    assert [] == await _deal(room)
    await _stock(staff, count=0)
    await _deal(room)
    assert 0 == sum((await _on_sale(room)).values())
    ended = await _stock(staff, kept=False, reason="the count is kept on paper")

    assert (None, None, False, []) == (
        ended["in_stock"],
        ended["left_over"],
        ended["out_of_stock"],
        ended["beyond"],
    )
    assert (whole, []) == (await _on_sale(room), await _deal(room))


async def test_a_service_that_takes_no_booklet_any_more_is_limited_no_more(room: Room, staff: Planners) -> None:
    """
    The seed says so; what it still names stays limited.
    """
    whole = await _on_sale(room, "electronic")
    for kind in ("regular", "electronic"):
        await _stock(staff, kind, count=0)
    await _deal(room)
    async with room.db.transaction() as connection:
        await load(connection, msgspec.structs.replace(real_seed(), offices=(), booklets={"regular": "regular"}))

    assert (whole, 0) == (await _on_sale(room, "electronic"), sum((await _on_sale(room)).values()))


async def test_two_workers_deal_once(room: Room, staff: Planners) -> None:
    """
    One has the stock in hand, the other finds none.
    """
    await _stock(staff, count=0)
    before = len(await plans_told(room.db))
    both: Sequence[list[str] | None] = [
        await dealing.deal_one(room.db, short_days=3),
        await dealing.deal_one(room.db, short_days=3),
    ]
    slots = len(await _on_sale(room))

    assert (slots, None) == (len(both[0] or ()), both[1])
    assert before + slots == len(await plans_told(room.db))
