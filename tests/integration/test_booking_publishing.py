"""
Publishing: what policies release soon is planned without anybody asking, by any number of workers, once.
"""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator
from zoneinfo import ZoneInfo

import msgspec
import pytest

from kernel.migrate import migrate
from kernel.postgres import Database
from kernel.postgres import database as open_database
from kernel.settings import PostgresSettings
from services.booking.domain.calendar import Calendar
from services.booking.domain.policies import Stage, Staged, WindowPolicy
from services.booking.stores import calendars as calendar_store
from services.booking.stores import offices as office_store
from services.booking.stores import publications
from services.booking.stores.statements import MIGRATIONS
from services.booking.use_cases import publishing
from services.booking.use_cases.seeding import Seed, load
from tests.integration.booking_planners import plans_told
from tests.integration.booking_room import real_seed

WIB = ZoneInfo("Asia/Jakarta")
WIT = ZoneInfo("Asia/Jayapura")
TUESDAY = dt.datetime(2026, 11, 24, 13, 59, 59, tzinfo=WIB)
SECOND = dt.timedelta(seconds=1)
HOUR = dt.timedelta(hours=1)
DAY = dt.timedelta(days=1)
STAGED = Staged(
    stages=(
        Stage(months_ahead=3, percent=10),
        Stage(months_ahead=2, percent=30),
        Stage(months_ahead=1, percent=60),
    ),
    opens_at=dt.time(9),
    closes_days_before=1,
    closes_at=dt.time(12),
)


@pytest.fixture
async def db(database: str) -> AsyncIterator[Database]:
    settings = PostgresSettings(url=database)
    await migrate(settings, schema="booking", folder=MIGRATIONS)
    async with open_database(settings, schema="booking") as opened:
        yield opened


def _seed(*office_ids: str, window: WindowPolicy | None = None) -> Seed:
    seed = real_seed()
    few = tuple(office for office in seed.offices if office.office_id in office_ids)
    changed: Calendar = seed.calendar if window is None else msgspec.structs.replace(seed.calendar, window=window)
    return msgspec.structs.replace(seed, offices=few, calendar=changed)


async def _load(db: Database, seed: Seed) -> None:
    async with db.transaction() as connection:
        await load(connection, seed)
        await publications.begin(connection)


async def _publish(db: Database, office_id: str, now: dt.datetime) -> tuple[int, dt.datetime]:
    async with db.transaction() as connection:
        changed, look_at = await publishing.publish_office(connection, office_id, now=now)
        return len(changed), look_at


async def _unplanned(db: Database, now: dt.datetime) -> list[tuple[str, dt.datetime]]:
    async with db.connection() as connection:
        return await publishing.unplanned(connection, now=now)


async def test_a_window_is_published_three_days_ahead_and_said_once(db: Database) -> None:
    """
    Not a second earlier, by the office's own clock; looking again changes nothing.
    """
    await _load(db, _seed("bandung"))
    before, look_at = await _publish(db, "bandung", TUESDAY)
    first, _ = await _publish(db, "bandung", TUESDAY + SECOND)
    again, _ = await _publish(db, "bandung", TUESDAY + HOUR)
    told = await plans_told(db)

    assert (0, TUESDAY + SECOND) == (before, look_at)
    assert (90, 0) == (first, again)
    assert {"2026-11-30", "2026-12-01", "2026-12-02", "2026-12-03", "2026-12-04"} == {plan.date for plan in told}
    friday = dt.datetime(2026, 11, 27, 14, tzinfo=WIB)
    assert {int(friday.timestamp() * 1000)} == {plan.opens_at_ms for plan in told}


async def test_week_after_week_is_planned_and_what_was_sold_stays(db: Database) -> None:
    """
    Eight weeks of one worker, a look a day: every week of five days once, holidays left out, none changed later.
    """
    await _load(db, _seed("jayapura"))
    start = dt.datetime(2026, 11, 24, 14, tzinfo=WIT)
    for day in range(56):
        await _publish(db, "jayapura", start + day * DAY)
    told = await plans_told(db)

    assert {1} == {plan.version for plan in told}
    assert len(told) == len({plan.slot_id for plan in told})
    days = {dt.date.fromisoformat(plan.date) for plan in told}
    holidays = {holiday.day for holiday in real_seed().holidays}
    every = {dt.date(2026, 11, 30) + n * DAY for n in range(56)}
    assert {day for day in every if day.weekday() < 5 and day not in holidays} == days


async def test_any_number_of_workers_publish_every_office_once(db: Database) -> None:
    """
    Twelve at once on eight offices: each office is taken by one of them, nothing is said twice.
    """
    seed = real_seed()
    # Whatever day it is, a week is due: it is published as soon as the one before has closed.
    ahead = msgspec.structs.replace(seed.calendar, publish_ahead_hours=24 * 8)
    few = msgspec.structs.replace(seed, offices=seed.offices[:8], calendar=ahead)
    await _load(db, few)

    async def work() -> list[publishing.Published]:
        done = []
        while (published := await publishing.publish(db)) is not None:
            done.append(published)
        return done

    rounds = [each for done in await asyncio.gather(*(work() for _ in range(12))) for each in done]
    told = await plans_told(db)

    assert sorted(office.office_id for office in few.offices) == sorted(each.office_id for each in rounds)
    assert len(told) == len({plan.slot_id for plan in told}) == sum(each.changed for each in rounds)
    assert {office.office_id for office in few.offices} == {plan.office_id for plan in told}


async def test_stages_grow_a_slot_at_their_openings(db: Database) -> None:
    """
    Ten percent, forty, all: the same slot in three versions, and each time it is said when more opens.
    """
    await _load(db, _seed("jayapura", window=STAGED))
    stages = [dt.datetime(2027, month, 10, 9, tzinfo=WIT) for month in (2, 3, 4)]
    looks = [moment + shift for moment in stages for shift in (-SECOND, dt.timedelta(0))]
    soon = []
    for now in looks:
        _, look_at = await _publish(db, "jayapura", now)
        soon.append(look_at)
    whole = next(o for o in real_seed().offices if o.office_id == "jayapura").daily_quota
    told = [plan for plan in await plans_told(db) if plan.date == "2027-05-10"]
    largest = [plan for plan in told if plan.slot_id == "jayapura.20270510.afternoon.regular.online"]

    assert [1, 2, 3] == [plan.version for plan in largest]
    final = largest[-1].capacity
    assert [final // 10, final * 40 // 100, final] == [plan.capacity for plan in largest]
    assert {int(stages[0].timestamp() * 1000)} == {plan.opens_at_ms for plan in largest}
    assert [int(moment.timestamp() * 1000) for moment in stages[1:]] == [plan.next_opens_at_ms for plan in largest[:2]]
    newest = {plan.slot_id: plan.capacity for plan in told}
    assert whole == sum(newest.values())
    assert stages == soon[::2]


async def test_a_day_that_becomes_a_holiday_is_closed_without_anybody_asking(db: Database) -> None:
    """
    The next look closes what was published.
    """
    await _load(db, _seed("bandung"))
    await _publish(db, "bandung", TUESDAY + SECOND)
    async with db.connection() as connection:
        await connection.execute("INSERT INTO holiday VALUES ('2026-12-02', 'x', 'national_holiday')")
    changed, _ = await _publish(db, "bandung", TUESDAY + HOUR)
    news = (await plans_told(db))[-changed:]

    assert 18 == changed
    assert {("2026-12-02", True)} == {(plan.date, plan.closed) for plan in news}


async def test_a_new_calendar_is_in_force_from_its_day_on(db: Database) -> None:
    """
    Monday and Tuesday keep the nation's sessions; from Wednesday on there is one long one, in a window of its own.
    """
    seed = _seed("bandung")
    await _load(db, seed)
    session = msgspec.structs.replace(seed.calendar.sessions[0], key="whole_day", ends_at=dt.time(15))
    own = msgspec.structs.replace(seed.calendar, sessions=(session,))
    async with db.transaction() as connection:
        await calendar_store.put_edition(
            connection, office_id="bandung", effective_from=dt.date(2026, 12, 2), body=own, actor="acc_planner"
        )
    await _publish(db, "bandung", TUESDAY + SECOND)
    async with db.connection() as connection:
        rows = await connection.fetch("SELECT DISTINCT date, session, window_id FROM slot ORDER BY date")

    assert {"whole_day"} == {row["session"] for row in rows if row["date"] >= dt.date(2026, 12, 2)}
    assert {"morning", "midday", "afternoon"} == {row["session"] for row in rows if row["date"] < dt.date(2026, 12, 2)}
    assert {"policy.Asia-Jakarta.20261130", "policy.Asia-Jakarta.bandung-20261202.20261130"} == {
        row["window_id"] for row in rows
    }


async def test_a_window_nobody_planned_is_noticed_in_time(db: Database) -> None:
    """
    Half of the three days may pass; then it is counted until its days have slots.
    """
    await _load(db, _seed("bandung", "jayapura"))
    friday = dt.datetime(2026, 11, 27, 14, tzinfo=WIB)
    called_at = friday - 36 * HOUR
    early = await _unplanned(db, called_at - 2 * HOUR - SECOND)
    late = await _unplanned(db, called_at)
    await _publish(db, "bandung", called_at)
    still = await _unplanned(db, called_at)

    assert [] == early
    assert [("bandung", friday), ("jayapura", friday - 2 * HOUR)] == sorted(late)
    assert ["jayapura"] == [office_id for office_id, _ in still]


async def test_before_the_seed_there_is_nothing_to_do(db: Database) -> None:
    """
    No office is due, and no window is missed.
    """
    async with db.connection() as connection:
        now = await office_store.read_now(connection)

    assert await publishing.publish(db) is None
    assert [] == await _unplanned(db, now)
