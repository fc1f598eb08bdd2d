"""
At the desk: a family is found by ticket, number or booking, checked in once, and taken through to its passports.
"""

import asyncio
import base64
from collections.abc import AsyncIterator
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from contracts.events import Booking, BookingConfirmed, BookingIncomplete, BookingReady
from kernel.auth.tokens import signing_key
from services.notify.domain import claims_of
from services.notify.tickets import TicketSigner
from tests.integration.booking_desk import (
    OFFICER,
    Client,
    act,
    as_staff,
    audit_lines,
    check_in,
    confirm,
    desk_client,
    shift,
)
from tests.integration.booking_room import Room, booking_id, booking_room

SEED = b"k" * 32
NOTIFY = TicketSigner(signing_key(base64.b64encode(SEED).decode(), variable="TEST"))
PUBLIC = Ed25519PrivateKey.from_private_bytes(SEED).public_key().public_bytes_raw()
FOREIGN = TicketSigner(signing_key(base64.b64encode(b"x" * 32).decode(), variable="TEST"))


@pytest.fixture
async def room(database: str) -> AsyncIterator[Room]:
    async with booking_room(database) as opened:
        yield opened


@pytest.fixture
async def client(room: Room) -> AsyncIterator[Client]:
    async with desk_client(room, ticket_keys=(PUBLIC,)) as opened:
        yield opened


@pytest.fixture
async def today(room: Room) -> None:
    """
    Bandung's first day is today.
    """
    await confirm(room, "one", seats=(4, 5))
    await shift(room, 0)


async def _ticket(room: Room, name: str, signer: TicketSigner = NOTIFY) -> str:
    event = await room.event(name, BookingConfirmed)
    assert isinstance(event, BookingConfirmed)
    told: Booking = event.booking
    return signer.ticket(claims_of(told))


async def _refused(response: Any) -> tuple[int, str]:
    return response.status, (await response.json())["code"]


@pytest.mark.usefixtures("today")
async def test_a_family_is_checked_in_by_its_ticket(room: Room, client: Client) -> None:
    """
    The QR code that notify signs is enough; who saw the family and when is kept.
    """
    response = await act(client, "check-ins", body={"ticket": await _ticket(room, "one")})
    body = await response.json()

    assert (200, "checked_in", [4, 5]) == (response.status, body["state"], body["seats"])
    assert OFFICER == body["checked_in_by"]
    assert body["checked_in_at"].endswith("+07:00")
    assert "booking.checked_in.v1" == (await room.told("one"))[-1]
    assert [("check_in_booking", booking_id("one"), "visit")] == await audit_lines(room)


@pytest.mark.usefixtures("today")
async def test_a_family_is_found_by_a_queue_number(room: Room, client: Client) -> None:
    """
    Day, session, service and number name one family, by any of its numbers; a number nobody has is nobody's.
    """
    async with room.db.connection() as connection:
        slot = await connection.fetchrow("SELECT * FROM slot WHERE slot_id = $1", room.slot_id)
    place = {name: slot[name] for name in ("session", "service", "channel")} | {"date": slot["date"].isoformat()}
    nobody = await act(client, "check-ins", body={"place": {**place, "number": 6}})
    found = await act(client, "check-ins", body={"place": {**place, "number": 5}})

    assert (404, "booking_not_found") == await _refused(nobody)
    assert (200, booking_id("one")) == (found.status, (await found.json())["booking_id"])


@pytest.mark.usefixtures("today")
async def test_a_second_check_in_says_who_and_when(room: Room, client: Client) -> None:
    """
    The same family twice is told apart from the same call twice, which gets its first answer again.
    """
    first = await check_in(client, "one", key="desk-1-call-1")
    replayed = await check_in(client, "one", key="desk-1-call-1")
    second = await check_in(client, "one")
    refusal = await second.json()
    known = await first.json()

    assert (200, "true", known) == (
        replayed.status,
        replayed.headers["Idempotency-Replayed"],
        await replayed.json(),
    )
    assert (409, "already_checked_in") == (second.status, refusal["code"])
    assert (known["checked_in_at"], OFFICER) == (refusal["checked_in_at"], refusal["checked_in_by"])
    assert 1 == (await room.told("one")).count("booking.checked_in.v1")
    assert 1 == len(await audit_lines(room))


@pytest.mark.usefixtures("today")
async def test_many_desks_at_once_check_a_family_in_once(room: Room, client: Client) -> None:
    """
    One desk has the family, the others hear which.
    """
    answers = await asyncio.gather(*(check_in(client, "one") for _ in range(6)))

    assert [200, 409, 409, 409, 409, 409] == sorted(answer.status for answer in answers)
    assert 1 == await room.count("SELECT count(*) FROM check_in")


async def test_another_day_is_refused_with_the_day(room: Room, client: Client) -> None:
    """
    Nobody is served before or after his day.
    """
    await confirm(room, "one")
    response = await check_in(client, "one")
    body = await response.json()

    assert (409, "wrong_day") == (response.status, body["code"])
    assert body["date"] == await room.count("SELECT min(date)::text FROM slot WHERE office_id = 'bandung'")
    assert "confirmed" == await room.state("one")
    assert [] == await audit_lines(room)


async def test_another_office_is_refused_with_the_office(room: Room, client: Client) -> None:
    """
    The officer can say where to go.
    """
    await confirm(room, "east", slot_id=(await room.slots(office_id="jayapura"))[0])
    await shift(room, 0, office_id="jayapura")
    response = await check_in(client, "east")
    body = await response.json()

    assert (409, "wrong_office", "jayapura") == (response.status, body["code"], body["office_id"])


@pytest.mark.usefixtures("today")
async def test_a_ticket_nobody_signed_is_refused(room: Room, client: Client) -> None:
    """
    Signed with another key, changed, or no ticket at all.
    """
    genuine = await _ticket(room, "one")
    other = await _ticket(room, "one", FOREIGN)
    head, claims, signature = genuine.split(".")
    changed = f"{head}.{claims[:-2]}{'AA' if claims[-2:] != 'AA' else 'BB'}.{signature}"

    for ticket in (other, changed, "AT1.x.y", "hello", f"AT2.{claims}.{signature}"):
        assert (422, "ticket_refused") == await _refused(await act(client, "check-ins", body={"ticket": ticket}))
    assert "confirmed" == await room.state("one")


@pytest.mark.usefixtures("today")
async def test_without_a_key_no_ticket_is_believed(room: Room) -> None:
    """
    The officer hears to type the number instead.
    """
    async with desk_client(room) as keyless:
        response = await act(keyless, "check-ins", body={"ticket": await _ticket(room, "one")})
        refused = await _refused(response)

    assert (409, "tickets_unreadable") == refused


@pytest.mark.usefixtures("today")
async def test_only_officers_of_the_office_check_in(room: Room, client: Client) -> None:
    """
    Not citizens, not auditors, not officers of elsewhere; officers of all offices may.
    """
    body = {"booking_id": booking_id("one")}
    for roles in ((), ("auditor",), ("officer:jayapura",), ("planner:bandung",)):
        refused = await client.post("/v1/offices/bandung/check-ins", json=body, headers=as_staff(*roles))
        assert (403, "forbidden") == await _refused(refused)
    allowed = await client.post("/v1/offices/bandung/check-ins", json=body, headers=as_staff("officer"))

    assert 200 == allowed.status


@pytest.mark.usefixtures("today")
async def test_one_way_to_find_a_family_is_named(client: Client) -> None:
    """
    None and two are both refused before anything is looked for.
    """
    none = await act(client, "check-ins", body={})
    two = await act(client, "check-ins", body={"booking_id": booking_id("one"), "ticket": "AT1.x.y"})

    assert [(400, "bad_request")] * 2 == [await _refused(none), await _refused(two)]


async def test_what_is_not_paid_is_not_checked_in(room: Room, client: Client) -> None:
    """
    The desk hears the state it is in.
    """
    await room.record(room.held("one"))
    await shift(room, 0)
    response = await check_in(client, "one")

    assert (409, "step_not_possible", "held") == (*await _refused(response), (await response.json())["state"])


@pytest.mark.usefixtures("today")
async def test_a_visit_goes_from_the_desk_to_the_passports(room: Room, client: Client) -> None:
    """
    Served, processing, ready with a day, collected: each a step of its own, told where others need it, and audited.
    """
    day = await room.count("SELECT ((clock_timestamp() AT TIME ZONE 'Asia/Jakarta')::date + 3)::text")
    await check_in(client, "one")
    path = f"bookings/{booking_id('one')}"
    answers = [
        await act(client, f"{path}/served", body={}),
        await act(client, f"{path}/processing", body={"reason": "sent to print"}),
        await act(client, f"{path}/ready", body={"pick_up_on": day}),
        await act(client, f"{path}/collected", body={}),
    ]

    assert [200] * 4 == [answer.status for answer in answers]
    assert ["served", "processing", "ready", "collected"] == [(await each.json())["state"] for each in answers]
    ready = await room.event("one", BookingReady)
    assert isinstance(ready, BookingReady)
    assert day == ready.pick_up_on
    assert [
        "booking.checked_in.v1",
        "booking.served.v1",
        "booking.ready.v1",
        "booking.collected.v1",
    ] == (await room.told("one"))[-4:]
    assert ["check_in_booking", "serve_booking", "process_booking", "ready_booking", "collect_booking"] == [
        action for action, _, _ in await audit_lines(room)
    ]
    assert ("process_booking", booking_id("one"), "sent to print") == (await audit_lines(room))[2]


@pytest.mark.usefixtures("today")
async def test_steps_out_of_order_are_refused_with_the_state(room: Room, client: Client) -> None:
    """
    Nothing is skipped, nothing goes back, and nothing of another office is found.
    """
    path = f"bookings/{booking_id('one')}"
    day = {"pick_up_on": "2999-01-01"}
    for what, body in (("served", {}), ("processing", {}), ("ready", day), ("collected", {})):
        response = await act(client, f"{path}/{what}", body=body)
        assert (409, "step_not_possible", "confirmed") == (*await _refused(response), (await response.json())["state"])
    await check_in(client, "one")
    elsewhere = await client.post(f"/v1/offices/jayapura/{path}/served", json={}, headers=as_staff("officer"))

    assert (404, "booking_not_found") == await _refused(elsewhere)
    assert "checked_in" == await room.state("one")


@pytest.mark.usefixtures("today")
async def test_passports_are_not_ready_on_a_day_that_is_over(room: Room, client: Client) -> None:
    """
    The day is compared with the office's calendar.
    """
    path = f"bookings/{booking_id('one')}"
    await check_in(client, "one")
    await act(client, f"{path}/served", body={})
    await act(client, f"{path}/processing", body={})
    response = await act(client, f"{path}/ready", body={"pick_up_on": "2020-01-01"})

    assert (400, "bad_request", "pick_up_on") == (*await _refused(response), (await response.json())["field"])
    assert "processing" == await room.state("one")


@pytest.mark.usefixtures("today")
async def test_incomplete_documents_free_the_family_without_a_block(room: Room, client: Client) -> None:
    """
    What is missing is told in a word of ours, the officer's sentence stays in the audit log, and the family can
    reserve again at once.
    """
    await check_in(client, "one")
    asked = {"missing": "family_card", "reason": "The KK of Mrs. S. is from 1998"}
    response = await act(client, f"bookings/{booking_id('one')}/incomplete", body=asked)
    event = await room.event("one", BookingIncomplete)

    assert (200, "incomplete", None) == (
        response.status,
        (body := await response.json())["state"],
        body["blocked_until"],
    )
    assert isinstance(event, BookingIncomplete)
    assert "family_card" == event.reason
    assert ("return_booking", booking_id("one"), asked["reason"]) == (await audit_lines(room))[-1]
    assert 0 == await room.count("SELECT count(*) FROM booking_person")
    assert b"1998" not in b"".join(told for _, told in await room.said())


@pytest.mark.usefixtures("today")
async def test_no_deed_without_a_reason_where_one_is_needed(client: Client) -> None:
    """
    Sending a family home is explained.
    """
    await check_in(client, "one")
    for body in ({}, {"reason": ""}, {"reason": "x" * 501}):
        response = await act(client, f"bookings/{booking_id('one')}/incomplete", body=body)
        assert (400, "bad_request") == await _refused(response)
