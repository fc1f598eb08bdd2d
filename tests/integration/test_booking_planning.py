"""
Seeding, planning and opening windows: the real offices, twice, changes told and nothing else.
"""

import datetime as dt
import json
from collections.abc import AsyncIterator
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import pytest

from contracts.events import SlotPlanned
from kernel.migrate import migrate
from kernel.postgres import Database
from kernel.postgres import database as open_database
from kernel.settings import PostgresSettings
from services.booking.domain.windows import WindowState
from services.booking.stores import offices as office_store
from services.booking.stores import slots as slot_store
from services.booking.stores.statements import MIGRATIONS
from services.booking.use_cases import planning
from services.booking.use_cases.board import OfficeBoard
from services.booking.use_cases.exporting import export
from services.booking.use_cases.planning import NothingToPlan, Opened, Planned
from services.booking.use_cases.seeding import Seed, load
from tests.integration.booking_room import booking_room, real_seed

WIB = ZoneInfo("Asia/Jakarta")
WEDNESDAY = dt.datetime(2026, 11, 25, 10, tzinfo=WIB)
HALF_HOUR = dt.timedelta(minutes=30)


@pytest.fixture
async def db(database: str) -> AsyncIterator[Database]:
    settings = PostgresSettings(url=database)
    await migrate(settings, schema="booking", folder=MIGRATIONS)
    async with open_database(settings, schema="booking") as opened:
        yield opened


async def _seed(db: Database, seed: Seed, *, now: dt.datetime = WEDNESDAY) -> Planned:
    async with db.transaction() as connection:
        await load(connection, seed)
        planned, _ = await planning.plan_coming_week(connection, now=now)
    return planned


async def _open_window(
    db: Database, *, now: dt.datetime = WEDNESDAY, office_ids: tuple[str, ...] = (), day: dt.date | None = None
) -> Opened:
    async with db.transaction() as connection:
        return await planning.open_window(
            connection, now=now, opens_in=HALF_HOUR, open_for=HALF_HOUR, office_ids=office_ids, day=day, pay_seconds=300
        )


async def _said(db: Database) -> list[SlotPlanned]:
    async with db.connection() as connection:
        rows = await connection.fetch("SELECT body FROM outbox WHERE topic = 'booking.slots' ORDER BY id")
    return [msgspec.json.decode(row["body"], type=SlotPlanned) for row in rows]


def _only(seed: Seed, *office_ids: str) -> Seed:
    return msgspec.structs.replace(seed, offices=tuple(o for o in seed.offices if o.office_id in office_ids))


async def test_the_whole_country_is_planned_and_planning_again_says_nothing(db: Database) -> None:
    """
    133 offices, five days of 19,184 places; the second run neither changes nor announces anything.
    """
    first = await _seed(db, real_seed())
    second = await _seed(db, real_seed())
    said = await _said(db)

    assert (133, 5 * 19_184, dt.date(2026, 11, 30)) == (first.offices, first.places, first.first_day)
    assert first.slots == first.changed == len(said)
    assert 0 == second.changed
    days = {day: sum(slot.capacity for slot in said if slot.date == day) for day in {slot.date for slot in said}}
    assert {19_184} == set(days.values())
    assert 5 == len(days)


async def test_a_slot_is_told_with_the_policy_window_of_its_zone(db: Database) -> None:
    """
    Quota gets everything it needs from one message.
    """
    await _seed(db, _only(real_seed(), "jayapura"))
    slot = next(s for s in await _said(db) if s.slot_id == "jayapura.20261130.morning.regular.online")

    opens_at = dt.datetime(2026, 11, 27, 14, tzinfo=ZoneInfo("Asia/Jayapura"))
    assert (1, 7200, False) == (slot.version, slot.pay_seconds, slot.closed)
    assert "2026-11-30T08:00:00+09:00" == slot.starts_at
    assert int(opens_at.timestamp() * 1000) == slot.opens_at_ms
    assert int(opens_at.timestamp() * 1000) + 7 * 86_400_000 == slot.next_opens_at_ms


async def test_only_slots_whose_plan_differs_get_a_new_version(db: Database) -> None:
    """
    A changed quota of one office is told for that office's slots, and not for all.
    """
    seed = _only(real_seed(), "bandung", "medan")
    before = await _seed(db, seed)
    grown = tuple(
        msgspec.structs.replace(o, daily_quota=o.daily_quota * 2 if o.office_id == "medan" else o.daily_quota)
        for o in seed.offices
    )
    after = await _seed(db, msgspec.structs.replace(seed, offices=grown))
    news = (await _said(db))[before.slots :]

    assert before.slots // 2 == after.changed == len(news)
    assert {("medan", 2)} == {(slot.office_id, slot.version) for slot in news}


async def test_times_at_which_places_come_back_are_told_once_they_are_published(db: Database) -> None:
    """
    Local clock times in order; every slot gets a new version, once.
    """
    seed = _only(real_seed(), "jayapura")
    before = await _seed(db, seed)
    times = (dt.time(15), dt.time(10, 30))
    published = msgspec.structs.replace(seed, calendar=msgspec.structs.replace(seed.calendar, return_times=times))
    first, again = await _seed(db, published), await _seed(db, published)
    said = await _said(db)

    assert {()} == {slot.return_times for slot in said[: before.slots]}
    assert {("10:30", "15:00")} == {slot.return_times for slot in said[before.slots :]}
    assert (before.slots, 0) == (first.changed, again.changed)


async def test_a_day_that_becomes_a_holiday_is_closed_and_opens_again_when_it_is_none(db: Database) -> None:
    """
    What is no longer planned is closed and told, never deleted.
    """
    seed = _only(real_seed(), "bandung")
    before = await _seed(db, seed)
    holiday = office_store.Holiday(day=dt.date(2026, 12, 2), name="x", kind="national_holiday")
    await _seed(db, msgspec.structs.replace(seed, holidays=(*seed.holidays, holiday)))
    closed = (await _said(db))[before.slots :]
    async with db.connection() as connection:
        await connection.execute("DELETE FROM holiday WHERE day = '2026-12-02'")
    await _seed(db, seed)
    again = (await _said(db))[before.slots + len(closed) :]

    assert {("2026-12-02", 2, True)} == {(slot.date, slot.version, slot.closed) for slot in closed}
    assert {("2026-12-02", 3, False)} == {(slot.date, slot.version, slot.closed) for slot in again}
    assert before.slots // 5 == len(closed) == len(again)


async def test_a_window_opened_by_hand_stays_when_the_week_is_planned_again(db: Database) -> None:
    """
    A seed during the release must not close it.
    """
    await _seed(db, _only(real_seed(), "bandung", "medan"))
    opened = await _open_window(db)
    again = await _seed(db, _only(real_seed(), "bandung", "medan"))
    async with db.connection() as connection:
        listed = await slot_store.read_windows(connection, now=WEDNESDAY)

    assert 0 == again.changed
    assert [(opened.slots, opened.places, "opened", None)] == [
        (w.slots, w.places, w.kind, w.office_id) for w in listed if w.slots
    ]


async def test_a_window_for_one_office_leaves_the_others_theirs(db: Database) -> None:
    """
    Its slots are told with the new window and deadline, nobody else's are.
    """
    before = await _seed(db, _only(real_seed(), "bandung", "medan"))
    await _open_window(db, office_ids=("medan",))
    news = (await _said(db))[before.slots :]

    opens_at_ms = int((WEDNESDAY + HALF_HOUR).timestamp() * 1000)
    friday_ms = int(dt.datetime(2026, 11, 27, 14, tzinfo=WIB).timestamp() * 1000)
    assert {("medan", opens_at_ms, opens_at_ms + 1_800_000, 300, friday_ms)} == {
        (s.office_id, s.opens_at_ms, s.closes_at_ms, s.pay_seconds, s.next_opens_at_ms) for s in news
    }


async def test_a_window_for_one_day_leaves_the_other_days_theirs(db: Database) -> None:
    """
    Only that day's slots are told anew; a day outside the coming week is refused.
    """
    before = await _seed(db, _only(real_seed(), "bandung"))
    opened = await _open_window(db, day=dt.date(2026, 12, 2))
    news = (await _said(db))[before.slots :]

    assert {"2026-12-02"} == {slot.date for slot in news}
    assert (len(news), sum(slot.capacity for slot in news)) == (opened.slots, opened.places)
    with pytest.raises(NothingToPlan, match="not in the coming week"):
        await _open_window(db, day=dt.date(2026, 12, 9))


async def test_an_unknown_office_or_an_empty_house_is_said(db: Database) -> None:
    """
    A sentence, and nothing is changed.
    """
    with pytest.raises(NothingToPlan, match="run the seed first"):
        await _open_window(db)
    await _seed(db, _only(real_seed(), "bandung"))
    with pytest.raises(NothingToPlan, match="no such office: atlantis"):
        await _open_window(db, office_ids=("atlantis", "bandung"))


async def test_the_board_shows_the_window_and_is_read_once_for_many(db: Database) -> None:
    """
    A hundred people looking at the same moment cost one reading.
    """
    await _seed(db, _only(real_seed(), "bandung"))
    async with db.connection() as connection:
        now = await office_store.read_now(connection)
    await _open_window(db, now=now - HALF_HOUR)
    board = OfficeBoard(db)

    first = await board.look()
    assert all(other is first for other in [await board.look() for _ in range(100)])
    [(office, window)] = first.offices
    assert ("bandung", WindowState.OPEN) == (office.office_id, window.state if window else None)
    assert window is not None
    assert window.opens_at < window.closes_at <= window.next_opens_at
    assert dt.timedelta(hours=7) == window.opens_at.utcoffset()


async def test_the_export_holds_slots_bookings_and_watermarks(database: str, tmp_path: Path) -> None:
    """
    The audit reads lines; each says what kind it is.
    """
    async with booking_room(database) as room:
        await room.record(room.held("one", seats=(1, 2)))
        lines = await export(room.db, tmp_path / "booking.jsonl")

    rows = [json.loads(line) for line in (tmp_path / "booking.jsonl").read_text().splitlines()]
    [booking] = [row for row in rows if row["kind"] == "booking"]
    assert lines == len(rows)
    assert {"slot", "booking", "watermark"} == {row["kind"] for row in rows}
    assert ("held", [1, 2], [1, 2], ["held"]) == (
        booking["state"],
        booking["seats"],
        booking["active_seats"],
        [step["state"] for step in booking["history"]],
    )
