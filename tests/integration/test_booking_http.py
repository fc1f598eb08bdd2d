"""
What people can ask booking, over real HTTP: offices for all, bookings for their holder alone.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient, TestServer
from aiohttp.web import Application, Request

from kernel.auth.authenticator import HeaderAuthenticator
from kernel.auth.tokens import TokenSigner, TokenVerifier, signing_key
from kernel.clock import now_ms
from kernel.http.application import application
from kernel.settings import HttpSettings
from services.booking.routes import ROUTES
from services.booking.routes.keys import BOARD, DATABASE
from services.booking.use_cases.board import OfficeBoard
from services.booking.use_cases.expiring import sweep
from tests.integration.booking_room import Room, booking_id, booking_room

SIGNER = TokenSigner(signing_key("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", variable="TEST"))
Client = TestClient[Request, Application]


@pytest.fixture
async def room(database: str) -> AsyncIterator[Room]:
    async with booking_room(database) as opened:
        yield opened


@pytest.fixture
async def client(room: Room) -> AsyncIterator[Client]:
    verifier = TokenVerifier(now_ms, jwks=SIGNER.jwks())
    app = application(ROUTES, HttpSettings(port=0), authenticator=HeaderAuthenticator(verifier, now_ms))
    app[DATABASE] = room.db
    app[BOARD] = OfficeBoard(room.db)
    async with TestClient(TestServer(app)) as opened:
        yield opened


def by(account_id: str, *, key: str | None = None) -> Mapping[str, str]:
    """
    The headers of an account's call.
    """
    token = SIGNER.issue(account_id=account_id, person_ids=(), roles=(), now_ms=now_ms(), ttl_seconds=60)
    return {"Authorization": f"Bearer {token}", **({"Idempotency-Key": key} if key else {})}


async def _cancel(client: Client, name: str, *, account: str = "acc_1", key: str | None = None) -> ClientResponse:
    path = f"/v1/bookings/{booking_id(name)}/cancel"
    return await client.post(path, headers=by(account, key=key or uuid.uuid4().hex))


def _without_request(body: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name not in {"instance", "request_id"}}


async def test_every_office_is_listed_to_everyone_with_its_window(client: Client) -> None:
    """
    No token, no place filter; times in the office's own zone.
    """
    response = await client.get("/v1/offices")
    body = await response.json()

    assert (200, "public, max-age=5") == (response.status, response.headers["Cache-Control"])
    assert {"bandung": "WIB", "jayapura": "WIT"} == {o["office_id"]: o["zone_label"] for o in body["offices"]}
    assert abs(body["server_time_ms"] - now_ms()) < 5000
    by_id = {office["office_id"]: office["window"] for office in body["offices"]}
    assert {"open"} == {window["state"] for window in by_id.values()}
    assert by_id["jayapura"]["opens_at"].endswith("+09:00")


async def test_offices_can_be_searched_and_read_one_by_one(client: Client) -> None:
    """
    Words match anywhere and in any case; an unknown office is a 404 of its own.
    """
    found = await (await client.get("/v1/offices", params={"q": "KOTA jaya"})).json()
    of_province = await (await client.get("/v1/offices", params={"province": "jawa barat"})).json()
    one = await (await client.get("/v1/offices/bandung")).json()
    none = await client.get("/v1/offices/atlantis", headers={"Accept-Language": "en"})

    assert ["jayapura"] == [office["office_id"] for office in found["offices"]]
    assert ["bandung"] == [office["office_id"] for office in of_province["offices"]]
    assert ("bandung", "open") == (one["office_id"], one["window"]["state"])
    assert (404, "office_not_found") == (none.status, (await none.json())["code"])


async def test_offices_not_changed_since_are_not_sent_again(client: Client) -> None:
    """
    The tag covers the server's time as well, so a countdown never runs on an old one.
    """
    first = await client.get("/v1/offices")
    again = await client.get("/v1/offices", headers={"If-None-Match": first.headers["ETag"]})
    other = await client.get("/v1/offices", headers={"If-None-Match": '"something"'})

    assert (304, b"", 200) == (again.status, await again.read(), other.status)


async def test_a_booking_shows_its_holder_all_of_it(room: Room, client: Client) -> None:
    """
    Where, when, which numbers, what to pay, and how it came here.
    """
    await room.record(room.held("one", seats=(4, 5), persons=("per_a", "per_b")))
    fresh = await (await client.get(f"/v1/bookings/{booking_id('one')}", headers=by("acc_1"))).json()
    await room.hear_payment(room.invoice("one"), room.paid("one"))
    paid = await (await client.get(f"/v1/bookings/{booking_id('one')}", headers=by("acc_1"))).json()

    assert ("held", [4, 5], ["per_a", "per_b"]) == (fresh["state"], fresh["seats"], fresh["person_ids"])
    assert ("bandung", "WIB") == (fresh["office"]["office_id"], fresh["office"]["zone_label"])
    assert "billing_code" not in fresh
    assert fresh["pay_by"].endswith("+07:00")
    assert ("confirmed", "820261100000017", 350_000) == (paid["state"], paid["billing_code"], paid["amount_rupiah"])
    assert ["held", "awaiting_payment", "confirmed"] == [step["state"] for step in paid["history"]]


async def test_somebody_elses_booking_is_as_absent_as_none(room: Room, client: Client) -> None:
    """
    Owner, other, absent and malformed: the same 404 but for the address asked, on reading and on cancelling.
    """
    await room.record(room.held("one"))
    paths = [f"/v1/bookings/{each}" for each in (booking_id("one"), booking_id("nobody"), "rsv_x%00", "x" * 500)]
    reads = [await client.get(path, headers=by("acc_2")) for path in paths]
    cancels = [await client.post(f"{path}/cancel", headers=by("acc_2", key="key-12345")) for path in paths]

    assert {404} == {response.status for response in reads + cancels}
    bodies = [_without_request(await response.json()) for response in reads + cancels]
    assert all(body == bodies[0] for body in bodies)
    assert "held" == await room.state("one")


async def test_without_a_token_there_are_no_bookings(room: Room, client: Client) -> None:
    """
    Nobody, a forged token and a pass are refused alike.
    """
    for headers in ({}, {"Authorization": "Bearer forged"}, {"Authorization": "Pass ap1.x"}):
        response = await client.get("/v1/bookings", headers=headers)
        assert (401, "unauthenticated") == (response.status, (await response.json())["code"])


async def test_the_list_is_the_callers_newest_first_page_by_page(room: Room, client: Client) -> None:
    """
    Every booking once, in order, though many were held in the same millisecond.
    """
    await room.record(
        *(room.held(f"n{n}", seats=(n,)) for n in range(1, 8)), room.held("x", seats=(9,), account="acc_2")
    )
    seen: list[str] = []
    cursor: str | None = None
    while True:
        params = {"limit": "3", **({"cursor": cursor} if cursor else {})}
        page = await (await client.get("/v1/bookings", params=params, headers=by("acc_1"))).json()
        seen += [booking["booking_id"] for booking in page["bookings"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break

    async with room.db.connection() as connection:
        rows = await connection.fetch(
            "SELECT booking_id FROM booking WHERE account_id = 'acc_1' ORDER BY held_at DESC, booking_id DESC"
        )
    assert [row["booking_id"] for row in rows] == seen
    assert 7 == len(seen)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("limit", "0"),
        ("limit", "101"),
        ("limit", "many"),
        ("cursor", "x"),
        ("cursor", "bm90IGEgY3Vyc29y"),
        ("cursor", ""),
    ],
)
async def test_a_bad_limit_or_cursor_is_named(client: Client, field: str, value: str) -> None:
    """
    The field is named; nothing reaches Postgres.
    """
    response = await client.get("/v1/bookings", params={field: value}, headers=by("acc_1"))

    assert (400, field) == (response.status, (await response.json())["field"])


async def test_an_unpaid_booking_is_cancelled_at_once_and_its_places_are_free(room: Room, client: Client) -> None:
    """
    The answer is the booking as it is now.
    """
    await room.record(room.held("one", persons=("per_x",)))
    response = await _cancel(client, "one")
    await room.record(room.held("next", persons=("per_x",)))

    assert (200, "cancelled") == (response.status, (await response.json())["state"])
    assert "held" == await room.state("next")


async def test_cancelling_again_with_the_same_key_gives_the_same_answer(room: Room, client: Client) -> None:
    """
    A lost answer can be asked for again; a new wish is told that it is over.
    """
    await room.record(room.held("one"))
    first = await _cancel(client, "one", key="key-12345")
    again = await _cancel(client, "one", key="key-12345")
    new = await _cancel(client, "one")

    assert await first.read() == await again.read()
    assert "true" == again.headers["Idempotency-Replayed"]
    assert (409, "booking_ended", "cancelled") == (
        new.status,
        (body := await new.json())["code"],
        body["state"],
    )
    assert ["booking.held.v1", "booking.cancelled.v1"] == await room.told("one")


async def test_many_wishes_at_once_cancel_once(room: Room, client: Client) -> None:
    """
    A double click is one step.
    """
    await room.record(room.held("one"))
    answers = await asyncio.gather(*(_cancel(client, "one") for _ in range(8)))

    assert [200] + [409] * 7 == sorted(answer.status for answer in answers)
    assert 1 == (await room.told("one")).count("booking.cancelled.v1")


async def test_a_confirmed_booking_can_be_cancelled_until_the_day_before(room: Room, client: Client) -> None:
    """
    By the calendar of the office: the day of the visit is too late.
    """
    await room.record(room.held("early"), room.held("late", slot_id=(await room.slots())[-1]))
    await room.hear_payment(room.paid("early"), room.paid("late"))
    async with room.db.connection() as connection:
        await connection.execute(
            "UPDATE slot SET date = (now() AT TIME ZONE timezone)::date WHERE slot_id = $1", (await room.slots())[-1]
        )
    early, late = await _cancel(client, "early"), await _cancel(client, "late")

    assert (200, 409) == (early.status, late.status)
    assert "too_late_to_cancel" == (await late.json())["code"]
    assert ("cancelled", "confirmed") == (await room.state("early"), await room.state("late"))


async def test_an_expired_booking_cannot_be_cancelled(room: Room, client: Client) -> None:
    """
    It has ended already, and the answer says how.
    """
    await room.record(room.held("one", pay_in_seconds=-1))
    await sweep(room.db, room.visits)
    response = await _cancel(client, "one")

    assert (409, "booking_ended", "expired") == (
        response.status,
        (body := await response.json())["code"],
        body["state"],
    )


@pytest.mark.parametrize("body", ['{"reason": "my name is"}', '{"why": 1}', "[]", "no json"])
async def test_free_text_is_no_reason(room: Room, client: Client, body: str) -> None:
    """
    It would carry personal data into the events.
    """
    await room.record(room.held("one"))
    path = f"/v1/bookings/{booking_id('one')}/cancel"
    response = await client.post(path, data=body, headers=by("acc_1", key="key-12345"))

    assert (400, "bad_request") == (response.status, (await response.json())["code"])
    assert "held" == await room.state("one")


async def test_cancelling_needs_a_key(room: Room, client: Client) -> None:
    """
    Without one a retry could not be recognised.
    """
    await room.record(room.held("one"))
    response = await client.post(f"/v1/bookings/{booking_id('one')}/cancel", headers=by("acc_1"))

    assert (400, "idempotency_key_missing") == (response.status, (await response.json())["code"])
