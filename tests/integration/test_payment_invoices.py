"""
Invoices keep in step with bookings, in whatever order the news comes.
"""

import itertools
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from contracts.events import BookingConfirmed, BookingExpired, BookingHeld, InvoiceIssued
from kernel.errors import Retryable
from services.payment import stores, use_cases
from services.payment.__main__ import TARIFFS
from services.payment.domain.billing import is_valid
from tests.integration.payment_room import FEE_RUPIAH, Room, booking, payment_room


@pytest.fixture
async def room(database: str) -> AsyncIterator[Room]:
    async with payment_room(database) as opened:
        yield opened


async def test_a_held_booking_gets_one_invoice_however_often_it_is_told(room: Room) -> None:
    """
    The same event again, and the same booking under another event id, change nothing.
    """
    told = booking("family", applicants=3)
    code = await room.held(told)
    await room.held(told)
    await room.hear(("again", BookingHeld(booking=told, at_ms=5)))

    issued = [event for event in await room.announced() if isinstance(event, InvoiceIssued)]

    assert is_valid(code)
    assert [(told.booking_id, code, 3 * FEE_RUPIAH)] == [
        (event.booking_id, event.billing_code, event.amount_rupiah) for event in issued
    ]


@pytest.mark.parametrize("order", list(itertools.permutations(("held", "expired", "cancelled"), 2)))
async def test_a_booking_that_came_to_nothing_ends_with_a_closed_invoice(room: Room, order: tuple[str, str]) -> None:
    """
    Also when the end is heard of before the beginning: then nobody is asked for money.
    """
    told = booking("ended")
    for step in order:
        await getattr(room, step)(told)

    announced = [type(event) for event in await room.announced()]

    assert "closed" == await room.one("SELECT state FROM invoice")
    assert ([InvoiceIssued] if order[0] == "held" else []) == announced


async def test_hold_and_end_in_one_batch_close_the_invoice(room: Room) -> None:
    """
    Late consumers find a whole life in one delivery.
    """
    told = booking("short")
    await room.hear(
        ("b.1", BookingHeld(booking=told, at_ms=1)),
        ("b.2", BookingExpired(booking=told, at_ms=2)),
    )

    assert "closed" == await room.one("SELECT state FROM invoice")


async def test_a_paid_invoice_stays_paid_when_the_booking_ends(room: Room) -> None:
    """
    Money that came is never un-come by later news.
    """
    told = booking("paid")
    await room.pay(await room.held(told))
    await room.expired(told)

    assert "paid" == await room.one("SELECT state FROM invoice")


async def test_a_booking_paid_by_the_one_it_replaces_has_no_live_code(room: Room) -> None:
    """
    Moved, not bought again: nothing more is to be paid, and what is paid itself stays paid.
    """
    moved, paid = booking("moved"), booking("bought")
    await room.held(moved)
    await room.pay(await room.held(paid))
    await room.hear(
        *(
            (
                f"b.{told.booking_id}.3",
                BookingConfirmed(booking=told, at_ms=3, ntpn="A" * 16, amount_rupiah=FEE_RUPIAH, paid_at_ms=2),
            )
            for told in (moved, paid)
        )
    )

    assert {(moved.booking_id, "closed"), (paid.booking_id, "paid")} == {
        (row["booking_id"], row["state"]) for row in await room.all("SELECT booking_id, state FROM invoice")
    }


async def test_a_service_without_a_fee_waits_for_one(room: Room) -> None:
    """
    A missing tariff is no reason to lose a booking, nor to charge nothing.
    """
    with pytest.raises(Retryable):
        await room.held(booking("unknown", service="diplomatic"))

    assert 0 == await room.one("SELECT count(*) FROM inbox")


async def test_the_owner_sees_the_invoice_and_nobody_else_does(room: Room) -> None:
    """
    To others, and before it is there, it is the same 404 that says when to ask again.
    """
    told = booking("mine", applicants=2)
    path = f"/v1/bookings/{told.booking_id}/invoice"
    before = await room.get(path)
    code = await room.held(told)

    status, body, _ = await room.get(path)
    other = await room.get(path, account_id="acc_other")

    assert 200 == status
    assert {
        "booking_id": told.booking_id,
        "billing_code": code,
        "virtual_account": body["virtual_account"],
        "amount_rupiah": 2 * FEE_RUPIAH,
        "currency": "IDR",
        "lines": [
            {
                "service": "regular",
                "validity_years": 5,
                "applicants": 2,
                "unit_rupiah": FEE_RUPIAH,
                "amount_rupiah": 2 * FEE_RUPIAH,
            }
        ],
        "pay_by": "2026-11-27T16:00:00+08:00",
        "state": "open",
    } == body
    for refused in (before, other):
        assert (404, "invoice_not_ready", "1") == (refused[0], refused[1]["code"], refused[2]["Retry-After"])


async def test_fees_load_once_and_are_never_edited(room: Room, tmp_path: Path) -> None:
    """
    Another fee for a day that has one is refused, and the file again changes nothing.
    """
    changed = tmp_path / "tariffs.csv"
    changed.write_text("service,validity_years,amount_rupiah,valid_from\nregular,5,1,2024-12-17\n")
    async with room.db.transaction() as connection:
        assert 0 == await use_cases.load_tariffs(connection, TARIFFS)
    with pytest.raises(use_cases.TariffChanged):
        async with room.db.transaction() as connection:
            await use_cases.load_tariffs(connection, changed)

    assert 9 == await room.one("SELECT count(*) FROM tariff")


async def test_the_export_lists_invoices_payments_and_exceptions(room: Room) -> None:
    """
    What the audit reads is all of it, a JSON object a row.
    """
    code = await room.held(booking("exported"))
    await room.pay(code, FEE_RUPIAH - 1)
    await room.pay(code)
    async with room.db.transaction() as connection:
        rows = [row async for row in stores.export(connection)]

    assert ["invoice", "payment", "exception"] == [row["kind"] for row in rows]
    assert "partial" == rows[2]["reason"]
    assert json.dumps(rows)
