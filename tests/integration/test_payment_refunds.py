"""
Money goes back once, by two persons, and everybody who asks sees how far it is.
"""

import asyncio
import csv
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from contracts.events import Booking, BookingPaidNoSeat, BookingRescheduled, PaymentRefunded
from kernel.errors import Permanent
from kernel.ids import derived
from tests.integration.payment_room import FEE_RUPIAH, Room, booking, command, notification, payment_room

FINANCE = ("finance",)
ANN, BEN = "acc_ann", "acc_ben"


@pytest.fixture
async def room(database: str) -> AsyncIterator[Room]:
    async with payment_room(database) as opened:
        yield opened


def ntpn(name: str) -> str:
    return name.upper().ljust(16, "0")


async def paid(room: Room, name: str) -> Booking:
    """
    A booking that is paid.
    """
    told = booking(name)
    code = await room.held(told)
    assert (200, "2002500") == await room.report(notification(code, ntpn=ntpn(name)), external_id=name)
    return told


async def ask(
    room: Room,
    told: Booking,
    *,
    who: str = ANN,
    key: str = "key-of-a-request",
    roles: tuple[str, ...] = FINANCE,
    **more: Any,
) -> tuple[int, dict[str, Any]]:
    body = {"booking_id": told.booking_id, "reason": "the printer is broken", **more}
    return await room.post("/v1/refunds", body, account_id=who, roles=roles, key=key)


async def decide(
    room: Room, refund_id: str, step: str, *, who: str = BEN, roles: tuple[str, ...] = FINANCE
) -> tuple[int, dict[str, Any]]:
    body = {"reason": "looked at it"}
    return await room.post(f"/v1/refunds/{refund_id}/{step}", body, account_id=who, roles=roles, key=f"{who}-{step}-1")


async def approved(room: Room, name: str) -> dict[str, Any]:
    _, asked = await ask(room, await paid(room, name), key=f"request-{name}")
    status, refund = await decide(room, asked["refund_id"], "approve")
    assert 200 == status
    return refund


async def _deeds(room: Room) -> list[tuple[str, str]]:
    rows = await room.all("SELECT actor, action FROM audit_entry ORDER BY entry_id")
    return [(row["actor"], row["action"]) for row in rows]


def _files(folder: Path) -> set[Path]:
    return set(folder.iterdir())


def no_seat(told: Booking, name: str) -> BookingPaidNoSeat:
    return BookingPaidNoSeat(booking=told, ntpn=ntpn(name), amount_rupiah=FEE_RUPIAH, paid_at_ms=1, at_ms=2)


async def test_a_refund_goes_from_one_person_to_another_and_into_a_file(
    room: Room, database: str, tmp_path: Path
) -> None:
    """
    Requested, approved, reported: told to the treasury, to booking's topic, to the payer, and in the audit log.
    """
    told = await paid(room, "whole")
    created, asked = await ask(room, told)
    _, agreed = await decide(room, asked["refund_id"], "approve")
    out = tmp_path / "treasury.csv"
    exit_code, printed = await command(database, "refunds", "export", "--out", str(out))
    figures = json.loads(printed[-1])
    _, seen, _ = await room.get(f"/v1/bookings/{told.booking_id}/refund")
    [row] = csv.DictReader(out.read_text().splitlines())
    [event] = [event for event in await room.announced() if isinstance(event, PaymentRefunded)]

    assert (201, "requested", "approved", 0) == (created, asked["state"], agreed["state"], exit_code)
    assert (ANN, BEN) == (agreed["requested_by"], agreed["approved_by"])
    assert (1, FEE_RUPIAH) == (figures["refunds"], figures["amount_rupiah"])
    assert (asked["refund_id"], ntpn("whole"), str(FEE_RUPIAH), figures["batch_id"]) == (
        row["refund_id"],
        row["ntpn"],
        row["amount_rupiah"],
        row["batch_id"],
    )
    assert (told.booking_id, ntpn("whole"), FEE_RUPIAH) == (event.booking_id, event.ntpn, event.amount_rupiah)
    assert ("reported", FEE_RUPIAH) == (seen["state"], seen["amount_rupiah"])
    assert seen["reported_at"].endswith("+08:00")
    assert "ann" not in json.dumps(seen)
    assert [(ANN, "request_refund"), (BEN, "approve_refund"), ("payment", "report_refunds")] == await _deeds(room)
    assert 0o600 == out.stat().st_mode & 0o777


async def test_who_asks_does_not_approve(room: Room) -> None:
    """
    Neither through the door nor past it: the table itself refuses.
    """
    _, asked = await ask(room, await paid(room, "alone"))
    status, refused = await decide(room, asked["refund_id"], "approve", who=ANN)
    with pytest.raises(asyncpg.CheckViolationError):
        await room.one("UPDATE refund SET state = 'approved', approved_by = requested_by, approved_at = now()")

    assert (403, "refund_needs_another_person") == (status, refused["code"])
    assert "requested" == await room.one("SELECT state FROM refund")
    assert [(ANN, "request_refund")] == await _deeds(room)


async def test_a_payment_has_one_refund_that_is_not_rejected(room: Room) -> None:
    """
    Ten ask at once and one has it; after a rejection another may ask.
    """
    told = await paid(room, "race")
    answers = await asyncio.gather(*(ask(room, told, key=f"request-{n:03}") for n in range(10)))
    [first] = [body for status, body in answers if status == 201]
    await decide(room, first["refund_id"], "reject", who=ANN)
    again, second = await ask(room, told, key="request-again")

    assert [201] + [409] * 9 == sorted(status for status, _ in answers)
    assert {"refund_exists"} == {body["code"] for status, body in answers if status == 409}
    assert 201 == again
    assert second["refund_id"] != first["refund_id"]
    assert ["rejected", "requested"] == [row["state"] for row in await room.all("SELECT state FROM refund ORDER BY 1")]


async def test_the_same_request_again_is_the_same_refund(room: Room) -> None:
    """
    A key asks once; with another body it is refused.
    """
    told = await paid(room, "twice")
    first, second = await ask(room, told), await ask(room, told)
    other, refused = await ask(room, told, amount_rupiah=1)

    assert first == second
    assert (422, "idempotency_key_reused") == (other, refused["code"])
    assert 1 == await room.one("SELECT count(*) FROM audit_entry")


async def test_no_more_goes_back_than_was_paid(room: Room) -> None:
    """
    A part may; a rupiah more than all may not, and the table refuses it too.
    """
    told = await paid(room, "amount")
    above, refused = await ask(room, told, key="too-much-1", amount_rupiah=FEE_RUPIAH + 1)
    _, part = await ask(room, told, key="a-part-1", amount_rupiah=FEE_RUPIAH - 1)
    with pytest.raises(asyncpg.CheckViolationError):
        await room.one("UPDATE refund SET amount_rupiah = paid_rupiah + 1")
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await room.one("UPDATE refund SET paid_rupiah = paid_rupiah + 1, amount_rupiah = paid_rupiah + 1")

    assert (409, "refund_above_payment") == (above, refused["code"])
    assert FEE_RUPIAH - 1 == part["amount_rupiah"]


async def test_what_was_not_paid_is_not_given_back(room: Room) -> None:
    """
    An open invoice and a booking nobody knows look alike.
    """
    held = booking("unpaid")
    await room.held(held)
    answers = [await ask(room, held), await ask(room, booking("nobody"), key="another-key")]

    assert [(409, "nothing_to_refund")] * 2 == [(status, body["code"]) for status, body in answers]
    assert 0 == await room.one("SELECT count(*) FROM refund")


@pytest.mark.parametrize(
    "roles", [(), ("officer",), ("auditor",), ("sre",), ("planner:makassar",), ("finance:makassar",)]
)
async def test_only_finance_moves_refunds_and_auditors_read(room: Room, roles: tuple[str, ...]) -> None:
    """
    Everybody else is told which role it takes; a citizen has none.
    """
    _, asked = await ask(room, await paid(room, "roles"))
    refused = [
        await ask(room, booking("roles"), who=BEN, key="without-role", roles=roles),
        await decide(room, asked["refund_id"], "approve", roles=roles),
        await decide(room, asked["refund_id"], "reject", roles=roles),
    ]
    listed, _, _ = await room.get("/v1/refunds?state=requested", account_id=BEN, roles=roles)

    assert [(403, "forbidden", "finance")] * 3 == [(status, body["code"], body["role"]) for status, body in refused]
    assert (200 if "auditor" in roles else 403) == listed
    assert "requested" == await room.one("SELECT state FROM refund")


async def test_refunds_are_listed_by_state_page_by_page(room: Room) -> None:
    """
    Oldest first, each once.
    """
    asked = [(await ask(room, await paid(room, f"page{n}"), key=f"page-{n:06}"))[1]["refund_id"] for n in range(5)]
    await decide(room, asked[1], "approve")
    seen: list[str] = []
    after = ""
    for _ in range(4):
        _, page, _ = await room.get(f"/v1/refunds?state=requested&limit=2{after}", account_id=BEN, roles=FINANCE)
        seen += [refund["refund_id"] for refund in page["refunds"]]
        if page["next_after"] is None:
            break
        after = f"&after={page['next_after']}"
    wrong = [
        (await room.get(f"/v1/refunds?{query}", account_id=BEN, roles=FINANCE))[0]
        for query in ("state=lost", "limit=0", "limit=101", "after=x")
    ]

    assert [asked[0], *asked[2:]] == seen
    assert [400] * 4 == wrong


async def test_a_decision_is_made_once(room: Room) -> None:
    """
    Approved and rejected at the same moment end as one of the two in the right order; what is reported stays.
    """
    _, asked = await ask(room, await paid(room, "both"))
    refund_id = asked["refund_id"]
    answers = await asyncio.gather(*(decide(room, refund_id, "reject", who=f"acc_{n}") for n in range(5)))
    late = await decide(room, refund_id, "approve")
    unknown = await decide(room, derived("rfd", "nobody"), "approve", who="acc_x")

    assert [200] + [409] * 4 == sorted(status for status, _ in answers)
    assert (409, "refund_decided") == (late[0], late[1]["code"])
    assert (404, "refund_not_found") == (unknown[0], unknown[1]["code"])
    assert ["request_refund", "reject_refund"] == [action for _, action in await _deeds(room)]


async def test_money_for_a_booking_without_places_asks_for_itself(room: Room) -> None:
    """
    The room asks, one person approves, and hearing it again asks nothing more.
    """
    told = await paid(room, "late")
    await room.hear(("b.late.5", no_seat(told, "late")))
    await room.hear(("b.late.5", no_seat(told, "late")), ("again", no_seat(told, "late")))
    _, page, _ = await room.get("/v1/refunds", account_id=BEN, roles=FINANCE)
    [refund] = page["refunds"]
    status, body = await decide(room, refund["refund_id"], "approve")
    _, seen, _ = await room.get(f"/v1/bookings/{told.booking_id}/refund")

    assert ("payment", FEE_RUPIAH, told.booking_id) == (
        refund["requested_by"],
        refund["amount_rupiah"],
        refund["booking_id"],
    )
    assert (200, "approved", "approved") == (status, body["state"], seen["state"])
    assert [("payment", "request_refund"), (BEN, "approve_refund")] == await _deeds(room)


async def test_money_nobody_knows_of_is_not_refunded(room: Room) -> None:
    """
    A booking said to be paid that we have no payment of is parked with its reason.
    """
    told = booking("never")
    await room.held(told)
    with pytest.raises(Permanent):
        await room.hear(("b.never.5", no_seat(told, "never")))

    assert 0 == await room.one("SELECT count(*) FROM refund")


async def test_a_booking_that_moves_takes_its_money_along(room: Room) -> None:
    """
    What was asked for is rejected, the old booking has no money left, and that of the newest can be given back.
    """
    told, new, newest = await paid(room, "old"), booking("new"), booking("newest")
    await room.hear(("b.old.5", no_seat(told, "old")))
    await room.hear(
        ("b.old.6", BookingRescheduled(booking=told, at_ms=3, moved_to=new.booking_id, reason="reseat")),
        ("b.new.6", BookingRescheduled(booking=new, at_ms=4, moved_to=newest.booking_id, reason="reschedule")),
    )
    _, seen, _ = await room.get(f"/v1/bookings/{told.booking_id}/refund")
    answers = [await ask(room, each, key=f"after-{each.booking_id}") for each in (told, new, newest)]

    assert "rejected" == seen["state"]
    assert [(409, "nothing_to_refund"), (409, "nothing_to_refund")] == [(s, body["code"]) for s, body in answers[:2]]
    assert (201, FEE_RUPIAH) == (answers[2][0], answers[2][1]["amount_rupiah"])
    assert ("payment", "reject_refund") in await _deeds(room)


async def test_another_account_does_not_see_a_refund(room: Room) -> None:
    """
    It is the same 404 as for none.
    """
    told = await paid(room, "mine")
    path = f"/v1/bookings/{told.booking_id}/refund"
    before = await room.get(path)
    await ask(room, told)
    other = await room.get(path, account_id="acc_other")
    nonsense = await room.get("/v1/bookings/x/refund")

    assert [(404, "refund_not_found")] * 3 == [(each[0], each[1]["code"]) for each in (before, other, nonsense)]
    assert 200 == (await room.get(path))[0]


async def test_an_export_takes_what_is_approved_once_and_can_be_written_again(
    room: Room, database: str, tmp_path: Path
) -> None:
    """
    Two at once share the refunds, a third finds nothing; a batch written again is the same file, byte by byte.
    """
    refunds = [await approved(room, f"batch{n}") for n in range(3)]
    paths = [tmp_path / f"{n}.csv" for n in range(2)]
    runs = await asyncio.gather(*(command(database, "refunds", "export", "--out", str(path)) for path in paths))
    figures = [json.loads(printed[-1]) for _, printed in runs]
    [(path, batch)] = [(path, each["batch_id"]) for path, each in zip(paths, figures, strict=True) if each["refunds"]]
    nothing = await command(database, "refunds", "export", "--out", str(tmp_path / "nothing.csv"))
    again = await command(database, "refunds", "export", "--out", str(tmp_path / "again.csv"), "--batch", batch)
    over = await command(database, "refunds", "export", "--out", str(path), "--batch", batch)
    told = [event for event in await room.announced() if isinstance(event, PaymentRefunded)]

    assert [0, 3] == sorted(each["refunds"] for each in figures)
    assert (0, 0, 0, 2) == (runs[0][0], nothing[0], again[0], over[0])
    assert path.read_bytes() == (tmp_path / "again.csv").read_bytes()
    assert {path, tmp_path / "again.csv"} == _files(tmp_path)
    assert 3 == len(told) == len(refunds)


async def test_nobody_changes_the_audit_log(room: Room) -> None:
    """
    Not even with the room's own rights.
    """
    await ask(room, await paid(room, "audited"))
    for order in ("UPDATE audit_entry SET actor = 'x'", "DELETE FROM audit_entry", "TRUNCATE audit_entry"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await room.one(order)

    assert [(ANN, "request_refund")] == await _deeds(room)
