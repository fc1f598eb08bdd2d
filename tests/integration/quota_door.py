"""
Quota's door as `app.py` wires it, and a client that knocks on it with passes.
"""

from typing import Any

from aiohttp import web

from kernel.auth.authenticator import HeaderAuthenticator
from kernel.auth.passes import PassKeys
from kernel.auth.tokens import TokenVerifier
from kernel.clock import now_ms
from kernel.http.application import application
from kernel.settings import HttpSettings
from services.quota import routes
from services.quota.domain.gate import Gate
from services.quota.domain.limit import Limit
from services.quota.stores.batching import BatchingDecider
from services.quota.use_cases.availability import Availability
from services.quota.use_cases.reservations import Reservations
from services.quota.use_cases.streaming import Streams
from tests.integration.quota_room import HOUR_MS, SLOT, Room

KEYS = PassKeys({"k1": bytes(32)})


class Api:
    """
    A client of the room's door.
    """

    def __init__(self, client: Any, room: Room, work: BatchingDecider) -> None:
        self.client, self.room, self.work = client, room, work

    async def reserve(self, slot_id: str = SLOT, *, who: str = "1", persons: int = 1, **headers: str) -> Any:
        """
        Ask as account `who` with its first `persons` persons.
        """
        body = {"slot_id": slot_id, "person_ids": [f"per_{who}{number}" for number in range(persons)]}
        return await self.client.post("/v1/reservations", json=body, headers=self.headers(who, **headers))

    def headers(self, who: str = "1", *, key: str = "key-00000001", language: str = "en") -> dict[str, str]:
        """
        Of account `who`, which has five persons.
        """
        persons = tuple(f"per_{who}{number}" for number in range(5))
        token = KEYS.issue(account_id=f"acc_{who}", person_ids=persons, expires_at_ms=now_ms() + HOUR_MS)
        return {"Authorization": f"Pass {token}", "Idempotency-Key": key, "Accept-Language": language}


async def served(
    room: Room,
    *,
    limit: Limit | None = None,
    decide_deadline_seconds: float = 5.0,
    request_deadline_seconds: float = 10.0,
    stream_listeners_max: int = 200,
    stream_beat_seconds: float = 15.0,
    stream_write_seconds: float = 5.0,
) -> tuple[web.Application, BatchingDecider]:
    """
    The application as `app.py` wires it.
    """
    catalogue, gate = room.catalogue(), Gate()
    decider = room.batching(gate=gate, wait_max_seconds=decide_deadline_seconds, limit=limit)
    await catalogue.load()
    app = application(
        routes.ROUTES,
        HttpSettings(port=0, request_deadline_seconds=request_deadline_seconds),
        authenticator=HeaderAuthenticator(TokenVerifier(now_ms), now_ms, KEYS),
    )
    app[routes.CATALOGUE] = catalogue
    app[routes.SOLD_OUT_ANSWERS] = routes.SoldOutAnswers()
    app[routes.HOLDS] = room.holds
    app[routes.AVAILABILITY] = availability = Availability(catalogue, room.free)
    app[routes.STREAMS] = streams = Streams(
        availability,
        listeners_max=stream_listeners_max,
        listeners_per_office_max=stream_listeners_max,
        beat_seconds=stream_beat_seconds,
    )
    app[routes.STREAM_WRITE_SECONDS] = stream_write_seconds
    app.on_shutdown.append(streams.close)
    app[routes.RESERVATIONS] = Reservations(decider, gate, catalogue, room.free)
    return app, decider


async def refused(response: Any) -> tuple[int, str, dict[str, Any]]:
    body = await response.json(content_type="application/problem+json")
    return response.status, body["code"], body
