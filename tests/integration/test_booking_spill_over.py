"""
Spilling over: what priority has not used goes to online at the set time, and never is a place more or fewer.
"""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator
from zoneinfo import ZoneInfo

import pytest

from contracts.envelope import Envelope
from contracts.events import ReservationHeld, SlotApplied
from services.booking.domain.calendar import Calendars
from services.booking.stores import offices as office_store
from services.booking.use_cases import planning, spilling
from tests.integration.booking_planners import Planners, planners_at, plans_told
from tests.integration.booking_room import Room, booking_room, real_seed

SECOND = dt.timedelta(seconds=1)
HOUR = dt.timedelta(hours=1)


@pytest.fixture
async def room(database: str) -> AsyncIterator[Room]:
    async with booking_room(database, offices=("bandung",)) as opened:
        yield opened


class Day:
    """
    The first day of the coming week, with its priority and online slots of one session.
    """

    def __init__(self, room: Room) -> None:
        self.room = room
        self.slot_id = room.slot_id.replace(".electronic.", ".regular.").replace(".online", ".priority")
        self.target_id = self.slot_id.replace(".priority", ".online")
        day = dt.datetime.strptime(self.slot_id.split(".")[1], "%Y%m%d").replace(tzinfo=ZoneInfo("Asia/Jakarta"))
        self.due_at = day - dt.timedelta(hours=9)
        """15:00 on the day before."""

    async def capacity(self, slot_id: str) -> int:
        """
        As planned now.
        """
        return await self.room.count("SELECT capacity FROM slot WHERE slot_id = $1", slot_id)

    async def whole(self) -> int:
        """
        Both together.
        """
        return await self.capacity(self.slot_id) + await self.capacity(self.target_id)

    async def apply(self, *, in_use: int, slot_id: str | None = None) -> None:
        """
        Quota says: the newest plan took effect, and so many places were in use.
        """
        slot = slot_id or self.slot_id
        version = await self.room.count("SELECT version FROM slot WHERE slot_id = $1", slot)
        held = self.room.held("x").event
        assert isinstance(held, ReservationHeld)
        applied = SlotApplied(
            partition=held.partition,
            epoch=held.epoch,
            seq=held.seq,
            slot_id=slot,
            at_ms=held.at_ms,
            version=version,
            capacity=await self.capacity(slot),
            free=0,
            held=in_use,
            confirmed=0,
            withheld=0,
        )
        await self.room.record(Envelope(event_id=f"q7:1:{held.seq}", event=applied))


@pytest.fixture
def day(room: Room) -> Day:
    return Day(room)


async def test_unused_priority_places_go_to_online_once_quota_has_let_go_of_them(day: Day) -> None:
    """
    Two of priority's places are taken; in between the rest is nobody's, afterwards all of it is online's.
    """
    places, before = await day.capacity(day.slot_id), await day.whole()
    await day.room.record(day.room.held("one", seats=(1, 2), slot_id=day.slot_id))
    await spilling.begin(day.room.db, now=day.due_at)
    between = await day.whole(), await spilling.finish(day.room.db)
    await day.apply(in_use=2)
    finished = await spilling.finish(day.room.db)

    assert places > 2
    assert (before - places + 2, 0, 1) == (*between, finished)
    assert (2, before) == (await day.capacity(day.slot_id), await day.whole())


async def test_nothing_goes_over_before_its_time_and_nothing_twice(day: Day) -> None:
    """
    A second early is too early; later looks find it done, and planning again does not bring it back.
    """
    early = await spilling.begin(day.room.db, now=day.due_at - SECOND)
    begun = await spilling.begin(day.room.db, now=day.due_at)
    again = await spilling.begin(day.room.db, now=day.due_at + HOUR)
    await day.apply(in_use=0)
    await spilling.finish(day.room.db)
    done = await day.capacity(day.target_id), await spilling.finish(day.room.db)
    async with day.room.db.transaction() as connection:
        planned, _ = await planning.plan_coming_week(connection, now=await office_store.read_now(connection))

    # Three sessions of two services.
    assert (0, 6, 0) == (early, begun, again)
    assert (0, 0, done) == (
        planned.changed,
        await day.capacity(day.slot_id),
        (await day.capacity(day.target_id), 0),
    )


async def test_a_place_taken_while_it_was_shrunk_does_not_go_over(day: Day) -> None:
    """
    Booking has recorded none, quota had given out three: those stay priority's, and the sum is what it was.
    """
    before = await day.whole()
    await spilling.begin(day.room.db, now=day.due_at)
    await day.apply(in_use=3)
    await spilling.finish(day.room.db)

    assert (3, before) == (await day.capacity(day.slot_id), await day.whole())


async def test_an_older_plan_taking_effect_ends_no_spill_over(day: Day) -> None:
    """
    What quota says about the plan before the shrinking proves nothing.
    """
    await spilling.begin(day.room.db, now=day.due_at)
    async with day.room.db.connection() as connection:
        await connection.execute("UPDATE spill_over SET version = version + 1 WHERE slot_id = $1", day.slot_id)
    await day.apply(in_use=0)

    assert (0, 0) == (await spilling.finish(day.room.db), await day.capacity(day.slot_id))


async def test_a_silent_quota_is_told_again_under_a_new_version(day: Day) -> None:
    """
    It may have been rebuilt without the plan; a minute later it gets one it cannot know.
    """
    await spilling.begin(day.room.db, now=day.due_at)
    at_once = await spilling.remind(day.room.db)
    async with day.room.db.connection() as connection:
        await connection.execute("UPDATE spill_over SET asked_at = asked_at - interval '61 seconds'")
    later = await spilling.remind(day.room.db), await spilling.remind(day.room.db)
    newest = [plan for plan in await plans_told(day.room.db) if plan.slot_id == day.slot_id][-1]
    before = await day.capacity(day.target_id)
    await day.apply(in_use=0)
    await spilling.finish(day.room.db)

    assert (0, (6, 0)) == (at_once, later)
    assert newest.version == await day.room.count("SELECT version + 1 FROM spill_over WHERE slot_id = $1", day.slot_id)
    assert before < await day.capacity(day.target_id)


async def test_who_resizes_the_slot_meanwhile_has_decided(day: Day) -> None:
    """
    The planner's number stands; nothing goes over.
    """
    online = await day.capacity(day.target_id)
    await spilling.begin(day.room.db, now=day.due_at)
    async with planners_at(day.room.db) as planners:
        status = await _resize(planners, day.slot_id, 5)
    await day.apply(in_use=0)
    await spilling.finish(day.room.db)

    assert (200, 5, online) == (status, await day.capacity(day.slot_id), await day.capacity(day.target_id))


async def test_a_closed_twin_gets_nothing_and_the_places_come_back(day: Day) -> None:
    """
    They are priority's again, to the last one.
    """
    before = await day.capacity(day.slot_id)
    await spilling.begin(day.room.db, now=day.due_at)
    async with planners_at(day.room.db) as planners:
        await planners.ask("PATCH", f"/v1/slots/{day.target_id}", {"closed": True, "reason": "x"})
    await day.apply(in_use=0)
    await spilling.finish(day.room.db)

    assert before == await day.capacity(day.slot_id)


async def test_online_sells_on_for_a_while_where_its_window_is_over(day: Day) -> None:
    """
    The weekly window has closed by the day before; what comes late is to be had until the evening.
    """
    async with day.room.db.connection() as connection:
        await connection.execute(
            "UPDATE slot SET opens_at = now() - interval '2 days', closes_at = now() - interval '1 day'"
            " WHERE slot_id = $1",
            day.target_id,
        )
    await spilling.begin(day.room.db, now=day.due_at)
    await day.apply(in_use=0)
    await spilling.finish(day.room.db)
    newest = [plan for plan in await plans_told(day.room.db) if plan.slot_id == day.target_id][-1]

    assert 300 * 60_000 == newest.closes_at_ms - newest.opens_at_ms
    assert 0 == await day.room.count("SELECT count(*) FROM slot WHERE slot_id = $1 AND follows_policy", day.target_id)


async def test_any_number_of_workers_move_every_place_once(day: Day) -> None:
    """
    Ten begin at once and ten finish at once; over all sessions and services the sum stays.
    """
    total = "SELECT sum(capacity) FROM slot WHERE NOT closed"
    before = await day.room.count(total)
    begun = await asyncio.gather(*(spilling.begin(day.room.db, now=day.due_at) for _ in range(10)))
    async with day.room.db.connection() as connection:
        pairs = [row["slot_id"] for row in await connection.fetch("SELECT slot_id FROM spill_over")]
    for slot_id in pairs:
        await day.apply(in_use=1, slot_id=slot_id)
    finished = await asyncio.gather(*(spilling.finish(day.room.db) for _ in range(10)))

    assert (6, 6, 6) == (sum(begun), sum(finished), len(pairs))
    assert before == await day.room.count(total)
    assert 6 == await day.room.count("SELECT sum(capacity) FROM slot AS s JOIN spill_over USING (slot_id)")


def test_fifteen_oclock_is_the_offices_own() -> None:
    """
    Two hours earlier for the world in Jayapura; a Monday is due on Sunday, and holidays never.
    """
    seed = real_seed()
    calendars = Calendars(base=seed.calendar, holidays=frozenset({dt.date(2026, 12, 1)}))
    east, west = (
        next(office for office in seed.offices if office.office_id == each) for each in ("jayapura", "bandung")
    )
    sunday = dt.datetime(2026, 11, 29, 15, tzinfo=ZoneInfo("Asia/Jayapura"))

    def days(office: planning.Office, now: dt.datetime) -> list[dt.date]:
        return [spill.day for spill in spilling.due_spills(calendars, office, now)]

    monday = dt.date(2026, 11, 30)
    assert ([], [monday], []) == (days(east, sunday - SECOND), days(east, sunday), days(west, sunday))
    assert [monday] == days(west, sunday + 2 * HOUR)
    assert [monday] == days(west, sunday + 26 * HOUR)


async def _resize(planners: Planners, slot_id: str, capacity: int) -> int:
    status, _ = await planners.ask("PATCH", f"/v1/slots/{slot_id}", {"capacity": capacity, "reason": "x"})
    return status
