"""
Booking's door over real HTTP, and the headers of those who knock.

Used by `test_booking_*.py`.
"""

import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from aiohttp.test_utils import TestClient, TestServer
from aiohttp.web import Application, Request

from kernel.auth.authenticator import HeaderAuthenticator
from kernel.auth.tokens import TokenSigner, TokenVerifier, signing_key
from kernel.clock import now_ms
from kernel.http.application import application
from kernel.settings import HttpSettings
from services.booking.routes import ROUTES
from services.booking.routes.keys import BOARD, DATABASE, MOVES
from services.booking.settings import MoveSettings
from services.booking.use_cases.board import OfficeBoard
from tests.integration.booking_room import Room

SIGNER = TokenSigner(signing_key("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", variable="TEST"))
Client = TestClient[Request, Application]


@asynccontextmanager
async def booking_door(room: Room, *, move_wait_seconds: float = 0.1) -> AsyncIterator[Client]:
    """
    A client of the room's API.
    """
    verifier = TokenVerifier(now_ms, jwks=SIGNER.jwks())
    app = application(ROUTES, HttpSettings(port=0), authenticator=HeaderAuthenticator(verifier, now_ms))
    app[DATABASE] = room.db
    app[BOARD] = OfficeBoard(room.db)
    app[MOVES] = MoveSettings(wait_seconds=move_wait_seconds)
    async with TestClient(TestServer(app)) as opened:
        yield opened


def by(account_id: str, *, key: str | None = None, roles: tuple[str, ...] = ()) -> Mapping[str, str]:
    """
    The headers of an account's call.
    """
    token = SIGNER.issue(account_id=account_id, person_ids=(), roles=roles, now_ms=now_ms(), ttl_seconds=60)
    return {"Authorization": f"Bearer {token}", "Idempotency-Key": key or uuid.uuid4().hex}
