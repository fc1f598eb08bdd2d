"""
The name sheet: names are read by the office's officers, on the day itself, and never without a line about it.
"""

import csv
import io
import signal
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import asyncpg
import pytest

from contracts.events import (
    BookingCancelled,
    BookingCheckedIn,
    BookingEvent,
    BookingExpired,
    BookingHeld,
    BookingIncomplete,
    BookingRescheduled,
)
from services.identity.routes import name_sheet
from services.identity.use_cases import tidy
from tests.integration.identity_room import Eventually, Room, code_of, environment, nik_of, opened_room, running
from tests.integration.name_desk import OFFICER, ZONES, became, confirmed, family, hear, staff, today, visit

PATH = "/v1/offices/bandung/name-sheet"
ENDINGS = ("", ".csv", ".pdf")
NAME, SPOUSE, FORMULA = "Kartini Zulkarnaen", "Bagus Zulkarnaen", "=HYPERLINK(kartini)"


@pytest.fixture
async def room(database: str) -> AsyncIterator[Room]:
    async with opened_room(database) as opened:
        yield opened


async def sheet(room: Room, office_id: str = "bandung") -> list[dict[str, Any]]:
    """
    The lines an officer reads today.
    """
    answer = await room.get(f"/v1/offices/{office_id}/name-sheet", token=staff(f"officer:{office_id}"))
    assert 200 == answer.status, await answer.text()
    lines: list[dict[str, Any]] = (await answer.json())["lines"]
    return lines


async def seen(room: Room, office_id: str = "bandung") -> list[tuple[int, str | None, str]]:
    """
    Number, name and state of each line.
    """
    return [(line["queue_number"], line["name"], line["state"]) for line in await sheet(room, office_id)]


async def everywhere(room: Room) -> str:
    """
    Every row of every table but the vault, as text.
    """
    tables = await room.fetch("SELECT table_name FROM information_schema.tables WHERE table_schema = 'identity'")
    names = [table["table_name"] for table in tables if table["table_name"] != "vault"]
    rows = [await room.fetch(f'SELECT t::text AS row FROM "{name}" AS t') for name in names]  # noqa: S608 - names from the catalogue
    return "\n".join(row["row"] for table in rows for row in table)


async def test_the_offices_officer_reads_todays_names_in_order(room: Room) -> None:
    """
    By session and queue number; whom the vault does not know, or no longer knows, has a number and no name.
    """
    kartini, bagus, erased = await family(room, NAME, SPOUSE, "Warga Terhapus")
    await hear(
        room,
        [
            confirmed(visit("later", {1: kartini}, hour=13)),
            confirmed(visit("pair", {12: bagus, 2: erased})),
            confirmed(visit("counter", {7: "per_counter"}, channel="walk_in")),
            confirmed(visit("tomorrow", {3: kartini}, date=today(days=1))),
            confirmed(visit("east", {4: kartini}, office_id="jayapura")),
        ],
    )
    await room.fetch("DELETE FROM vault WHERE owner_id = $1", erased)
    answer = await (await room.get(PATH, token=staff("officer:bandung"))).json()
    lines = answer["lines"]

    assert [
        ("s8", 2, None, "online"),
        ("s8", 7, None, "walk_in"),
        ("s8", 12, SPOUSE, "online"),
        ("s13", 1, NAME, "online"),
    ] == [(line["session"], line["queue_number"], line["name"], line["channel"]) for line in lines]
    assert ("bandung", "Kantor Imigrasi Bandung", today().isoformat(), True) == (
        *(answer[key] for key in ("office_id", "office_name", "date")),
        answer["complete"],
    )
    assert f"{today()}T08:00:00+07:00" == lines[0]["arrive_from"]
    assert lines[0]["booking_id"] == lines[2]["booking_id"] == visit("pair", {}).booking_id
    assert {
        *("session", "arrive_from", "arrive_until", "queue_number", "service", "channel", "state"),
        *("name", "nik", "booking_id"),
    } == set(lines[0])
    assert [(4, NAME)] == [(n, name) for n, name, _ in await seen(room, "jayapura")]


async def test_two_of_one_name_are_told_apart_and_nobody_elses_nik_is_opened(room: Room) -> None:
    """
    The masked NIK stands where the name does not do, and there alone.
    """
    first, second, other = await family(room, NAME, NAME.upper(), SPOUSE)
    await hear(room, [confirmed(visit("alike", {1: first, 2: second, 3: other}))])

    masked = [f"{nik_of(number)[:4]}********{nik_of(number)[-4:]}" for number in (1, 2)]
    assert [*masked, None] == [line["nik"] for line in await sheet(room)]


async def test_nobody_else_sees_a_name_and_all_are_told_the_same(room: Room) -> None:
    """
    Citizens, other offices' officers, planners and auditors; in every form, also of a day and an office that are none.
    """
    await hear(room, [confirmed(visit("one", {1: "per_one"}))])
    refusals = []
    for ending in ENDINGS:
        for roles in ((), ("officer:jayapura", "planner:bandung"), ("auditor",), ("planner", "sre", "finance")):
            for query in ("", f"?date={today(days=1)}", "?date=never"):
                answer = await room.get(f"{PATH}{ending}{query}", token=staff(*roles))
                problem = await answer.json()
                refusals.append((answer.status, {**problem, "request_id": "", "instance": ""}))
        nobody = await room.get(f"{PATH}{ending}")
        elsewhere = await room.get(f"/v1/offices/atlantis/name-sheet{ending}", token=staff("auditor"))
        assert [(401, "unauthenticated"), (403, "forbidden")] == [await code_of(nobody), await code_of(elsewhere)]

    assert [refusals[0]] * 36 == refusals
    assert (403, "forbidden", "officer:bandung") == (refusals[0][0], refusals[0][1]["code"], refusals[0][1]["role"])
    assert 0 == await room.count("audit_entry")


async def test_any_other_day_is_refused_and_the_refusal_says_when(room: Room) -> None:
    """
    Tomorrow's names open at the office's midnight, yesterday's do not open again. What is no day is refused as such.
    """
    await hear(room, [confirmed(visit(str(days), {1: "per_one"}, date=today(days=days))) for days in (-1, 0, 1)])
    officer = staff("officer:bandung")
    answers = [await room.get(f"{PATH}?date={today(days=days)}", token=officer) for days in (-1, 0, 1)]
    before, now, after = [await answer.json() for answer in answers]
    none = [await room.get(f"{PATH}?date={each}", token=officer) for each in ("2026-13-01", "tomorrow", "")]

    assert [403, 200, 403] == [answer.status for answer in answers]
    assert ["names_not_today"] * 2 == [before["code"], after["code"]]
    assert [today().isoformat()] * 3 == [before["today"], now["date"], after["today"]]
    assert (None, f"{today(days=1)}T00:00:00+07:00") == (before["readable_from"], after["readable_from"])
    assert [400] * 3 == [answer.status for answer in none]
    assert 1 == await room.count("audit_entry")


async def test_which_day_it_is_the_office_says(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    It is never the same day at both ends of the world, and each office has its own.
    """
    monkeypatch.setitem(ZONES, "first", "Pacific/Kiritimati")
    monkeypatch.setitem(ZONES, "last", "Etc/GMT+12")
    await hear(room, [confirmed(visit(name, {1: "per_one"}, office_id=name)) for name in ("first", "last")])
    asked = {
        (name, day): (await room.get(f"/v1/offices/{name}/name-sheet?date={today(day)}", token=staff("officer"))).status
        for name in ("first", "last")
        for day in ("first", "last")
    }

    assert {(name, day): 200 if name == day else 403 for name, day in asked} == asked


async def test_an_office_nobody_was_awaited_at_is_not_known_here(room: Room) -> None:
    """
    Not even its time is known, so nobody is told that nobody comes. One with no visits today is empty.
    """
    officer = staff("officer")
    await hear(room, [confirmed(visit("tomorrow", {1: "per_one"}, date=today(days=1)))])
    for name in ("jayapura", "Bandung%20City", "a%00b"):
        for ending in ENDINGS:
            answer = await room.get(f"/v1/offices/{name}/name-sheet{ending}", token=officer)
            assert (404, "no_visits_known") == await code_of(answer)

    assert [] == await sheet(room)
    assert 1 == await room.count("audit_entry")


async def test_the_newest_version_wins_in_whatever_order_it_arrives(room: Room) -> None:
    """
    Once or again, alone or together; what has ended comes back by nothing, and its people are forgotten at once.
    """
    kartini, bagus = await family(room, NAME, SPOUSE)
    came, gone, early = visit("came", {1: kartini}), visit("gone", {2: bagus}), visit("early", {3: bagus})
    checked_in = became(BookingCheckedIn, came, "checked_in", version=4)
    incomplete = became(BookingIncomplete, came, "incomplete", version=5, reason="family_card")
    cancelled = became(BookingCancelled, gone, "cancelled", version=4, reason="illness")
    never: list[BookingEvent] = [
        became(BookingHeld, early, "held", version=1),
        became(BookingExpired, early, "expired", version=2),
    ]
    await hear(room, never, [checked_in, confirmed(came), cancelled], [checked_in, confirmed(came)])
    once = await seen(room)
    await hear(room, [confirmed(gone)], [incomplete], [checked_in, cancelled])

    assert [(1, NAME, "checked_in")] == once
    assert [(1, NAME, "incomplete")] == await seen(room)
    assert {("incomplete", (kartini,)), ("cancelled", ())} == {
        (row["state"], tuple(row["person_ids"])) for row in await room.fetch("SELECT state, person_ids FROM visit")
    }


async def test_who_was_moved_is_awaited_at_the_new_place_alone(room: Room) -> None:
    """
    Whichever is heard first; a move away from a slot nobody planned takes no office's clock along.
    """
    [kartini] = await family(room, NAME)
    old, new = visit("old", {5: kartini}), visit("new", {6: kartini}, office_id="jayapura")
    moved = became(
        BookingRescheduled,
        visit("old", {5: kartini}, timezone="UTC", office_name=""),
        "rescheduled",
        version=4,
        moved_to=new.booking_id,
        reason="holder",
    )
    await hear(room, [confirmed(new)], [moved], [confirmed(old)], [confirmed(visit("other", {9: "per_x"}))], [moved])

    assert [(9, None, "confirmed")] == await seen(room)
    assert [(6, NAME, "confirmed")] == await seen(room, "jayapura")
    assert [("Kantor Imigrasi Bandung", "Asia/Jakarta")] == [
        tuple(row) for row in await room.fetch("SELECT name, timezone FROM office WHERE office_id = 'bandung'")
    ]


async def test_every_reading_is_a_line_that_stays(room: Room) -> None:
    """
    Who, which office and day, in which form and how many names; nobody changes it, and no name stands in it.
    """
    kartini, bagus = await family(room, NAME, SPOUSE)
    await hear(room, [confirmed(visit("pair", {1: kartini, 2: bagus})), confirmed(visit("counter", {3: "per_x"}))])
    for ending in ENDINGS:
        assert 200 == (await room.get(f"{PATH}{ending}", token=staff("officer:bandung"))).status
    lines = await room.fetch(
        "SELECT actor, action, subject, office_id, details->>'form' AS form, details->>'names' AS names,"
        " details->>'lines' AS lines, (at AT TIME ZONE 'Asia/Jakarta')::date AS day FROM audit_entry ORDER BY entry_id"
    )
    for statement in ("UPDATE audit_entry SET actor = 'x'", "DELETE FROM audit_entry", "TRUNCATE audit_entry"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await room.fetch(statement)

    assert [
        (OFFICER, "read_names", f"bandung/{today()}", "bandung", form, "2", "3", today())
        for form in ("json", "csv", "pdf")
    ] == [tuple(line) for line in lines]
    assert [] == [name for name in (NAME, SPOUSE) if name in await everywhere(room)]
    assert kartini in await everywhere(room)


async def test_a_spreadsheet_runs_no_name(room: Room) -> None:
    """
    A name that begins like a formula is text, and nothing may be kept on the way.
    """
    [person_id] = await family(room, FORMULA)
    await hear(room, [confirmed(visit("one", {1: person_id}, service="@sum"))])
    answer = await room.get(f"{PATH}.csv", token=staff("officer:bandung"))
    [row] = csv.DictReader(io.StringIO((await answer.read()).decode("utf-8-sig")))

    assert ("text/csv", "no-store") == (answer.content_type, answer.headers["Cache-Control"])
    assert (f"'{FORMULA}", "'@sum", "") == (row["name"], row["service"], row["nik"])
    assert f'attachment; filename="bandung-{today()}-names.csv"' == answer.headers["Content-Disposition"]


async def test_a_sheet_is_printed_also_of_an_empty_day_and_says_when_it_is_not_all(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    What a name has of markup is letters, and names that are not printed are not opened.
    """
    people = await family(room, '#panic("x") $ [ \\ *', NAME, SPOUSE)
    await hear(room, [confirmed(visit("three", dict(enumerate(people, start=1))))])
    await hear(room, [confirmed(visit("tomorrow", {1: "per_x"}, office_id="jayapura", date=today("jayapura", days=1)))])
    officer = staff("officer")
    answers = [await room.get(f"/v1/offices/{name}/name-sheet.pdf", token=officer) for name in ("bandung", "jayapura")]
    monkeypatch.setattr(name_sheet, "PRINTED_LINES_MAX", 2)
    cut = await room.get(f"{PATH}.pdf", token=officer)
    counted = await room.fetch("SELECT details->>'names' AS names FROM audit_entry ORDER BY entry_id")

    assert [(200, "application/pdf")] * 3 == [(a.status, a.content_type) for a in (*answers, cut)]
    assert [b"%PDF-"] * 3 == [(await answer.read())[:5] for answer in (*answers, cut)]
    assert ["true", "true", "false"] == [answer.headers["X-Complete"] for answer in (*answers, cut)]
    assert ["3", "0", "2"] == [row["names"] for row in counted]


async def test_visits_long_over_are_forgotten_a_bounded_number_at_a_time(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Their office is still known.
    """
    days = (-30, -5, -4, -2, 0, 30)
    await hear(room, [confirmed(visit(str(day), {1: "per_one"}, date=today(days=day))) for day in days])
    limits = {"pending_keep_seconds": 3600, "login_window_seconds": 60, "visits_keep_days": 3}
    with monkeypatch.context() as slowly:
        slowly.setattr(tidy, "ROWS_MAX", 1)
        await tidy.tidy_once(room.db, **limits)
    one_less = await room.count("visit")
    await tidy.tidy_once(room.db, **limits)
    kept = await room.fetch("SELECT date FROM visit ORDER BY date")
    await room.fetch("DELETE FROM visit")

    assert len(days) - 1 == one_less
    # At an office ahead of UTC it may already be the day after.
    assert [today(days=day) for day in (-2, 0, 30)] == [row["date"] for row in kept if row["date"] > today(days=-4)]
    assert 4 >= len(kept)
    assert [] == await sheet(room)


async def test_no_line_no_names_and_no_name_in_the_log_of_the_real_process(
    database: str, eventually: Eventually
) -> None:
    """
    At the most talkative level, through readings, refusals, and a fault when the names have been opened already.
    """
    async with opened_room(database) as room:
        kartini, bagus = await family(room, NAME, SPOUSE)
        await hear(room, [confirmed(visit("pair", {1: kartini, 2: bagus}))])
        environ = environment(database, LOG_LEVEL="debug")
        async with running("api", environ, eventually) as (process, base), aiohttp.ClientSession(base) as session:

            async def read(path: str) -> tuple[int, bytes]:
                headers = {"Authorization": f"Bearer {staff('officer:bandung')}"}
                async with session.get(path, headers=headers) as answer:
                    return answer.status, await answer.read()

            paths = (PATH, f"{PATH}.csv", f"{PATH}?date={today(days=1)}")
            answers = [await read(path) for path in paths]
            await room.fetch("ALTER TABLE audit_entry RENAME TO audit_on_holiday")
            broken = await read(PATH)
            process.send_signal(signal.SIGTERM)
            out, errors = await process.communicate()

    assert [200, 200, 403, 500] == [status for status, _ in (*answers, broken)]
    assert 2 == out.count(b'"names_read"')
    assert b"internal_error" in out
    assert [True, False, False] == [NAME.encode() in text for text in (answers[0][1], out + errors, broken[1])]
