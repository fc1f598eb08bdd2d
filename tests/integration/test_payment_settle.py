"""
A bank's daily report is reconciled with what we took: nothing is missed, nothing is taken twice.
"""

import asyncio
import datetime as dt
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from contracts.events import PaymentReceived
from kernel.errors import Retryable
from ops.state import StateDir
from services.payment.domain import bank_day
from services.payment.use_cases import reconciling
from tests.integration.payment_bank import Mood
from tests.integration.payment_room import (
    BANK,
    COMMAND_SECONDS,
    FEE_RUPIAH,
    Room,
    booking,
    command,
    notification,
    payment_room,
)

ROOT = Path(__file__).parents[2]
HEAD = ",".join(bank_day.COLUMNS)
DAY = "2026-11-27"
PAID_AT = "2026-11-27T15:00:00+08:00"


@pytest.fixture
async def room(database: str) -> AsyncIterator[Room]:
    async with payment_room(database) as opened:
        yield opened


def line(ntpn: str, code: str, rupiah: int = FEE_RUPIAH) -> str:
    return f"{BANK},{DAY},{ntpn},{code},123456,{rupiah},{PAID_AT}"


def ntpn(name: str) -> str:
    return name.upper().ljust(16, "0")


def report(path: Path, *lines: str) -> Path:
    path.write_text("\n".join((HEAD, *lines)) + "\n")
    return path


async def paid(room: Room, name: str) -> str:
    """
    A booking the bank told us was paid. Returns its code.
    """
    code = await room.held(booking(name))
    answer = await room.report(notification(code, ntpn=ntpn(name)), external_id=name)
    assert (200, "2002500") == answer
    return code


async def settled(database: str, path: Path, *options: str) -> tuple[int, dict[str, Any], list[str]]:
    code, printed = await command(database, "settle", str(path), *options)
    return code, json.loads(printed[-1]), printed[:-1]


def _counts(figures: dict[str, Any]) -> dict[str, int]:
    names = (*bank_day.Outcome, "missing_there", "taken")
    return {str(name): figures[name] for name in names if figures[name]}


async def _received(room: Room) -> list[PaymentReceived]:
    return [event for event in await room.announced() if isinstance(event, PaymentReceived)]


async def test_a_report_that_agrees_ends_with_zero(room: Room, database: str, tmp_path: Path) -> None:
    """
    Every payment told of is in the report, and every line of it is known.
    """
    codes = {name: await paid(room, name) for name in ("one", "two")}
    path = report(tmp_path / "day.csv", *(line(ntpn(name), code) for name, code in codes.items()))

    exit_code, figures, _ = await settled(database, path)

    assert 0 == exit_code
    assert ({"matched": 2}, 0, 2) == (_counts(figures), figures["differences"], figures["lines"])


async def test_every_kind_of_difference_is_found_and_listed(room: Room, database: str, tmp_path: Path) -> None:
    """
    Missing here and taken; missing here and unknown; missing there; another amount; another code; the same line twice.
    """
    matched, short, swapped = [await paid(room, name) for name in ("matched", "short", "swapped")]
    await paid(room, "unlisted")
    unheard, underpaid = await room.held(booking("unheard")), await room.held(booking("underpaid"))
    path = report(
        tmp_path / "day.csv",
        line(ntpn("matched"), matched),
        line(ntpn("matched"), matched),
        line(ntpn("short"), short, FEE_RUPIAH - 1),
        line(ntpn("swapped"), matched),
        line(ntpn("unheard"), unheard),
        line(ntpn("unheard"), unheard, 1),
        line(ntpn("underpaid"), underpaid, FEE_RUPIAH - 1),
        line(ntpn("nobody"), "899999999999999"),
    )

    exit_code, figures, printed = await settled(database, path)
    exceptions = await room.all("SELECT reason, ntpn FROM exception ORDER BY ntpn, reason")
    table = [row.split() for row in printed]

    assert 1 == exit_code
    assert {
        "matched": 1,
        "missing_here": 2,
        "taken": 1,
        "missing_there": 1,
        "amount_differs": 2,
        "details_differ": 1,
        "duplicate": 2,
    } == _counts(figures)
    assert [ntpn("matched"), ntpn("short"), ntpn("swapped"), ntpn("unlisted"), ntpn("unheard")] == [
        event.ntpn for event in await _received(room)
    ]
    assert [
        ("unknown_code", ntpn("nobody")),
        ("ntpn_reused", ntpn("short")),
        ("ntpn_reused", ntpn("swapped")),
        ("partial", ntpn("underpaid")),
        ("ntpn_reused", ntpn("unheard")),
    ] == [tuple(row) for row in exceptions]
    assert ["-", ntpn("unlisted")] in [row[:2] for row in table]
    assert {"3", "4", "5", "6", "7", "8", "9"} <= {row[0] for row in table}
    assert "paid" == await room.one("SELECT state FROM invoice WHERE billing_code = $1", unheard)
    assert "open" == await room.one("SELECT state FROM invoice WHERE billing_code = $1", underpaid)
    assert swapped != matched


async def test_the_same_file_again_changes_nothing_and_says_the_same(room: Room, database: str, tmp_path: Path) -> None:
    """
    Also while it is being read for the first time; and a corrected file finds what the first one took.
    """
    code = await room.held(booking("unheard"))
    path = report(tmp_path / "day.csv", line(ntpn("unheard"), code), line(ntpn("nobody"), "899999999999999"))
    runs = await asyncio.gather(*(settled(database, path) for _ in range(3)))
    figures = [{name: value for name, value in run[1].items() if name != "seen_before"} for run in runs]
    corrected = await settled(database, report(tmp_path / "corrected.csv", line(ntpn("unheard"), code)))

    assert [figures[0]] * 3 == figures
    assert [False, True, True] == sorted(run[1]["seen_before"] for run in runs)
    assert {"missing_here": 2, "taken": 1} == _counts(figures[0])
    assert 1 == len(await _received(room))
    assert 1 == await room.one("SELECT count(*) FROM exception")
    assert 3 == await room.one("SELECT count(*) FROM settlement_line")
    assert (0, {"matched": 1}) == (corrected[0], _counts(corrected[1]))


async def test_a_line_listed_again_by_a_later_report_is_the_same_exception(
    room: Room, database: str, tmp_path: Path
) -> None:
    """
    Money nobody can place is for one person to look at once.
    """
    first = report(tmp_path / "first.csv", line(ntpn("nobody"), "899999999999999"))
    code = await paid(room, "known")
    second = report(tmp_path / "second.csv", line(ntpn("nobody"), "899999999999999"), line(ntpn("known"), code))
    await settled(database, first)
    _, figures, _ = await settled(database, second)

    assert {"matched": 1, "missing_here": 1} == _counts(figures)
    assert 1 == await room.one("SELECT count(*) FROM exception")
    assert ["unknown_code"] * 2 == [
        row["verdict"] for row in await room.all("SELECT verdict FROM settlement_line WHERE outcome = 'missing_here'")
    ]


async def test_a_report_in_doubt_is_settled_by_the_day_and_stays_one_payment(
    room: Room, database: str, tmp_path: Path
) -> None:
    """
    The bank notified and was silent when asked; its report of the day says the same, and so does its late answer.
    """
    code = await room.held(booking("doubt"))
    room.bank.mood = Mood.SILENT
    await room.report(notification(code, ntpn=ntpn("doubt")), external_id="doubt")
    in_doubt = len(await _received(room))
    _, figures, _ = await settled(database, report(tmp_path / "day.csv", line(ntpn("doubt"), code)))
    room.bank.mood = Mood.WELL
    asked = await room.ask_again()

    assert (0, 1) == (in_doubt, asked)
    assert {"missing_here": 1, "taken": 1} == _counts(figures)
    assert [ntpn("doubt")] == [event.ntpn for event in await _received(room)]
    assert 0 == await room.one("SELECT count(*) FROM unconfirmed")
    assert 0 == await room.one("SELECT count(*) FROM exception")


async def test_a_run_that_was_cut_short_goes_on_where_it_stopped(
    room: Room, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    What was judged stays judged: a payment taken before the break is still one that was missing here.
    """
    codes = {name: await room.held(booking(name)) for name in ("one", "two", "three")}
    path = report(tmp_path / "day.csv", *(line(ntpn(name), code) for name, code in codes.items()))
    day = bank_day.read(path.read_text().splitlines(keepends=True))
    monkeypatch.setattr(reconciling, "CHUNK_LINES", 1)
    go_on = reconciling._settle

    async def dies_at_the_second(*known: Any) -> None:
        await go_on(*known)
        if known[3].line_number == 3:
            raise ConnectionError

    with monkeypatch.context() as broken:
        broken.setattr(reconciling, "_settle", dies_at_the_second)
        with pytest.raises(Retryable):
            await reconciling.reconcile(room.db, day, content_sha256="same")
    after_the_break = len(await _received(room))
    counts, before = await reconciling.reconcile(room.db, day, content_sha256="same")

    assert 1 == after_the_break
    assert (3, 3, 0, True) == (counts.missing_here, counts.taken, counts.matched, before)
    assert 3 == len(await _received(room))


async def test_a_report_of_another_day_misses_nothing_of_this_one(room: Room, database: str, tmp_path: Path) -> None:
    """
    The bank's day is Jakarta's: midnight there parts two reports, and a report of nothing says whose it is.
    """
    code = await room.held(booking("late"))
    body = notification(code) | {"paid_at": "2026-11-28T00:59:59+08:00"}
    await room.report(body, external_id="late")
    empty = report(tmp_path / "empty.csv")
    runs = [
        await settled(database, empty, "--bank", BANK, "--day", day)
        for day in ("2026-11-26", "2026-11-27", "2026-11-28")
    ]
    unnamed = await settled(database, empty)

    assert [(0, {}), (1, {"missing_there": 1}), (0, {})] == [(run[0], _counts(run[1])) for run in runs]
    assert (2, 1) == (unnamed[0], unnamed[1]["line"])


async def test_antrean_settle_ends_as_the_room_ends(room: Room, database: str, tmp_path: Path) -> None:
    """
    From another folder, with a path relative to it: the same figures and exit code; without a stack a sentence.
    """
    code = await paid(room, "ops")
    report(tmp_path / "day.csv", line(ntpn("ops"), code, FEE_RUPIAH - 1))
    state = StateDir(tmp_path / "stack")
    without = await _antrean(tmp_path)
    state.prepare()
    state.environment.write_text(json.dumps({**os.environ, "DATABASE_URL": database}))
    with state.locked():
        exit_code, printed, _ = await _antrean(tmp_path)

    assert (1, 1) == (exit_code, json.loads(printed[-1])["amount_differs"])
    assert 1 == without[0]
    assert "no stack runs" in without[2]


async def _antrean(folder: Path) -> tuple[int, list[str], str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ops", "settle", "day.csv", "--dir", "stack"),
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(COMMAND_SECONDS):
        out, err = await process.communicate()
    return process.returncode or 0, out.decode().splitlines(), err.decode()


@pytest.mark.parametrize(
    ("text", "number"),
    [
        (HEAD + "\n" + line("ABCDEFGH12345678", "812345678901234") + "\nsandbox,today\n", 3),
        ("ntpn;amount\n", 1),
        ("", 1),
    ],
)
async def test_a_file_that_cannot_be_read_is_refused_with_its_line(
    room: Room, database: str, tmp_path: Path, text: str, number: int
) -> None:
    """
    Exit code 2, the line's number, and nothing stored: not even the good lines before it.
    """
    path = tmp_path / "bad.csv"
    path.write_text(text)
    exit_code, figures, _ = await settled(database, path)

    assert (2, number) == (exit_code, figures["line"])
    assert 0 == await room.one("SELECT count(*) FROM settlement_run")
    assert 0 == await room.one("SELECT count(*) FROM exception")


async def test_what_is_no_text_and_what_is_not_there_are_refused(room: Room, database: str, tmp_path: Path) -> None:
    """
    The same exit code, without a line to look at.
    """
    binary = tmp_path / "binary.csv"
    binary.write_bytes(b"\xff\xfe\x00")
    for path in (binary, tmp_path / "nowhere.csv"):
        exit_code, figures, _ = await settled(database, path)

        assert (2, None) == (exit_code, figures["line"])
    assert 0 == await room.one("SELECT count(*) FROM settlement_run")


async def test_thousands_of_lines_take_moments(room: Room) -> None:
    """
    Payments that match are judged by the thousand, not one by one.
    """
    count = 5_000
    async with room.db.transaction() as connection:
        await connection.execute(
            "INSERT INTO invoice (booking_id, account_id, billing_code, virtual_account, amount_rupiah, lines,"
            " pay_by_ms, timezone, state) SELECT 'rsv_' || n, 'acc', lpad(n::text, 15, '0'), lpad(n::text, 18, '0'),"
            " 350000, '[]', 1, 'Asia/Jakarta', 'paid' FROM generate_series(1, $1) AS n",
            count,
        )
        await connection.execute(
            "INSERT INTO payment SELECT lpad(n::text, 16, 'A'), 'teller', 'J', lpad(n::text, 15, '0'), 'rsv_' || n,"
            " 350000, $2 FROM generate_series(1, $1) AS n",
            count,
            int(dt.datetime.fromisoformat(PAID_AT).timestamp() * 1000),
        )
    rows = [line(str(n).rjust(16, "A"), str(n).rjust(15, "0")) for n in range(1, count + 1)]
    day = bank_day.read("\n".join((HEAD, *rows)).splitlines(keepends=True))
    started = asyncio.get_running_loop().time()
    counts, _ = await reconciling.reconcile(room.db, day, content_sha256="large")
    print(f"reconciled {count / (asyncio.get_running_loop().time() - started):.0f} lines/s")  # noqa: T201 - reported, not asserted

    assert (count, 0) == (counts.matched, counts.differences)
