"""
Tickets at the door: the owner's, of a confirmed booking, checked with the published key.
"""

import asyncio
import base64
import socket
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import icalendar
import msgspec
import pytest
from aiohttp import web

from contracts.events import BookingCancelled, BookingConfirmed, BookingExpired
from kernel.auth.authenticator import HeaderAuthenticator
from kernel.auth.tokens import TokenSigner, TokenVerifier, signing_key
from kernel.clock import now_ms
from kernel.http.application import application
from kernel.settings import HttpSettings
from services.notify import routes
from services.notify.documents import Documents
from services.notify.domain import Template, claims_of
from services.notify.routes import WAITING_MAX, Press, TicketKeys
from services.notify.tickets import verify
from tests.integration.conftest import Stores
from tests.integration.notify_room import Room, notify_room
from tests.unit.notify_letters import ACCOUNT, booking, event_of, signer

PAPERS = {"ticket.pdf": "application/pdf", "ticket.ics": "text/calendar", "qr.svg": "image/svg+xml"}


class Door:
    """
    Notify's HTTP, as an account sees it.
    """

    def __init__(self, room: Room, press: Press, base: str, tokens: TokenSigner) -> None:
        self.room = room
        self.press = press
        self._base = base
        self._tokens = tokens

    async def get(self, path: str, *, account_id: str = ACCOUNT) -> tuple[int, str, bytes]:
        """
        Status, content type and body.
        """
        token = self._tokens.issue(account_id=account_id, person_ids=(), roles=(), now_ms=now_ms(), ttl_seconds=60)
        headers = {"Authorization": f"Bearer {token}"}
        async with self.room.session.get(self._base + path, headers=headers) as answer:
            return answer.status, answer.content_type, await answer.read()


@asynccontextmanager
async def _door(room: Room) -> AsyncIterator[Door]:
    tokens = TokenSigner(signing_key(base64.b64encode(b"s" * 32).decode(), variable="JWT_SIGNING_KEY"))
    verifier = TokenVerifier(now_ms, jwks=tokens.jwks())
    app = application(routes.ROUTES, HttpSettings(port=0), authenticator=HeaderAuthenticator(verifier, now_ms))
    app[routes.DATABASE] = room.db
    app[routes.SIGNER] = signer()
    app[routes.PRESS] = Press(Documents(signer()))
    listening = socket.create_server(("127.0.0.1", 0))
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.SockSite(runner, listening).start()
    yield Door(room, app[routes.PRESS], f"http://127.0.0.1:{listening.getsockname()[1]}", tokens)
    app[routes.PRESS].close()
    await runner.cleanup()


@pytest.fixture
async def door(database: str, stores: Stores) -> AsyncIterator[Door]:
    async with notify_room(database, smtp_url=stores.smtp_url, mail_url=stores.mail_url) as room, _door(room) as opened:
        yield opened


async def test_the_owner_gets_all_three_papers(door: Door) -> None:
    """
    PDF, calendar entry and QR code of a confirmed booking, each of its type.
    """
    told = booking()
    await door.room.hear_booking(event_of(Template.CONFIRMED, told), event_id="b.1")
    answers = {name: await door.get(f"/v1/bookings/{told.booking_id}/{name}") for name in PAPERS}

    assert {name: (200, kind) for name, kind in PAPERS.items()} == {n: answer[:2] for n, answer in answers.items()}
    assert answers["ticket.pdf"][2].startswith(b"%PDF-")
    assert answers["qr.svg"][2].startswith(b"<svg")
    [event] = icalendar.Calendar.from_ical(answers["ticket.ics"][2]).walk("VEVENT")
    assert told.booking_id == str(event["UID"])


@pytest.mark.parametrize("name", PAPERS)
async def test_nobody_sees_anothers_ticket(door: Door, name: str) -> None:
    """
    Another's booking and one that does not exist get the same answer.
    """
    told = booking()
    await door.room.hear_booking(event_of(Template.CONFIRMED, told), event_id="b.1")
    others = await door.get(f"/v1/bookings/{told.booking_id}/{name}", account_id="acc_other")
    nobodys = await door.get(f"/v1/bookings/rsv_{'0' * 32}/{name}")

    assert [404, 404] == [others[0], nobodys[0]]
    assert ["not_found", "not_found"] == [msgspec.json.decode(answer[2])["code"] for answer in (others, nobodys)]


@pytest.mark.parametrize("name", PAPERS)
async def test_what_is_not_confirmed_has_no_ticket(door: Door, name: str) -> None:
    """
    Before the money, and after a cancellation, also when the news comes out of order.
    """
    unpaid = booking("unpaid", state="awaiting_payment", version=2)
    gone = booking("gone", state="cancelled", version=4)
    await door.room.hear_booking(event_of(Template.AWAITING_PAYMENT, unpaid), event_id="b.1")
    await door.room.hear_booking(BookingCancelled(booking=gone, at_ms=2, reason="holder"), event_id="b.2")
    late = event_of(Template.CONFIRMED, booking("gone", version=3))
    assert isinstance(late, BookingConfirmed)
    await door.room.hear_booking(late, event_id="b.3")
    answers = [await door.get(f"/v1/bookings/{told.booking_id}/{name}") for told in (unpaid, gone)]

    assert [(409, "not_confirmed", "awaiting_payment"), (409, "not_confirmed", "cancelled")] == [
        (status, (said := msgspec.json.decode(body))["code"], said["state"]) for status, _, body in answers
    ]


async def test_the_published_key_checks_a_ticket(door: Door) -> None:
    """
    Anybody may ask for the key; with it a ticket verifies, and a changed one does not.
    """
    status, _, body = await door.get("/v1/ticket-keys")
    [key] = msgspec.json.decode(body, type=TicketKeys).keys
    ticket = signer().ticket(claims_of(booking()))

    assert 200 == status
    assert claims_of(booking()) == verify(ticket, key)
    assert verify(ticket.replace("AT1.ey", "AT1.eX"), key) is None


async def test_the_newest_version_of_a_booking_counts(door: Door) -> None:
    """
    Old news after new news changes no ticket.
    """
    told = booking(version=5, state="expired")
    await door.room.hear_booking(BookingExpired(booking=told, at_ms=1), event_id="b.5")
    await door.room.hear_booking(event_of(Template.CONFIRMED, booking(version=4)), event_id="b.4")

    assert "expired 5" == await door.room.one("SELECT state || ' ' || version FROM ticket")


async def test_a_press_that_is_full_says_so(door: Door) -> None:
    """
    A bounded number of prints may wait; one more is told to come back, and is served when there is room.
    """
    told, stuck = booking(), threading.Event()
    path = f"/v1/bookings/{told.booking_id}/qr.svg"
    await door.room.hear_booking(event_of(Template.CONFIRMED, told), event_id="b.1")
    waiting = [asyncio.ensure_future(door.press.run(lambda: str(stuck.wait(30)).encode())) for _ in range(WAITING_MAX)]
    await asyncio.sleep(0)
    full, _, _ = await door.get(path)
    stuck.set()
    await asyncio.gather(*waiting)
    free, _, _ = await door.get(path)

    assert [503, 200] == [full, free]
