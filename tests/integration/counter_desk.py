"""
Booking's door with officers and citizens in front of it, and a quota that answers wishes as it is told.

Used by the tests of the counter and of the waitlist.
"""

import asyncio
import dataclasses
import datetime as dt
import json
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient, TestServer
from aiohttp.web import Application, Request

from contracts.envelope import Envelope
from contracts.events import PlacesRefused, ReservationHeld, ReservationReleased, SlotApplied
from kernel.auth.authenticator import HeaderAuthenticator
from kernel.auth.tokens import TokenSigner, TokenVerifier, signing_key
from kernel.clock import now_ms
from kernel.http.application import application
from kernel.settings import HttpSettings
from services.booking.routes import ROUTES
from services.booking.routes.keys import BOARD, COUNTER, DATABASE
from services.booking.settings import CounterSettings
from services.booking.stores import offices as office_store
from services.booking.use_cases.board import OfficeBoard
from tests.integration.booking_room import Room

SIGNER = TokenSigner(signing_key("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", variable="TEST"))
Client = TestClient[Request, Application]
LINE = 11
"""The partition quota's answers are numbered in."""


@dataclasses.dataclass
class Desk:
    """
    A room with its door open, and quota on the other side.
    """

    room: Room
    client: Client
    seq: int = 0

    async def post(
        self,
        path: str,
        body: Mapping[str, Any],
        *,
        account: str = "acc_officer",
        roles: Sequence[str] = ("officer:bandung",),
        persons: Sequence[str] = (),
        key: str | None = None,
    ) -> ClientResponse:
        """
        A POST by somebody.
        """
        headers = by(account, roles=roles, persons=persons) | {"Idempotency-Key": key or uuid.uuid4().hex}
        return await self.client.post(path, json=body, headers=headers)

    async def wishes(self) -> list[dict[str, Any]]:
        """
        What quota has been asked for, in order, as the events say it.
        """
        return [json.loads(body) for kind, body in await self.room.said() if kind == "booking.places_wanted.v1"]

    async def wish(self, number: int = 0) -> dict[str, Any]:
        """
        The wish of that number, as soon as it is told.
        """
        async with asyncio.timeout(10):
            while True:
                wishes = await self.wishes()
                if len(wishes) > number:
                    return wishes[number]
                await asyncio.sleep(0)

    def gives(self, wish: Mapping[str, Any], *, seats: Sequence[int] = (1,)) -> Envelope:
        """
        Quota says: had, in the first slot that was named.
        """
        return self._say(
            ReservationHeld,
            slot_id=wish["slot_ids"][0],
            reservation_id=wish["booking_id"],
            account_id=wish["account_id"],
            person_ids=tuple(wish["person_ids"]),
            seats=tuple(seats),
            pay_by_ms=wish["pay_by_ms"],
        )

    def refuses(self, wish: Mapping[str, Any], *, reason: str = "sold_out") -> Envelope:
        """
        Quota says: no.
        """
        return self._say(
            PlacesRefused,
            slot_id=wish["slot_ids"][-1],
            reservation_id=wish["booking_id"],
            account_id=wish["account_id"],
            reason=reason,
        )

    def releases(
        self, booking_id: str, *, slot_id: str, seats: Sequence[int] = (1,), partition: int | None = None
    ) -> Envelope:
        """
        Quota says: these places are free again. In a partition of its own it is the first decision there.
        """
        said = self._say if partition is None else partial(_first_of, partition)
        return said(
            ReservationReleased, slot_id=slot_id, reservation_id=booking_id, seats=tuple(seats), reason="expired"
        )

    def applies(self, slot_id: str, *, free: int) -> Envelope:
        """
        Quota says: the slot is as planned now, with so many free.
        """
        return self._say(
            SlotApplied, slot_id=slot_id, version=2, capacity=99, free=free, held=0, confirmed=0, withheld=0
        )

    def _say(self, kind: Any, **members: Any) -> Envelope:
        self.seq += 1
        return _decision(kind, partition=LINE, seq=self.seq, **members)

    async def plan_today(self) -> dt.date:
        """
        Give the offices a working day that is today and lasts until midnight, whatever the weekday. Returns it.
        """
        async with self.room.db.transaction() as connection:
            now = await office_store.read_now(connection)
            day: dt.date = await connection.fetchval(
                "SELECT (clock_timestamp() AT TIME ZONE timezone)::date FROM office WHERE office_id = 'bandung'"
            )
            # The real plan of a coming day, moved to today: its morning is over, the rest lasts until midnight.
            await connection.execute(
                """
                INSERT INTO slot (slot_id, office_id, office_name, city, province, timezone, date, session, starts_at,
                    ends_at, service, channel, capacity, window_id, opens_at, closes_at, next_opens_at, pay_seconds)
                SELECT concat_ws('.', office_id, to_char($1::date, 'YYYYMMDD'), session, service, channel),
                    office_id, office_name, city, province, timezone, $1, session,
                    $2::timestamptz - CASE session WHEN 'afternoon' THEN interval '1 hour' ELSE interval '2 hours' END,
                    CASE session WHEN 'morning' THEN $2 - interval '1 second'
                        ELSE ($1 + 1)::timestamp AT TIME ZONE timezone END,
                    service, channel, capacity, window_id, opens_at, closes_at, next_opens_at, pay_seconds
                FROM slot WHERE office_id = 'bandung' AND date = (SELECT min(date) FROM slot WHERE date > $1)
                """,
                day,
                now,
            )
        return day


def _first_of(partition: int, kind: Any, **members: Any) -> Envelope:
    return _decision(kind, partition=partition, seq=1, **members)


def _decision(kind: Any, *, partition: int, seq: int, **members: Any) -> Envelope:
    event = kind(partition=partition, epoch=1, seq=seq, at_ms=now_ms(), **members)
    return Envelope(event_id=f"q{partition}:1:{seq}", event=event)


def by(account_id: str, *, roles: Sequence[str] = (), persons: Sequence[str] = ()) -> dict[str, str]:
    """
    The headers of somebody's call.
    """
    token = SIGNER.issue(
        account_id=account_id, person_ids=tuple(persons), roles=tuple(roles), now_ms=now_ms(), ttl_seconds=60
    )
    return {"Authorization": f"Bearer {token}"}


@asynccontextmanager
async def counter_desk(room: Room, settings: CounterSettings) -> AsyncIterator[Desk]:
    """
    Open the door.
    """
    verifier = TokenVerifier(now_ms, jwks=SIGNER.jwks())
    app = application(ROUTES, HttpSettings(port=0), authenticator=HeaderAuthenticator(verifier, now_ms))
    app[DATABASE] = room.db
    app[BOARD] = OfficeBoard(room.db)
    app[COUNTER] = settings
    async with TestClient(TestServer(app)) as client:
        yield Desk(room=room, client=client)
