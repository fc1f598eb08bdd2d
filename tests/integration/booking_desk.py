"""
A booking room's doors over real HTTP, and bookings whose day is the one a test needs.

Used by `test_booking_*.py` about the desk.
"""

import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient, TestServer
from aiohttp.web import Application, Request

from kernel.auth.authenticator import HeaderAuthenticator
from kernel.auth.tokens import TokenSigner, TokenVerifier, signing_key
from kernel.clock import now_ms
from kernel.http.application import application
from kernel.settings import HttpSettings
from kernel.sheets import Printer
from services.booking.leaves import LeafSigner
from services.booking.routes import ROUTES
from services.booking.routes.keys import BOARD, COUNTER, DATABASE, LEAVES, SHEETS, TICKETS
from services.booking.settings import CounterSettings
from services.booking.sheets import TEMPLATE
from services.booking.tickets import TicketReader
from services.booking.use_cases.board import OfficeBoard
from tests.integration.booking_room import Room, booking_id

SIGNER = TokenSigner(signing_key("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", variable="TEST"))
LEAF_SIGNER = LeafSigner(signing_key("ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=", variable="TEST"))
Client = TestClient[Request, Application]
OFFICER = "acc_officer"


def as_staff(*roles: str, key: str | None = None) -> Mapping[str, str]:
    """
    The headers of a call by staff.
    """
    token = SIGNER.issue(account_id=OFFICER, person_ids=(), roles=roles, now_ms=now_ms(), ttl_seconds=60)
    return {"Authorization": f"Bearer {token}", "Idempotency-Key": key or uuid.uuid4().hex}


@asynccontextmanager
async def desk_client(room: Room, *, ticket_keys: Sequence[bytes] = ()) -> AsyncIterator[Client]:
    """
    Whoever calls the room's API.
    """
    verifier = TokenVerifier(now_ms, jwks=SIGNER.jwks())
    app = application(ROUTES, HttpSettings(port=0), authenticator=HeaderAuthenticator(verifier, now_ms))
    app[DATABASE] = room.db
    app[BOARD] = OfficeBoard(room.db)
    app[TICKETS] = TicketReader(ticket_keys)
    app[SHEETS] = Printer(TEMPLATE)
    app[LEAVES] = LEAF_SIGNER
    app[COUNTER] = CounterSettings(wait_seconds=0)
    async with TestClient(TestServer(app)) as opened:
        yield opened


async def confirm(room: Room, name: str, **more: Any) -> None:
    """
    A paid booking.
    """
    await room.record(room.held(name, account=f"acc_{name}", **more))
    await room.hear_payment(room.paid(name, ntpn=f"ntpn-{name}"))


async def shift(room: Room, days_ago: int, *, office_id: str = "bandung") -> None:
    """
    The first day of an office becomes the day so many days ago, each session keeping its hours.
    """
    async with room.db.connection() as connection:
        await connection.execute(
            """
            UPDATE slot SET
                date = date - moved.days,
                starts_at = starts_at - make_interval(days => moved.days),
                ends_at = ends_at - make_interval(days => moved.days)
            FROM (
                SELECT min(date) AS first,
                    min(date) - ((clock_timestamp() AT TIME ZONE min(timezone))::date - $2::integer) AS days
                FROM slot WHERE office_id = $1
            ) AS moved
            WHERE office_id = $1 AND date = moved.first
            """,
            office_id,
            days_ago,
        )


async def act(
    client: Client, what: str, *, body: Mapping[str, Any], office: str = "bandung", key: str | None = None
) -> ClientResponse:
    """
    An officer of Bandung does something at an office.
    """
    headers = as_staff("officer:bandung", key=key)
    return await client.post(f"/v1/offices/{office}/{what}", json=body, headers=headers)


async def check_in(client: Client, name: str, *, key: str | None = None) -> ClientResponse:
    """
    An officer of Bandung checks a family in by its booking.
    """
    return await act(client, "check-ins", body={"booking_id": booking_id(name)}, key=key)


async def audit_lines(room: Room) -> list[tuple[str, str, str]]:
    """
    Action, subject and reason of every line of the audit log.
    """
    async with room.db.connection() as connection:
        rows = await connection.fetch("SELECT action, subject, reason FROM audit_entry ORDER BY entry_id")
    return [(row["action"], row["subject"], row["reason"]) for row in rows]
