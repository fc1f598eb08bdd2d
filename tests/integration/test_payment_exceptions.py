"""
A report that is no payment has an end: given back by two persons, matched with an invoice, or dismissed.
"""

import asyncio
import csv
import datetime as dt
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from contracts.events import PaymentReceived, PaymentRefunded
from kernel.metrics import REGISTRY
from services.payment.domain import bank_day
from services.payment.use_cases import reconciling, watching
from tests.integration.payment_bank import Mood
from tests.integration.payment_room import (
    BANK,
    FEE_RUPIAH,
    Room,
    booking,
    command,
    notification,
    payment_room,
)

FINANCE = ("finance",)
ANN, BEN = "acc_ann", "acc_ben"
NTPN = "EXCEPTION0000001"
UNKNOWN_CODE = "800000000000000"
DAY = "2026-11-27"
PAID_AT_MS = 1_795_762_800_000


@pytest.fixture
async def room(database: str) -> AsyncIterator[Room]:
    async with payment_room(database) as opened:
        yield opened


async def kept(room: Room, body: dict[str, Any], *, external_id: str = "kept", booked: bool = True) -> int:
    """
    A report that becomes an exception. Returns its number.
    """
    await room.report(body, external_id=external_id, booked=booked)
    return int(await room.one("SELECT number FROM exception WHERE external_id = $1", external_id))


async def resolve(
    room: Room,
    number: int | str,
    end: str,
    *,
    who: str = ANN,
    key: str = "key-of-an-end",
    roles: tuple[str, ...] = FINANCE,
    **more: Any,
) -> tuple[int, dict[str, Any]]:
    path = f"/v1/payments/exceptions/{number}/resolve"
    body = {"end": end, "reason": "looked at it", **more}
    return await room.post(path, body, account_id=who, roles=roles, key=key)


async def refused(room: Room, number: int | str, end: str, **more: Any) -> tuple[int, str]:
    status, body = await resolve(room, number, end, key=f"refused-{end}-{number}", **more)
    return status, str(body["code"])


async def decide(room: Room, refund_id: str, step: str, *, who: str) -> tuple[int, dict[str, Any]]:
    body = {"reason": "agreed"}
    return await room.post(f"/v1/refunds/{refund_id}/{step}", body, account_id=who, roles=FINANCE, key=f"{who}-{step}")


async def settled(room: Room, *lines: str) -> None:
    """
    The bank's report of the day is reconciled.
    """
    day = bank_day.read((",".join(bank_day.COLUMNS), *lines), bank=BANK, settled_on=dt.date.fromisoformat(DAY))
    await reconciling.reconcile(room.db, day, content_sha256=str(lines))


def line(ntpn: str, code: str, rupiah: int = FEE_RUPIAH) -> str:
    return f"{BANK},{DAY},{ntpn},{code},123456,{rupiah},{DAY}T15:00:00+08:00"


async def _received(room: Room) -> list[PaymentReceived]:
    return [event for event in await room.announced() if isinstance(event, PaymentReceived)]


async def _states(room: Room, state: str) -> list[int]:
    _, page, _ = await room.get(f"/v1/payments/exceptions?state={state}", account_id=BEN, roles=FINANCE)
    return [row["number"] for row in page["exceptions"]]


async def test_money_under_no_code_goes_back_by_two_persons(room: Room, database: str, tmp_path: Path) -> None:
    """
    Asked for by one, approved by another, in the treasury's file; and it is no news of any booking.
    """
    number = await kept(room, notification(UNKNOWN_CODE, ntpn=NTPN))
    status, ended = await resolve(room, number, "refund")
    alone = await decide(room, ended["refund_id"], "approve", who=ANN)
    agreed, refund = await decide(room, ended["refund_id"], "approve", who=BEN)
    out = tmp_path / "treasury.csv"
    _, printed = await command(database, "refunds", "export", "--out", str(out))
    [row] = csv.DictReader(out.read_text().splitlines())
    deeds = await room.all("SELECT actor, action, subject FROM audit_entry ORDER BY entry_id")

    assert (200, "refund", ANN) == (status, ended["state"], ended["resolved_by"])
    assert (403, "refund_needs_another_person") == (alone[0], alone[1]["code"])
    assert (200, None, number, FEE_RUPIAH) == (
        agreed,
        refund["booking_id"],
        refund["exception"],
        refund["amount_rupiah"],
    )
    assert 1 == json.loads(printed[-1])["refunds"]
    assert (NTPN, UNKNOWN_CODE, BANK, "", str(FEE_RUPIAH)) == (
        row["ntpn"],
        row["billing_code"],
        row["bank"],
        row["booking_id"],
        row["amount_rupiah"],
    )
    assert [] == [event for event in await room.announced() if isinstance(event, PaymentRefunded)]
    assert [
        (ANN, "request_refund", ended["refund_id"]),
        (ANN, "resolve_exception", f"exception {number}"),
        (BEN, "approve_refund", ended["refund_id"]),
    ] == [tuple(deed) for deed in deeds][:3]


@pytest.mark.parametrize("rupiah", [FEE_RUPIAH - 1, FEE_RUPIAH + 1])
async def test_what_was_too_little_or_too_much_goes_back_whole_and_the_payer_sees_it(room: Room, rupiah: int) -> None:
    """
    As much as the bank told of, under the booking whose code it named; the invoice stays open for the full amount.
    """
    told = booking("amount")
    number = await kept(room, notification(await room.held(told), rupiah=rupiah, ntpn=NTPN))
    _, ended = await resolve(room, number, "refund")
    _, seen, _ = await room.get(f"/v1/bookings/{told.booking_id}/refund")

    assert ("refund", rupiah, "requested") == (ended["state"], seen["amount_rupiah"], seen["state"])
    assert "open" == await room.one("SELECT state FROM invoice")
    with pytest.raises(asyncpg.CheckViolationError):
        await room.one("UPDATE refund SET amount_rupiah = amount_rupiah + 1")
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await room.one("UPDATE refund SET paid_rupiah = paid_rupiah + 1")


async def test_an_ntpn_goes_back_once_however_often_it_was_reported(room: Room) -> None:
    """
    Ten ask at once for two reports of one NTPN: one refund; the other report can only be dismissed then.
    """
    codes = (UNKNOWN_CODE, "800000000000001")
    numbers = [await kept(room, notification(code, ntpn=NTPN), external_id=code) for code in codes]
    answers = await asyncio.gather(*(resolve(room, numbers[n % 2], "refund", key=f"race-{n:04}") for n in range(10)))
    [_] = [body for status, body in answers if status == 200]
    [other] = await _states(room, "open")
    again = await refused(room, other, "refund")
    dismissed, _ = await resolve(room, other, "dismissed", key="dismissed-other")

    assert 1 == await room.one("SELECT count(*) FROM refund")
    assert {"refund_exists", "exception_resolved"} >= {body["code"] for status, body in answers if status == 409}
    assert [200] + [409] * 9 == sorted(status for status, _ in answers)
    assert ((409, "refund_exists"), 200) == (again, dismissed)


async def test_the_same_money_told_of_again_is_one_report(room: Room) -> None:
    """
    Under another id, or in the report of the day, before it ended and after; once dismissed, it is news.
    """
    body = notification(UNKNOWN_CODE, ntpn=NTPN)
    number = await kept(room, body)
    await room.report(body, external_id="again")
    _, ended = await resolve(room, number, "refund")
    await settled(room, line(NTPN, UNKNOWN_CODE))
    once = await room.one("SELECT count(*) FROM exception")
    await decide(room, ended["refund_id"], "reject", who=BEN)
    await room.one("UPDATE exception SET resolved_at = now(), resolved_by = 'x', resolution = 'x', ended = 'dismissed'")
    await room.report(body, external_id="news")

    assert (1, 2) == (once, await room.one("SELECT count(*) FROM exception"))


async def test_a_refund_that_is_rejected_opens_the_report_again(room: Room) -> None:
    """
    It is in the list as if nobody had touched it, and may end another way.
    """
    number = await kept(room, notification(UNKNOWN_CODE, ntpn=NTPN))
    _, ended = await resolve(room, number, "refund")
    await decide(room, ended["refund_id"], "reject", who=BEN)
    opened = await _states(room, "open"), await _states(room, "refund")
    again, second = await resolve(room, number, "refund", key="key-of-the-second")

    assert ([number], []) == opened
    assert 200 == again
    assert second["refund_id"] != ended["refund_id"]


async def test_money_on_its_way_back_pays_nothing_any_more(room: Room) -> None:
    """
    The bank corrects the code afterwards: the NTPN is used, and the report is another exception.
    """
    code = await room.held(booking("corrected"))
    await resolve(room, await kept(room, notification(UNKNOWN_CODE, ntpn=NTPN)), "refund")
    answer = await room.report(notification(code, ntpn=NTPN), external_id="corrected")

    assert (409, "4092501") == answer
    assert [] == await _received(room)


async def test_matched_money_is_a_payment_with_the_banks_moment(room: Room) -> None:
    """
    Told to booking as a late payment is; the bank, repeating itself, is told so; and its report of the day fits.
    """
    told = booking("matched")
    code = await room.held(told)
    await room.expired(told)
    body = notification(UNKNOWN_CODE, ntpn=NTPN)
    number = await kept(room, body)
    before = REGISTRY.get_sample_value("payment_received_rupiah_total") or 0
    status, ended = await resolve(room, number, "matched", billing_code=code)
    replayed = await resolve(room, number, "matched", billing_code=code)
    counted = (REGISTRY.get_sample_value("payment_received_rupiah_total") or 0) - before
    repeated = await room.report(body, external_id="kept"), await room.report(body, external_id="again")
    await settled(room, line(NTPN, UNKNOWN_CODE))
    [received] = await _received(room)

    assert (200, "matched", code) == (status, ended["state"], ended["matched_code"])
    assert (told.booking_id, code, NTPN, FEE_RUPIAH, PAID_AT_MS) == (
        received.booking_id,
        received.billing_code,
        received.ntpn,
        received.amount_rupiah,
        received.paid_at_ms,
    )
    assert ((status, ended), FEE_RUPIAH) == (replayed, counted)
    assert ((200, "2002500"),) * 2 == repeated
    assert "matched" == await room.one("SELECT outcome FROM settlement_line")
    assert "paid" == await room.one("SELECT state FROM invoice")
    assert (409, "exception_resolved") == await refused(room, number, "refund")


async def test_money_is_matched_only_with_an_unpaid_invoice_of_its_amount(room: Room) -> None:
    """
    A part stays a part, a paid invoice is paid, and a code nobody issued is none.
    """
    open_code, paid_code = await room.held(booking("open")), await room.held(booking("paid"))
    await room.pay(paid_code)
    part = await kept(room, notification(open_code, rupiah=FEE_RUPIAH - 1, ntpn=NTPN), external_id="part")
    twice = await kept(room, notification(paid_code, ntpn="TWICE00000000001"), external_id="twice")

    assert (409, "exception_other_amount") == await refused(room, part, "matched", billing_code=open_code)
    assert (409, "exception_invoice_paid") == await refused(room, twice, "matched", billing_code=paid_code)
    assert (404, "billing_code_unknown") == await refused(room, twice, "matched", billing_code=UNKNOWN_CODE)
    assert (400, "bad_request") == await refused(room, twice, "matched")
    assert (400, "bad_request") == await refused(room, twice, "refund", billing_code=open_code)
    assert 200 == (await resolve(room, twice, "matched", billing_code=open_code))[0]


@pytest.mark.parametrize("end", ["refund", "matched"])
async def test_money_the_bank_does_not_stand_by_goes_nowhere(room: Room, end: str) -> None:
    """
    It says otherwise, or nothing: refused, until it says the same.
    """
    code = await room.held(booking("doubt"))
    more = {"billing_code": code} if end == "matched" else {}
    body = notification(code, ntpn=NTPN)
    room.bank.book(body | {"ntpn": "ANOTHER000000000"})
    number = await kept(room, body, booked=False)
    otherwise = await refused(room, number, end, **more)
    room.bank.mood = Mood.BROKEN
    silent = await refused(room, number, end, **more)
    room.bank.mood = Mood.WELL
    room.bank.book(body)

    assert ((409, "exception_unconfirmed"),) * 2 == (otherwise, silent)
    assert 0 == await room.one("SELECT count(*) FROM refund")
    assert [] == await _received(room)
    assert 200 == (await resolve(room, number, end, **more))[0]


async def test_the_report_of_the_day_confirms_where_the_bank_is_silent(room: Room) -> None:
    """
    It is the bank's word too; and where it names another amount, an inquiry does not outvote it.
    """
    other = "OTHER00000000001"
    numbers = [
        await kept(room, notification(UNKNOWN_CODE, ntpn=NTPN), external_id="same"),
        await kept(room, notification(UNKNOWN_CODE, ntpn=other, journal="2"), external_id="other"),
    ]
    await settled(room, line(NTPN, UNKNOWN_CODE), line(other, UNKNOWN_CODE, 1))
    outvoted = await refused(room, numbers[1], "refund")
    room.bank.mood = Mood.BROKEN
    confirmed, _ = await resolve(room, numbers[0], "refund")

    assert (200, (409, "exception_unconfirmed")) == (confirmed, outvoted)


async def test_only_what_never_moved_is_dismissed(room: Room) -> None:
    """
    Not while the bank stands by it, nor before its report of the day is reconciled without it.
    """
    code = await room.held(booking("never"))
    body = notification(code, ntpn=NTPN)
    room.bank.book(body | {"ntpn": "ANOTHER000000000"})
    number = await kept(room, body, booked=False)
    moved = await kept(room, notification(UNKNOWN_CODE, ntpn="MOVED00000000001", journal="9"), external_id="moved")
    early = await refused(room, number, "dismissed"), await refused(room, moved, "dismissed")
    await settled(room)
    status, ended = await resolve(room, number, "dismissed")

    assert ((409, "exception_day_not_settled"), (409, "exception_money_moved")) == early
    assert (200, "dismissed", "looked at it") == (status, ended["state"], ended["resolution"])
    assert (409, "exception_money_moved") == await refused(room, moved, "dismissed")
    assert [number] == await _states(room, "dismissed")


async def test_a_number_that_is_a_payment_is_refunded_as_one(room: Room) -> None:
    """
    An NTPN reported a second time with something else is dismissed; its money is the payment's.
    """
    code = await room.held(booking("first"))
    await room.report(notification(code, ntpn=NTPN), external_id="first")
    number = await kept(room, notification(code, rupiah=1, ntpn=NTPN, journal="2"), external_id="second")
    answers = [
        await refused(room, number, "refund"),
        await refused(room, number, "matched", billing_code=code),
    ]

    assert [(409, "exception_money_taken")] * 2 == answers
    assert 200 == (await resolve(room, number, "dismissed"))[0]


async def test_what_is_no_rupiah_waits_for_the_banks_day(room: Room) -> None:
    """
    Dollars are neither given back nor matched; once the day is settled without them, they are dismissed.
    """
    code = await room.held(booking("dollars"))
    body = notification(code, ntpn=NTPN) | {"amount": {"value": "20.00", "currency": "USD"}}
    number = await kept(room, body)
    answers = [
        await refused(room, number, "refund"),
        await refused(room, number, "matched", billing_code=code),
        await refused(room, number, "dismissed"),
    ]
    await settled(room)

    assert ["exception_not_rupiah", "exception_not_rupiah", "exception_day_not_settled"] == [
        code for _, code in answers
    ]
    assert 200 == (await resolve(room, number, "dismissed"))[0]


async def test_only_finance_resolves_each_once(room: Room) -> None:
    """
    Others are told which role it takes; the same request again is the same answer; nobody's number is 404.
    """
    number = await kept(room, notification(UNKNOWN_CODE, ntpn=NTPN))
    roles = [await resolve(room, number, "refund", roles=roles) for roles in ((), ("auditor",), ("sre",))]
    first, second = await resolve(room, number, "refund"), await resolve(room, number, "refund")
    nobody = [await refused(room, each, "refund") for each in (number + 1, 0, "x", "9" * 30)]

    assert [(403, "finance")] * 3 == [(status, body["role"]) for status, body in roles]
    assert first == second
    assert 1 == await room.one("SELECT count(*) FROM refund")
    assert [(404, "exception_not_found")] * 4 == nobody


async def test_money_that_waits_for_a_person_is_counted(room: Room) -> None:
    """
    Reports without an end and refunds nobody has decided, each by the oldest.
    """
    numbers = [
        await kept(room, notification(UNKNOWN_CODE, ntpn=f"WAITS{n:011}", journal=str(n)), external_id=str(n))
        for n in range(3)
    ]
    await resolve(room, numbers[0], "refund")
    await room.one("UPDATE exception SET recorded_at = now() - interval '2 days' WHERE number = $1", numbers[1])
    await room.one("UPDATE refund SET requested_at = now() - interval '1 day'")
    await watching.watch(room.db)
    exception_seconds, refund_seconds, approved_seconds = (
        REGISTRY.get_sample_value("payment_exception_oldest_seconds"),
        REGISTRY.get_sample_value("payment_refund_oldest_seconds", {"state": "requested"}),
        REGISTRY.get_sample_value("payment_refund_oldest_seconds", {"state": "approved"}),
    )

    assert 2.0 == REGISTRY.get_sample_value("payment_exceptions_open")
    assert (2, 1, 0.0) == (
        round((exception_seconds or 0) / 86_400),
        round((refund_seconds or 0) / 86_400),
        approved_seconds,
    )
