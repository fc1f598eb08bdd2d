"""
A bank's report becomes one payment, or a listed exception; never nothing, never two.
"""

import asyncio
from collections.abc import AsyncIterator

import pytest

from contracts.events import PaymentReceived
from services.payment.sandbox_bank import REPORTS_AT_ONCE
from tests.integration.payment_room import FEE_RUPIAH, Room, booking, notification, payment_room

OK = (200, "2002500")


@pytest.fixture
async def room(database: str) -> AsyncIterator[Room]:
    async with payment_room(database) as opened:
        yield opened


async def _received(room: Room) -> list[PaymentReceived]:
    return [event for event in await room.announced() if isinstance(event, PaymentReceived)]


async def _exceptions(room: Room) -> list[str]:
    return [row["reason"] for row in await room.all("SELECT reason FROM exception ORDER BY recorded_at")]


async def test_paying_in_the_sandbox_goes_the_whole_way(room: Room) -> None:
    """
    The bank signs, payment verifies, stores the NTPN and tells it, and the invoice is paid.
    """
    code = await room.held(booking("whole"))
    status, receipt = await room.pay(code)
    [received] = await _received(room)

    assert (200, 200, "2002500") == (status, receipt["callback_status"], receipt["response_code"])
    assert (receipt["ntpn"], FEE_RUPIAH, code) == (received.ntpn, received.amount_rupiah, received.billing_code)
    assert "paid" == await room.one("SELECT state FROM invoice")


async def test_paying_again_is_the_same_payment(room: Room) -> None:
    """
    A payer who taps twice, or a bank that repeats itself, pays once.
    """
    code = await room.held(booking("twice"))
    first, second = [await room.pay(code) for _ in range(2)]

    assert first == second
    assert 1 == len(await _received(room))


async def test_a_crowd_of_payers_is_reported_a_few_at_a_time(room: Room) -> None:
    """
    So that each report is answered in time, and sent once.
    """
    codes = [await room.held(booking(f"crowd_{n}")) for n in range(3 * REPORTS_AT_ONCE)]
    answers = await asyncio.gather(*map(room.pay, codes))

    assert [(200, 200)] * len(codes) == [(status, receipt["callback_status"]) for status, receipt in answers]
    assert (REPORTS_AT_ONCE, len(codes)) == (room.reports.most, room.reports.sent)


async def test_two_identical_reports_at_once_are_one_payment(room: Room) -> None:
    """
    Ten at the same moment: all are told yes, one has an effect.
    """
    code = await room.held(booking("race"))
    answers = await asyncio.gather(*(room.report(notification(code), external_id="same") for _ in range(10)))

    assert {OK} == set(answers)
    assert 1 == len(await _received(room))
    assert 1 == await room.one("SELECT count(*) FROM payment")


async def test_the_same_payment_under_other_report_ids_is_one_payment(room: Room) -> None:
    """
    The NTPN, not the report, is the payment.
    """
    code = await room.held(booking("ids"))
    answers = await asyncio.gather(*(room.report(notification(code), external_id=f"n{index}") for index in range(6)))

    assert {OK} == set(answers)
    assert 1 == await room.one("SELECT count(*) FROM payment")
    assert [] == await _exceptions(room)


async def test_the_same_report_id_with_another_body_is_refused(room: Room) -> None:
    """
    A replay that differs changes nothing, whatever it says.
    """
    code = await room.held(booking("replay"))
    first = await room.report(notification(code), external_id="one")
    other = await room.report(notification(code, ntpn="ZZZZZZZZ12345678"), external_id="one")
    again = await room.report(notification(code), external_id="one")

    assert (OK, (409, "4092500"), OK) == (first, other, again)
    assert 1 == await room.one("SELECT count(*) FROM payment")


@pytest.mark.parametrize(
    ("rupiah", "answer", "reason"),
    [
        (FEE_RUPIAH - 1, (404, "4042513"), "partial"),
        (FEE_RUPIAH + 1, (404, "4042513"), "overpaid"),
    ],
)
async def test_a_rupiah_too_many_or_too_few_is_listed(
    room: Room, rupiah: int, answer: tuple[int, str], reason: str
) -> None:
    """
    It is no payment, and it is not silent; the right amount can still come.
    """
    code = await room.held(booking("amount"))

    assert answer == await room.report(notification(code, rupiah=rupiah), external_id="1")
    assert answer == await room.report(notification(code, rupiah=rupiah), external_id="1")
    assert [reason] == await _exceptions(room)
    assert [] == await _received(room)
    assert OK == await room.report(notification(code), external_id="2")


async def test_money_for_nobody_is_listed(room: Room) -> None:
    """
    A code nobody issued: the bank hears so, and a person can look at it.
    """
    assert (404, "4042512") == await room.report(notification("800000000000000"), external_id="1")
    assert ["unknown_code"] == await _exceptions(room)


async def test_a_second_payment_for_a_paid_invoice_is_listed(room: Room) -> None:
    """
    Paid at the teller and by phone: the second money is somebody's, and is not forgotten.
    """
    code = await room.held(booking("double"))
    await room.report(notification(code), external_id="1")

    assert (404, "4042514") == await room.report(notification(code, ntpn="ZZZZZZZZ12345678"), external_id="2")
    assert ["already_paid"] == await _exceptions(room)
    assert 1 == len(await _received(room))


async def test_an_ntpn_used_for_another_code_is_listed(room: Room) -> None:
    """
    One NTPN is one payment; a second code under it is an error or a fraud. Also when both come at once.
    """
    codes = [await room.held(booking(name)) for name in ("one", "other")]
    answers = await asyncio.gather(*(room.report(notification(code), external_id=code) for code in codes))

    assert sorted([OK, (409, "4092501")]) == sorted(answers)
    assert ["ntpn_reused"] == await _exceptions(room)
    assert 1 == await room.one("SELECT count(*) FROM payment")


async def test_two_different_payments_of_one_code_at_once_are_one_payment(room: Room) -> None:
    """
    Two banks' tellers at the same second: one is taken, the other listed.
    """
    code = await room.held(booking("tellers"))
    answers = await asyncio.gather(
        *(
            room.report(notification(code, ntpn=ntpn, journal=ntpn), external_id=ntpn)
            for ntpn in ("AAAAAAAA12345678", "BBBBBBBB12345678")
        )
    )

    assert sorted([OK, (404, "4042514")]) == sorted(answers)
    assert 1 == len(await _received(room))


async def test_money_for_a_closed_invoice_is_taken_and_told(room: Room) -> None:
    """
    Too late for the place, perhaps: booking decides that, and it must hear of the money.
    """
    told = booking("late")
    code = await room.held(told)
    await room.expired(told)

    assert OK == await room.report(notification(code), external_id="1")
    assert [told.booking_id] == [event.booking_id for event in await _received(room)]


async def test_forged_reports_leave_no_trace_in_the_books(room: Room) -> None:
    """
    A wrong signature, an old time, a missing header, a body that is none.
    """
    code = await room.held(booking("forged"))
    body = notification(code)

    assert (401, "4012500") == await room.report(body, external_id="1", X_SIGNATURE="Zm9yZ2Vk")
    assert (401, "4012500") == await room.report(body, external_id="1", X_TIMESTAMP="2020-01-01T00:00:00+07:00")
    assert (400, "4002502") == await room.report(body, external_id="1", X_PARTNER_ID="")
    assert (400, "4002501") == await room.report({"billing_code": code}, external_id="1")
    assert (0, 0, []) == (
        await room.one("SELECT count(*) FROM payment"),
        await room.one("SELECT count(*) FROM callback_seen"),
        await _exceptions(room),
    )


async def test_the_sandbox_knows_which_codes_it_can_price(room: Room) -> None:
    """
    An unknown code is refused, unless an amount is named: then it reaches the callback as a bank's error would.
    """
    refused = await room.pay("800000000000000")
    sent = await room.pay("800000000000000", 5)

    assert (404, "billing_code_unknown") == (refused[0], refused[1]["code"])
    assert (200, 404, "4042512") == (sent[0], sent[1]["callback_status"], sent[1]["response_code"])
    assert ["unknown_code"] == await _exceptions(room)
