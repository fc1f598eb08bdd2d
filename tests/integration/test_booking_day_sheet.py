"""
The sheet of a day: every queue number that is taken, for officers of the office and auditors alone.
"""

import csv
import io
from collections.abc import AsyncIterator

import pytest

from services.booking.routes import day_sheet
from tests.integration.booking_desk import Client, as_staff, check_in, confirm, desk_client, shift
from tests.integration.booking_room import Room, booking_id, booking_room

PATH = "/v1/offices/bandung/day-sheet"


@pytest.fixture
async def room(database: str) -> AsyncIterator[Room]:
    async with booking_room(database) as opened:
        yield opened


@pytest.fixture
async def client(room: Room) -> AsyncIterator[Client]:
    async with desk_client(room) as opened:
        yield opened


@pytest.fixture
async def full(room: Room, client: Client) -> None:
    """
    A family of two seen in the morning, one that is awaited, one in a later session, one that cancelled, one elsewhere.
    """
    slots = await room.slots()
    day = slots[0].split(".")[1]
    last = [slot for slot in slots if slot.split(".")[1] == day][-1]
    await confirm(room, "family", seats=(11, 12), persons=("per_a", "per_b"))
    await confirm(room, "awaited", seats=(2,), persons=("per_c",))
    await confirm(room, "later", seats=(1,), persons=("per_d",), slot_id=last)
    await confirm(room, "gone", seats=(3,), persons=("per_e",))
    await confirm(room, "east", seats=(1,), slot_id=(await room.slots(office_id="jayapura"))[0])
    headers = {**as_staff(), "Authorization": as_staff()["Authorization"]}
    async with room.db.connection() as connection:
        await connection.execute(
            "UPDATE booking SET account_id = 'acc_officer' WHERE booking_id = $1", booking_id("gone")
        )
    assert 200 == (await client.post(f"/v1/bookings/{booking_id('gone')}/cancel", headers=headers)).status
    await shift(room, 0)
    assert 200 == (await check_in(client, "family")).status


@pytest.mark.usefixtures("full")
async def test_the_sheet_stands_in_order_of_session_and_number(client: Client) -> None:
    """
    A line per person, with the state each booking is in; what was given back is not awaited.
    """
    response = await client.get(PATH, headers=as_staff("officer:bandung"))
    sheet = await response.json()
    lines = sheet["lines"]

    assert [
        (2, "confirmed", "per_c", booking_id("awaited")),
        (11, "checked_in", "per_a", booking_id("family")),
        (12, "checked_in", "per_b", booking_id("family")),
        (1, "confirmed", "per_d", booking_id("later")),
    ] == [(line["queue_number"], line["state"], line["person_id"], line["booking_id"]) for line in lines]
    assert [False, True, True, False] == [line["checked_in_at"] is not None for line in lines]
    assert lines == sorted(lines, key=lambda line: (line["arrive_from"], line["queue_number"]))
    assert ("bandung", True) == (sheet["office_id"], sheet["complete"])
    assert lines[0]["arrive_from"].endswith("+07:00")


@pytest.mark.usefixtures("full")
async def test_the_sheet_says_nothing_it_need_not(client: Client) -> None:
    """
    No account, no payment, no code.
    """
    sheet = await (await client.get(PATH, headers=as_staff("auditor"))).json()

    assert {
        "session",
        "arrive_from",
        "arrive_until",
        "queue_number",
        "service",
        "channel",
        "state",
        "checked_in_at",
        "person_id",
        "booking_id",
    } == set(sheet["lines"][0])


async def test_only_the_offices_officers_and_auditors_see_it(client: Client) -> None:
    """
    In every form.
    """
    for ending in ("", ".csv", ".pdf"):
        for roles, expected in (
            ((), 403),
            (("officer:jayapura", "planner:bandung", "sre"), 403),
            (("auditor:jayapura",), 403),
            (("auditor:bandung",), 200),
            (("officer:bandung",), 200),
            (("officer",), 200),
        ):
            response = await client.get(f"{PATH}{ending}", headers=as_staff(*roles))
            assert expected == response.status


async def test_another_day_and_no_day_at_all(room: Room, client: Client) -> None:
    """
    A day is asked for by its date; what is none is refused, and so is an office that is none.
    """
    await confirm(room, "one")
    day = room.slot_id.split(".")[1]
    date = f"{day[:4]}-{day[4:6]}-{day[6:]}"
    officer = as_staff("officer")
    asked = await (await client.get(PATH, params={"date": date}, headers=officer)).json()
    today = await (await client.get(PATH, headers=officer)).json()
    bad = [await client.get(PATH, params={"date": each}, headers=officer) for each in ("2026-13-01", "tomorrow", "")]
    nowhere = await client.get("/v1/offices/atlantis/day-sheet", headers=officer)

    assert (date, 1, 0) == (asked["date"], len(asked["lines"]), len(today["lines"]))
    assert ([400] * 3, 404) == ([each.status for each in bad], nowhere.status)


@pytest.mark.usefixtures("full")
async def test_a_spreadsheet_runs_nothing_it_is_given(room: Room, client: Client) -> None:
    """
    A cell that begins like a formula is text; quotes and commas stay inside their cell.
    """
    async with room.db.connection() as connection:
        await connection.execute(
            """UPDATE slot SET service = '=HYPERLINK("http://x","a")', channel = '@x', session = '-1+1'"""
        )
    response = await client.get(f"{PATH}.csv", headers=as_staff("officer:bandung"))
    rows = list(csv.DictReader(io.StringIO((await response.read()).decode("utf-8-sig"))))

    assert ("text/csv", "no-store") == (response.content_type, response.headers["Cache-Control"])
    assert [4, 4] == [len(rows), len({row["person_id"] for row in rows})]
    assert {('\'=HYPERLINK("http://x","a")', "'@x", "'-1+1")} == {
        (row["service"], row["channel"], row["session"]) for row in rows
    }
    assert [] == [cell for row in rows for cell in row.values() if cell.startswith(("=", "+", "-", "@"))]
    assert response.headers["Content-Disposition"].startswith('attachment; filename="bandung-20')


@pytest.mark.usefixtures("full")
async def test_a_sheet_that_was_cut_says_so(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Everything has a limit, and nobody takes a part for the whole.
    """
    officer = as_staff("officer:bandung")
    monkeypatch.setattr(day_sheet, "PRINTED_LINES_MAX", 2)
    printed = await client.get(f"{PATH}.pdf", headers=officer)
    listed = await client.get(f"{PATH}.csv", headers=officer)
    monkeypatch.setattr(day_sheet, "LINES_MAX", 3)
    cut = await (await client.get(PATH, headers=officer)).json()

    assert ("false", "true") == (printed.headers["X-Complete"], listed.headers["X-Complete"])
    assert (False, 3) == (cut["complete"], len(cut["lines"]))


@pytest.mark.usefixtures("full")
async def test_the_sheet_can_be_printed(client: Client) -> None:
    """
    A PDF, also of a day on which nobody is awaited.
    """
    for params in ({}, {"date": "2020-01-01"}):
        response = await client.get(f"{PATH}.pdf", params=params, headers=as_staff("officer:bandung"))
        body = await response.read()

        assert (200, "application/pdf", b"%PDF-") == (response.status, response.content_type, body[:5])
