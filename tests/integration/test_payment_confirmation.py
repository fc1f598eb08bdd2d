"""
Nothing moves on a push alone: the bank is asked, silence is asked again, and doubt ends confirmed or listed.
"""

import asyncio
import random
from collections.abc import AsyncIterator

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from contracts.events import PaymentReceived
from services.payment.domain.inquiry import ASKS_MAX
from tests.integration.payment_bank import Mood
from tests.integration.payment_room import (
    FEE_RUPIAH,
    OLD_SECRET,
    RSA_BANK,
    Room,
    booking,
    notarized,
    notary,
    notification,
    payment_room,
    signed,
)

OK = (200, "2002500")
IN_PROGRESS = (202, "2022500")
MUTATIONS = 300


@pytest.fixture
async def room(database: str) -> AsyncIterator[Room]:
    async with payment_room(database) as opened:
        yield opened


async def _payments(room: Room) -> int:
    told = [event for event in await room.announced() if isinstance(event, PaymentReceived)]
    stored = int(await room.one("SELECT count(*) FROM payment"))
    assert stored == len(told)
    return stored


async def _listed(room: Room) -> list[str]:
    return [row["reason"] for row in await room.all("SELECT reason FROM exception WHERE resolved_at IS NULL")]


async def test_a_true_report_is_asked_about_once_and_taken_at_once(room: Room) -> None:
    """
    The ordinary case: one inquiry, one payment, and the repeat asks nobody.
    """
    code = await room.held(booking("once"))

    assert OK == await room.report(notification(code), external_id="1")
    assert OK == await room.report(notification(code), external_id="1")
    assert (1, 1) == (room.bank.asked, await _payments(room))


@pytest.mark.parametrize("mood", [Mood.SILENT, Mood.BROKEN, Mood.BABBLING])
async def test_a_bank_that_does_not_answer_is_asked_again_until_it_does(room: Room, mood: Mood) -> None:
    """
    The report waits, the bank hears that it is being looked at; then the same report is answered with its end.
    """
    code = await room.held(booking("silent"))
    room.bank.mood = mood

    assert IN_PROGRESS == await room.report(notification(code), external_id="1")
    assert IN_PROGRESS == await room.report(notification(code), external_id="1")
    assert 1 == await room.ask_again()
    assert (0, []) == (await _payments(room), await _listed(room))

    room.bank.mood = Mood.WELL
    assert 1 == await room.ask_again()
    assert 0 == await room.ask_again()
    assert OK == await room.report(notification(code), external_id="1")
    assert (1, []) == (await _payments(room), await _listed(room))
    assert "paid" == await room.one("SELECT state FROM invoice")


async def test_a_report_the_bank_never_confirms_is_listed_and_moves_nothing(room: Room) -> None:
    """
    A push under a stolen key, of money that never came: asked about for a bounded time, then a person's.
    """
    code = await room.held(booking("stolen"))

    assert IN_PROGRESS == await room.report(notification(code), external_id="1", booked=False)
    for _ in range(ASKS_MAX - 1):
        assert 1 == await room.ask_again()
    assert 0 == await room.ask_again()
    assert (ASKS_MAX, 0, ["unconfirmed"]) == (room.bank.asked, await _payments(room), await _listed(room))
    assert "open" == await room.one("SELECT state FROM invoice")


async def test_money_that_comes_after_the_doubt_was_listed_takes_it_off_the_list(room: Room) -> None:
    """
    The bank finds it a day later and reports again.
    """
    code = await room.held(booking("found"))
    await room.report(notification(code), external_id="1", booked=False)
    for _ in range(ASKS_MAX - 1):
        await room.ask_again()

    assert OK == await room.report(notification(code), external_id="2")
    assert (1, []) == (await _payments(room), await _listed(room))


@pytest.mark.parametrize("change", [{"ntpn": "ZZZZZZZZ12345678"}, {"paid_at": "2026-11-27T15:00:01+08:00"}])
async def test_a_bank_that_says_otherwise_when_asked_is_not_believed_either_way(
    room: Room, change: dict[str, str]
) -> None:
    """
    Two words of one bank against each other: a person's business.
    """
    code = await room.held(booking("otherwise"))
    room.bank.book(notification(code) | change)

    assert (404, "4042518") == await room.report(notification(code), external_id="1", booked=False)
    assert (0, ["contradicted"]) == (await _payments(room), await _listed(room))


async def test_many_workers_asking_again_take_a_payment_once(room: Room) -> None:
    """
    Each takes other reports; none is taken twice.
    """
    codes = [await room.held(booking(f"crowd{index}")) for index in range(12)]
    room.bank.mood = Mood.BROKEN
    for index, code in enumerate(codes):
        ntpn = f"{index:016d}"
        await room.report(notification(code, ntpn=ntpn), external_id=ntpn)
    room.bank.mood = Mood.WELL
    asked = room.bank.asked
    await asyncio.gather(*(room.ask_again() for _ in range(4)))
    while await room.ask_again():
        pass

    assert len(codes) == await _payments(room)
    assert room.bank.asked >= asked + len(codes)


async def test_a_payment_in_doubt_and_one_that_is_sure_for_the_same_code_are_one_payment(room: Room) -> None:
    """
    The second money came first to its end; the first is somebody's still, and is listed.
    """
    code = await room.held(booking("order"))
    room.bank.mood = Mood.BROKEN
    await room.report(notification(code), external_id="1")
    room.bank.mood = Mood.WELL
    sure = await room.report(notification(code, ntpn="ZZZZZZZZ12345678", journal="2"), external_id="2")
    await room.ask_again()

    assert OK == sure
    assert (1, ["already_paid"]) == (await _payments(room), await _listed(room))


async def test_a_payment_late_by_the_banks_clock_is_taken_and_told_with_its_moment(room: Room) -> None:
    """
    Whether a place is left for it is booking's to say; the moment it decides by is the bank's.
    """
    code = await room.held(booking("late"))
    await room.one("UPDATE invoice SET pay_by_ms = 1 RETURNING 1")

    assert OK == await room.report(notification(code), external_id="1")
    [received] = [event for event in await room.announced() if isinstance(event, PaymentReceived)]
    assert 1_795_762_800_000 == received.paid_at_ms


async def test_a_key_that_is_being_replaced_is_good_and_one_nobody_named_is_not(room: Room) -> None:
    """
    The bank changes over in its own time.
    """
    code = await room.held(booking("rotated"))

    assert (401, "4012500") == await room.report(notification(code), external_id="1", secret="of-nobody-at-all")
    assert OK == await room.report(notification(code), external_id="1", secret=OLD_SECRET)


async def test_a_bank_that_signs_with_rsa_is_believed_under_its_public_key_alone(room: Room) -> None:
    """
    No token, no shared secret; a stranger's key and the secret of our questions are refused.
    """
    body = notification(await room.held(booking("notarized")))
    room.bank.book(body)
    raw, stranger = msgspec.json.encode(body), rsa.generate_private_key(public_exponent=65537, key_size=2048)
    forged = await room.push(raw, notarized(raw, external_id="1", key=stranger), bank=RSA_BANK)
    shared = await room.push(raw, signed(raw, external_id="1") | {"X-PARTNER-ID": RSA_BANK}, bank=RSA_BANK)

    assert [(401, "4012500")] * 2 == [forged, shared]
    assert OK == await room.push(raw, notarized(raw, external_id="1", key=notary()), bank=RSA_BANK)
    assert (1, RSA_BANK) == (await _payments(room), await room.one("SELECT bank FROM payment"))


@pytest.mark.parametrize(
    "paid_at", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00", "2026-11-27T15:00:00", "yesterday"]
)
async def test_a_moment_that_is_none_is_no_report(room: Room, paid_at: str) -> None:
    """
    Whatever a bank's machine makes of a date, it is an answer and never an error of ours.
    """
    code = await room.held(booking("moment"))

    assert (400, "4002501") == await room.report(notification(code) | {"paid_at": paid_at}, external_id="1")


async def test_no_mutated_callback_is_ever_taken(room: Room) -> None:
    """
    One byte of the body or of a signed header changed on the way: refused, every time, and nothing is written.
    """
    code = await room.held(booking("mutated"))
    raw, chance = msgspec.json.encode(notification(code)), random.Random(20261122)  # noqa: S311 - to be repeated
    room.bank.book(notification(code))
    good = signed(raw, external_id="1")
    parts = ["body", *sorted(set(good) - {"X-EXTERNAL-ID"})]
    for _ in range(MUTATIONS):
        part = chance.choice(parts)
        value = raw.decode() if part == "body" else good[part]
        position = chance.randrange(len(value))
        other = chance.choice([chr(code) for code in range(33, 127) if chr(code) != value[position]])
        altered = value[:position] + other + value[position + 1 :]
        body, headers = (altered.encode(), good) if part == "body" else (raw, good | {part: altered})
        status, _ = await room.push(body, headers)
        assert status in {400, 401}, f"{part} at {position} became {other!r}"

    assert (0, 0, []) == (room.bank.asked, await _payments(room), await _listed(room))
    assert OK == await room.push(raw, good)
    assert OK == await room.push(raw, good | {"X-EXTERNAL-ID": "2"})
    assert 1 == await _payments(room)


async def test_the_sandbox_bank_answers_inquiries_of_its_partner_only(room: Room) -> None:
    """
    Over HTTP, signed; what it does not know it says so.
    """
    code = await room.held(booking("sandbox"))
    _, receipt = await room.pay(code)
    asked = {"billing_code": code, "journal_number": receipt["journal_number"]}
    async with room.session.post(f"{room.base}/v1/sandbox/bank/inquiries", json=asked) as unsigned:
        told = await unsigned.json()
    known = await room.banks.ask("sandbox", **asked)
    unknown = await room.banks.ask("sandbox", billing_code=code, journal_number="1")

    assert (401, "4012600") == (unsigned.status, told["responseCode"])
    assert receipt["ntpn"] == getattr(known, "ntpn", None)
    assert "absent" == getattr(unknown, "value", None)


async def test_staff_read_the_list_page_by_page_and_citizens_do_not(room: Room) -> None:
    """
    For auditors and SREs: why, from whom, how much; never whose booking it is.
    """
    for number in range(3):
        await room.report(notification("800000000000000", ntpn=f"{number:016d}"), external_id=str(number))
    path = "/v1/payments/exceptions"
    refused, problem, _ = await room.get(path)
    _, first, _ = await room.get(f"{path}?limit=2", roles=("auditor",))
    _, rest, _ = await room.get(f"{path}?limit=2&after={first['next_after']}", roles=("sre",))
    wrong, _, _ = await room.get(f"{path}?limit=201", roles=("sre",))

    assert (403, "auditor", 400) == (refused, problem["role"], wrong)
    assert ["0", "1", "2"] == [row["external_id"] for row in first["exceptions"] + rest["exceptions"]]
    assert (None, {"unknown_code"}) == (rest["next_after"], {row["reason"] for row in first["exceptions"]})
    assert f"{FEE_RUPIAH}.00" == first["exceptions"][0]["amount"]
