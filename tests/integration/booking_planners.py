"""
A door of booking that planners knock at, and short words for what they ask.

Used by `test_booking_windows.py`, `test_booking_resizing.py` and `test_booking_closures.py`.
"""

import datetime as dt
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from aiohttp.test_utils import TestClient, TestServer
from aiohttp.web import Application, Request

from contracts.events import SlotPlanned
from kernel.auth.authenticator import HeaderAuthenticator
from kernel.auth.tokens import TokenSigner, TokenVerifier, signing_key
from kernel.clock import now_ms
from kernel.http.application import application
from kernel.outbox import messages_of
from kernel.postgres import Database
from kernel.settings import HttpSettings
from services.booking.routes import ROUTES
from services.booking.routes.keys import BOARD, DATABASE
from services.booking.use_cases.board import OfficeBoard

SIGNER = TokenSigner(signing_key("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", variable="TEST"))
PLANNER = "acc_planner"


class Planners:
    """
    Staff asking, each call with a key of its own unless one is given.
    """

    def __init__(self, client: TestClient[Request, Application]) -> None:
        self._client = client

    async def ask(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        *,
        roles: tuple[str, ...] = ("planner",),
        key: str | None = None,
    ) -> tuple[int, dict[str, Any]]:
        """
        The status and the answer.
        """
        token = SIGNER.issue(account_id=PLANNER, person_ids=(), roles=roles, now_ms=now_ms(), ttl_seconds=60)
        headers = {
            "Authorization": f"Bearer {token}",
            "Idempotency-Key": key or uuid.uuid4().hex,
            "Accept-Language": "en",
        }
        response = await self._client.request(method, path, json=body, headers=headers)
        answer: dict[str, Any] = await response.json()
        return response.status, answer


@asynccontextmanager
async def planners_at(db: Database) -> AsyncIterator[Planners]:
    """
    Booking's own routes on a database.
    """
    verifier = TokenVerifier(now_ms, jwks=SIGNER.jwks())
    app = application(ROUTES, HttpSettings(port=0), authenticator=HeaderAuthenticator(verifier, now_ms))
    app[DATABASE] = db
    app[BOARD] = OfficeBoard(db)
    async with TestClient(TestServer(app)) as client:
        yield Planners(client)


async def plans_told(db: Database) -> list[SlotPlanned]:
    """
    Every plan that was told, in order.
    """
    async with db.connection() as connection:
        rows = await connection.fetch("SELECT * FROM outbox WHERE topic = 'booking.slots' ORDER BY id")
    return [msgspec.json.decode(message.body, type=SlotPlanned) for row in rows for message in messages_of(row)]


async def deeds(db: Database) -> list[tuple[str, str, str]]:
    """
    The audit log: actor, action, reason.
    """
    async with db.connection() as connection:
        rows = await connection.fetch("SELECT actor, action, reason FROM audit_entry ORDER BY entry_id")
    return [(row["actor"], row["action"], row["reason"]) for row in rows]


async def today_at(db: Database, timezone: str) -> dt.date:
    """
    The day at an office, by Postgres.
    """
    async with db.connection() as connection:
        day: dt.date = await connection.fetchval("SELECT (clock_timestamp() AT TIME ZONE $1)::date", timezone)
        return day
