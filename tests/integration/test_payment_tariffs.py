"""
Fees in Postgres: loaded once, never two on one day, and a service costs what it is made of.
"""

from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from kernel.errors import Retryable
from services.payment import use_cases
from services.payment.__main__ import SERVICES
from tests.integration.payment_room import Room, booking, payment_room

HEAD = "service,validity_years,amount_rupiah,valid_from,valid_until\n"


@pytest.fixture
async def room(database: str) -> AsyncIterator[Room]:
    async with payment_room(database) as opened:
        yield opened


async def _load(room: Room, path: Path) -> int:
    async with room.db.transaction() as connection:
        return await use_cases.load_tariffs(connection, path)


def _file(path: Path, text: str) -> Path:
    path.write_text(HEAD + text)
    return path


async def test_a_service_of_several_items_is_an_invoice_of_several_lines(room: Room) -> None:
    """
    Ten years on the same day, for three: a line an item, and the total their sum.
    """
    async with room.db.transaction() as connection:
        added = await use_cases.load_services(connection, SERVICES)
        again = await use_cases.load_services(connection, SERVICES)
    told = booking("express", applicants=3, service="electronic_10_same_day")
    await room.held(told)
    _, body, _ = await room.get(f"/v1/bookings/{told.booking_id}/invoice")

    assert (10, 0) == (added, again)
    assert 3 * (950_000 + 1_000_000) == body["amount_rupiah"]
    assert [("electronic", 10, 3, 950_000), ("same_day", 0, 3, 1_000_000)] == [
        (line["service"], line["validity_years"], line["applicants"], line["unit_rupiah"]) for line in body["lines"]
    ]


async def test_two_fees_on_one_day_are_refused_by_the_file_and_by_the_table(room: Room, tmp_path: Path) -> None:
    """
    Within a file, against what is stored, and when somebody writes past the loader; nothing of such a file stays.
    """
    path = tmp_path / "tariffs.csv"
    before = await room.one("SELECT count(*) FROM tariff")
    within = "regular,3,1,2030-01-01,2030-06-30\nregular,3,2,2030-06-30,\n"
    with pytest.raises(use_cases.TariffsOverlap):
        await _load(room, _file(path, within))
    with pytest.raises(use_cases.TariffsOverlap):
        await _load(room, _file(path, "regular,5,1,2024-01-01,2024-12-17\n"))
    with pytest.raises(asyncpg.ExclusionViolationError):
        await room.one(
            "INSERT INTO tariff (service, validity_years, valid_from, valid_until, amount_rupiah)"
            " VALUES ('regular', 5, '2024-01-01', '2024-12-17', 1)"
        )

    assert before == await room.one("SELECT count(*) FROM tariff")


async def test_a_fee_that_ended_is_waited_for_and_the_next_one_is_charged(room: Room, tmp_path: Path) -> None:
    """
    A gap between two fees is no reason to charge the old one.
    """
    path = tmp_path / "tariffs.csv"
    await _load(room, _file(path, "regular,5,360000,2026-11-01,2026-11-29\n"))
    with pytest.raises(Retryable):
        await room.held(booking("gap"))
    await _load(room, _file(path, "regular,5,370000,2026-11-30,\n"))
    await room.held(booking("gap"))

    assert 370_000 == await room.one("SELECT amount_rupiah FROM invoice")


@pytest.mark.parametrize("row", ["regular,5,many,2030-01-01,", "regular,5,1,2030-13-01,", "regular,5"])
async def test_a_row_that_is_none_is_named(room: Room, tmp_path: Path, row: str) -> None:
    """
    The second line of the file, and nothing is loaded.
    """
    with pytest.raises(use_cases.TariffUnreadable, match=r"tariffs\.csv:2"):
        await _load(room, _file(tmp_path / "tariffs.csv", row + "\n"))

    assert 0 == await room.one("SELECT count(*) FROM tariff WHERE valid_from > '2029-01-01'")
