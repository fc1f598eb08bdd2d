"""
Resizing a slot while it sells: places are added and cut, nobody is cancelled, what there is no room for is listed.
"""

from collections.abc import AsyncIterator

import pytest

from services.booking.stores import offices as office_store
from services.booking.use_cases import planning
from tests.integration.booking_planners import PLANNER, Planners, deeds, planners_at, plans_told
from tests.integration.booking_room import Room, booking_id, booking_room


@pytest.fixture
async def room(database: str) -> AsyncIterator[Room]:
    async with booking_room(database) as opened:
        yield opened


@pytest.fixture
async def planners(room: Room) -> AsyncIterator[Planners]:
    async with planners_at(room.db) as opened:
        yield opened


async def test_a_slot_grows_while_it_sells_and_planning_again_leaves_it(room: Room, planners: Planners) -> None:
    """
    Told once with the next version; the deed is in the audit log with its reason.
    """
    before = len(await plans_told(room.db))
    status, answer = await planners.ask(
        "PATCH", f"/v1/slots/{room.slot_id}", {"capacity": 99, "reason": "two more desks"}
    )
    async with room.db.transaction() as connection:
        await planning.plan_coming_week(connection, now=await office_store.read_now(connection))
    told = (await plans_told(room.db))[before:]

    assert (200, 99, []) == (status, answer["capacity"], answer["surplus"])
    assert [(room.slot_id, 99, answer["version"])] == [(plan.slot_id, plan.capacity, plan.version) for plan in told]
    assert [(PLANNER, "resize_slot", "two more desks")] == await deeds(room.db)


async def test_a_cut_below_what_is_taken_cancels_nobody_and_lists_the_last_to_come(
    room: Room, planners: Planners
) -> None:
    """
    Three families of two; room for three places is left: the second and the third are listed, and stand.
    """
    for number, name in enumerate(("first", "second", "third")):
        await room.record(room.held(name, seats=(2 * number + 1, 2 * number + 2), account=f"acc_{name}"))
    status, answer = await planners.ask(
        "PATCH", f"/v1/slots/{room.slot_id}", {"capacity": 3, "reason": "a printer broke"}
    )
    read, shown = await planners.ask("GET", f"/v1/slots/{room.slot_id}", roles=("auditor",))

    assert (200, 200) == (status, read)
    assert (3, 6, False) == (answer["capacity"], answer["taken"], answer["closed"])
    assert [booking_id("second"), booking_id("third")] == [each["booking_id"] for each in answer["surplus"]]
    assert shown == answer
    assert {"held"} == {await room.state(name) for name in ("first", "second", "third")}
    assert 3 == (await plans_told(room.db))[-1].capacity


async def test_a_slot_cut_to_exactly_what_is_taken_has_no_surplus(room: Room, planners: Planners) -> None:
    """
    Also where the numbers given out are higher than the places left: what counts is how many.
    """
    await room.record(room.held("one", seats=(7, 8)))
    _, answer = await planners.ask("PATCH", f"/v1/slots/{room.slot_id}", {"capacity": 2, "reason": "x"})

    assert (2, []) == (answer["taken"], answer["surplus"])


async def test_a_closed_slot_stays_closed_until_somebody_opens_it(room: Room, planners: Planners) -> None:
    """
    Planning again does not open it; all its bookings are listed meanwhile.
    """
    await room.record(room.held("one"))
    _, closed = await planners.ask("PATCH", f"/v1/slots/{room.slot_id}", {"closed": True, "reason": "flood"})
    async with room.db.transaction() as connection:
        await planning.plan_coming_week(connection, now=await office_store.read_now(connection))
    _, still = await planners.ask("GET", f"/v1/slots/{room.slot_id}")
    _, opened = await planners.ask("PATCH", f"/v1/slots/{room.slot_id}", {"closed": False, "reason": "dry"})

    assert (True, [booking_id("one")]) == (still["closed"], [each["booking_id"] for each in still["surplus"]])
    assert still == closed
    assert (False, [], "held") == (opened["closed"], opened["surplus"], await room.state("one"))


async def test_the_same_call_again_changes_and_tells_nothing(room: Room, planners: Planners) -> None:
    """
    The first answer is given again; one line in the log.
    """
    body = {"capacity": 7, "reason": "x"}
    first = await planners.ask("PATCH", f"/v1/slots/{room.slot_id}", body, key="resize-once-1")
    told = len(await plans_told(room.db))
    again = await planners.ask("PATCH", f"/v1/slots/{room.slot_id}", body, key="resize-once-1")

    assert first == again
    assert (told, 1) == (len(await plans_told(room.db)), len(await deeds(room.db)))


@pytest.mark.parametrize(
    ("roles", "status"),
    [
        ((), 403),
        (("officer",), 403),
        (("auditor",), 403),
        (("planner:jayapura",), 403),
        (("planner:bandung",), 200),
        (("planner",), 200),
    ],
)
async def test_only_planners_of_the_office_or_the_nation_resize(
    room: Room, planners: Planners, roles: tuple[str, ...], status: int
) -> None:
    """
    Everybody else is refused, and nothing is written.
    """
    answered, _ = await planners.ask("PATCH", f"/v1/slots/{room.slot_id}", {"capacity": 7, "reason": "x"}, roles=roles)

    assert (status, status == 200) == (answered, bool(await deeds(room.db)))


async def test_what_cannot_be_is_refused_with_a_sentence(room: Room, planners: Planners) -> None:
    """
    Nothing asked, a day without service, a slot that is none, a reason that is missing.
    """
    path = f"/v1/slots/{room.slot_id}"
    nothing = await planners.ask("PATCH", path, {"reason": "x"})
    async with room.db.connection() as connection:
        day = await connection.fetchval("SELECT date FROM slot WHERE slot_id = $1", room.slot_id)
        await connection.execute("INSERT INTO holiday VALUES ($1, 'x', 'y')", day)
    holiday = await planners.ask("PATCH", path, {"closed": False, "reason": "x"})
    unknown = await planners.ask(
        "PATCH", "/v1/slots/bandung.20300101.morning.regular.online", {"capacity": 1, "reason": "x"}
    )
    odd = await planners.ask("PATCH", "/v1/slots/%00", {"capacity": 1, "reason": "x"})
    unreasoned = await planners.ask("PATCH", path, {"capacity": 1, "reason": ""})

    assert (422, "nothing is asked: give a capacity, or closed") == (nothing[0], nothing[1]["reason"])
    assert (422, f"bandung does not serve on {day}: a slot of that day cannot be opened") == (
        holiday[0],
        holiday[1]["reason"],
    )
    assert (404, 404, 400) == (unknown[0], odd[0], unreasoned[0])
    assert [] == await deeds(room.db)
