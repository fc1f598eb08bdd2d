"""
A payer shows his journal number: checked against what the bank reported or says, and not to be guessed.
"""

import asyncio
from collections.abc import AsyncIterator

import pytest

from contracts.events import PaymentReceived
from services.payment.domain.proofs import WINDOW_SECONDS, WRONG_PER_ACCOUNT_MAX, WRONG_PER_BOOKING_MAX
from tests.integration.payment_bank import Mood
from tests.integration.payment_room import FEE_RUPIAH, Room, booking, notification, payment_room


@pytest.fixture
async def room(database: str) -> AsyncIterator[Room]:
    async with payment_room(database) as opened:
        yield opened


async def _payments(room: Room) -> int:
    return len([event for event in await room.announced() if isinstance(event, PaymentReceived)])


async def test_a_proof_of_a_payment_that_was_reported_is_answered_with_it(room: Room) -> None:
    """
    Nothing is asked and nothing moves: it is known.
    """
    told = booking("reported")
    code = await room.held(told)
    await room.report(notification(code), external_id="1")
    asked = room.bank.asked
    status, body, _ = await room.prove(told.booking_id, "123456", key="proof-0001")

    assert (200, "paid", "ABCDEFGH12345678", FEE_RUPIAH) == (
        status,
        body["state"],
        body["ntpn"],
        body["amount_rupiah"],
    )
    assert "2026-11-27T15:00:00+08:00" == body["paid_at"]
    assert (asked, 1) == (room.bank.asked, await _payments(room))


async def test_a_proof_of_a_payment_whose_report_never_came_settles_it_once(room: Room) -> None:
    """
    The banks are asked; what one of them knows is taken as if it had reported, also ten times at once.
    """
    told = booking("lost")
    code = await room.held(told)
    room.bank.book(notification(code))
    answers = await asyncio.gather(
        *(room.prove(told.booking_id, "123456", key=f"proof-{index:04d}") for index in range(4))
    )
    late_report = await room.report(notification(code), external_id="late")

    assert [(200, "paid")] * 4 == [(status, body["state"]) for status, body, _ in answers]
    assert (200, "2002500") == late_report
    assert 1 == await _payments(room)
    assert 0 == await room.one("SELECT count(*) FROM proof_attempt")


async def test_the_same_request_again_has_the_same_answer(room: Room) -> None:
    """
    The key of a request is kept with its answer; with another number it is refused.
    """
    told = booking("again")
    room.bank.book(notification(await room.held(told)))
    first = await room.prove(told.booking_id, "123456", key="proof-0001")
    again = await room.prove(told.booking_id, "123456", key="proof-0001")

    assert (first[0], first[1]) == (again[0], again[1])
    assert "true" == again[2]["Idempotency-Replayed"]


async def test_wrong_numbers_are_limited_per_booking(room: Room) -> None:
    """
    Enough for typing errors; then the right one waits too, and is told for how long.
    """
    told = booking("guessed")
    code = await room.held(told)
    wrong = [await room.prove(told.booking_id, f"9{index}", key=f"wrong-{index:04d}") for index in range(6)]
    room.bank.book(notification(code))
    right = await room.prove(told.booking_id, "123456", key="right-0001")

    assert [422] * WRONG_PER_BOOKING_MAX + [429] == [status for status, _, _ in wrong]
    assert {"payment_proof_wrong"} == {body["code"] for status, body, _ in wrong if status == 422}
    assert (429, "payment_proofs_too_many") == (right[0], right[1]["code"])
    assert WINDOW_SECONDS - 60 <= int(right[2]["Retry-After"]) <= WINDOW_SECONDS
    assert 0 == await _payments(room)
    await room.one("UPDATE proof_attempt SET attempted_at = attempted_at - interval '1 hour' RETURNING 1")
    assert 200 == (await room.prove(told.booking_id, "123456", key="right-0002"))[0]


async def test_wrong_numbers_are_limited_per_account_and_all_at_once_too(room: Room) -> None:
    """
    Many bookings are not many tries, and neither is one moment.
    """
    names = [booking(f"many{index}") for index in range(4)]
    for told in names:
        await room.held(told)
    answers = await asyncio.gather(
        *(room.prove(told.booking_id, f"9{index}", key=f"wrong-{index:04d}") for told in names for index in range(4))
    )

    assert WRONG_PER_ACCOUNT_MAX == [status for status, _, _ in answers].count(422)
    assert len(answers) - WRONG_PER_ACCOUNT_MAX == [status for status, _, _ in answers].count(429)


async def test_one_key_with_many_numbers_is_many_attempts(room: Room) -> None:
    """
    Only the very same request is the same attempt.
    """
    told = booking("onekey")
    await room.held(told)
    statuses = [(await room.prove(told.booking_id, f"9{index}", key="the-one-key"))[0] for index in range(6)]
    same = booking("sametry")
    await room.held(same)
    again = [(await room.prove(same.booking_id, "91", key="the-one-key"))[0] for _ in range(8)]

    assert [422] * WRONG_PER_BOOKING_MAX + [429] == statuses
    assert [422] * 8 == again


async def test_a_silent_bank_makes_no_wrong_proof(room: Room) -> None:
    """
    Unknown is not no: it is not counted, and the payer is asked to come back.
    """
    told = booking("silent")
    code = await room.held(told)
    room.bank.mood = Mood.BROKEN
    status, body, headers = await room.prove(told.booking_id, "123456", key="proof-0001")
    counted = await room.one("SELECT count(*) FROM proof_attempt")
    room.bank.book(notification(code))
    room.bank.mood = Mood.WELL
    again, paid, _ = await room.prove(told.booking_id, "123456", key="proof-0001")

    assert (503, "bank_report_unknown", 0) == (status, body["code"], counted)
    assert int(headers["Retry-After"]) >= 5
    assert (200, "paid") == (again, paid["state"])


async def test_a_proof_of_a_report_in_doubt_says_so_and_one_the_bank_confirms_ends_the_doubt(room: Room) -> None:
    """
    The payer learns that his bank has reported, and that it is being asked.
    """
    told = booking("doubt")
    code = await room.held(told)
    room.bank.mood = Mood.BROKEN
    await room.report(notification(code), external_id="1")
    status, body, _ = await room.prove(told.booking_id, "123456", key="proof-0001")
    room.bank.mood = Mood.WELL
    again, paid, _ = await room.prove(told.booking_id, "123456", key="proof-0001")
    await room.ask_again()

    assert (202, "unconfirmed") == (status, body["state"])
    assert (200, "paid") == (again, paid["state"])
    assert (1, 0) == (await _payments(room), await room.one("SELECT count(*) FROM unconfirmed"))
    assert (200, "2002500") == await room.report(notification(code), external_id="1")


async def test_a_proof_of_a_payment_of_another_amount_is_listed(room: Room) -> None:
    """
    The money is somebody's: a person looks at it, and the payer hears that.
    """
    told = booking("partial")
    room.bank.book(notification(await room.held(told), rupiah=FEE_RUPIAH - 1))
    status, body, _ = await room.prove(told.booking_id, "123456", key="proof-0001")
    again, same, _ = await room.prove(told.booking_id, "123456", key="proof-0002")

    assert (200, "listed", "partial") == (status, body["state"], body["reason"])
    assert (again, same) == (status, body)
    assert (0, 1) == (await _payments(room), await room.one("SELECT count(*) FROM exception"))


async def test_the_booking_of_somebody_else_looks_like_none(room: Room) -> None:
    """
    Nobody learns by a proof whether a booking exists or was paid.
    """
    told = booking("others")
    await room.report(notification(await room.held(told)), external_id="1")
    others = await room.prove(told.booking_id, "123456", key="proof-0001", account_id="acc_other")
    none = await room.prove("rsv_none", "123456", key="proof-0001", account_id="acc_other")
    odd = await room.prove("%00", "123456", key="proof-0001")
    shown, _, _ = await room.get("/v1/bookings/%00/invoice")

    assert (404, "invoice_not_ready", 404) == (odd[0], odd[1]["code"], shown)
    assert (404, "invoice_not_ready") == (others[0], others[1]["code"])
    assert (404, "invoice_not_ready") == (none[0], none[1]["code"])


async def test_another_payers_number_proves_nothing(room: Room) -> None:
    """
    A journal number belongs to a code; a bank that answers with another payment than asked is not followed.
    """
    mine, theirs = booking("mine"), booking("theirs")
    mine_code, theirs_code = await room.held(mine), await room.held(theirs)
    room.bank.book(notification(theirs_code))

    assert 422 == (await room.prove(mine.booking_id, "123456", key="proof-0001"))[0]
    room.bank.answer_instead(mine_code, "123456", notification(theirs_code))
    assert 422 == (await room.prove(mine.booking_id, "123456", key="proof-0002"))[0]
    assert 0 == await _payments(room)
