"""
Several workers on one port, as `python -m services.quota api --workers 2` starts them.
"""

import asyncio
import base64
import dataclasses
import json
import os
import re
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from kernel.auth.passes import PassKeys
from kernel.auth.tokens import TokenSigner, signing_key
from kernel.clock import now_ms
from ops.ports import free_port, is_free
from tests.integration.quota_room import HOUR_MS, SLOT, plan, room_of

Eventually = Callable[..., Awaitable[Any]]
SEED = base64.b64encode(bytes(32)).decode()
KEYS = PassKeys({"k1": bytes(32)})
WORKERS = 2
START_SECONDS = 40.0


@dataclasses.dataclass(slots=True)
class Workers:
    """
    The leader under test, and what it and its workers have said.
    """

    leader: asyncio.subprocess.Process
    http: str
    admin_ports: list[int]
    said: list[dict[str, Any]] = dataclasses.field(default_factory=list)

    async def listen(self) -> None:
        """
        Every line is one fact as JSON.
        """
        assert self.leader.stdout is not None
        async for line in self.leader.stdout:
            self.said.append(json.loads(line))

    def pids(self, number: int) -> list[int]:
        """
        All the processes a worker has been, the present one last.
        """
        name = f"quota-api-{number}"
        return [fact["pid"] for fact in self.said if fact["event"] == "started" and fact["process"] == name]

    async def ready(self) -> bool:
        """
        Whether every worker's readiness says yes.
        """
        return all([200 == (await self._admin(port, "readyz"))[0] for port in self.admin_ports])

    async def draining(self) -> bool:
        """
        Whether every worker has heard that it is to end.
        """
        return all(["draining" in (await self._admin(port, "readyz"))[1] for port in self.admin_ports])

    async def metric(self, name: str) -> list[float]:
        """
        What each worker's own registry says.
        """
        shown = [(await self._admin(port, "metrics"))[1] for port in self.admin_ports]
        return [sum(map(float, re.findall(rf"^{name}(?:{{[^}}]*}})? (\S+)$", text, re.MULTILINE))) for text in shown]

    async def _admin(self, port: int, path: str) -> tuple[int, str]:
        try:
            async with aiohttp.request("GET", f"http://127.0.0.1:{port}/{path}") as answer:
                return answer.status, await answer.text()
        except aiohttp.ClientError:
            return 0, ""

    async def reserve(self, number: int) -> int:
        """
        A place for a person of its own, over a connection of its own, which the kernel gives to some worker.
        """
        account, person = f"acc_{number:032x}", f"per_{number:032x}"
        token = KEYS.issue(account_id=account, person_ids=(person,), expires_at_ms=now_ms() + HOUR_MS)
        headers = {"Authorization": f"Pass {token}", "Idempotency-Key": f"key-{number:08}"}
        body = {"slot_id": SLOT, "person_ids": [person]}
        async with aiohttp.request("POST", f"{self.http}/v1/reservations", json=body, headers=headers) as answer:
            await answer.read()
            return answer.status

    async def reserve_many(self, numbers: range) -> set[int]:
        """
        The statuses of many at once.
        """
        return set(await asyncio.gather(*map(self.reserve, numbers)))


@pytest.fixture
async def jwks() -> AsyncIterator[str]:
    """
    Where identity would publish its keys.
    """
    signer = TokenSigner(signing_key(SEED, variable="JWT_SIGNING_KEY"))

    async def answer(_: web.Request) -> web.Response:
        return web.json_response(signer.jwks())

    app = web.Application()
    app.router.add_get("/jwks.json", answer)
    async with TestServer(app) as server:
        yield str(server.make_url("/jwks.json"))


def _first_of_free_ports(count: int) -> int:
    """
    One to answer on, then one for each worker's probes.
    """
    while True:
        first = free_port(set())
        if all(is_free(port) for port in range(first, first + count)):
            return first


@pytest.fixture
async def workers(stores: Any, valkey: Any, jwks: str) -> AsyncIterator[Workers]:
    """
    Two workers and a slot of 500 places.
    """
    await room_of(valkey).holds.apply([plan(capacity=500)])
    first = _first_of_free_ports(WORKERS + 1)
    leader = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services.quota", "api", "--workers", str(WORKERS)),
        env={
            **os.environ,
            "HTTP_PORT": str(first),
            "ADMIN_PORT": str(first + 1),
            "VALKEY_URL": stores.valkey_url,
            "VALKEY_CALL_TIMEOUT_SECONDS": "20",
            "HTTP_DEADLINE_SECONDS": "20",
            "QUOTA_DECIDE_DEADLINE_SECONDS": "20",
            # Whatever has been sent when the signal comes is taken before listening stops.
            "DRAIN_NOTICE_SECONDS": "1",
            "PASS_KEYS": f"k1:{SEED}",
            "JWKS_URL": jwks,
        },
        stdout=asyncio.subprocess.PIPE,
    )
    opened = Workers(leader, f"http://127.0.0.1:{first}", [first + 1 + at for at in range(WORKERS)])
    listening = asyncio.ensure_future(opened.listen())
    try:
        yield opened
    finally:
        if leader.returncode is None:
            # Its workers drain by themselves when it is gone.
            leader.kill()
        await leader.wait()
        await asyncio.wait_for(listening, START_SECONDS)


async def test_two_workers_share_a_port_one_is_replaced_and_both_drain(
    workers: Workers, valkey: Any, eventually: Eventually
) -> None:
    """
    Both answer; one that is killed is replaced and nothing is lost afterwards; SIGTERM lets both finish what they took.
    """
    await eventually(workers.ready, within_seconds=START_SECONDS)
    both_asked = await workers.reserve_many(range(100))
    shared = await workers.metric("http_requests_total")

    os.kill(workers.pids(1)[-1], signal.SIGKILL)
    await eventually(lambda: 2 == len(workers.pids(1)), within_seconds=START_SECONDS)
    await eventually(workers.ready, within_seconds=START_SECONDS)
    replaced = await workers.reserve_many(range(100, 200))
    again = await workers.metric("http_requests_total")

    await valkey.execute_command("CLIENT", "PAUSE", 15000, "WRITE")
    waiting = asyncio.ensure_future(workers.reserve_many(range(200, 240)))

    async def both_at_work() -> bool:
        return all(underway > 0 for underway in await workers.metric("quota_decisions_underway"))

    await eventually(both_at_work)
    told_at = time.monotonic()
    workers.leader.send_signal(signal.SIGTERM)
    await eventually(workers.draining)
    await valkey.execute_command("CLIENT", "UNPAUSE")
    finished, code = await asyncio.gather(waiting, workers.leader.wait())

    assert ({201}, {201}, {201}) == (both_asked, replaced, finished)
    assert all(answers > 0 for answers in shared)
    assert 100 == sum(shared)
    assert all(answers > 0 for answers in again)
    assert 1 == len(workers.pids(2))
    assert 0 == code
    assert time.monotonic() - told_at < 10


async def test_workers_drain_when_their_leader_is_killed(workers: Workers, eventually: Eventually) -> None:
    """
    Nobody is left on the port whom nobody looks after.
    """
    await eventually(workers.ready, within_seconds=START_SECONDS)
    workers.leader.kill()
    await workers.leader.wait()

    def all_stopped() -> bool:
        return WORKERS == sum(fact["event"] == "stopped" and not fact["failed"] for fact in workers.said)

    await eventually(all_stopped)


async def test_what_no_crew_can_be_is_refused() -> None:
    """
    One sentence naming what is wrong, and exit code 2, before anything starts.
    """
    given = {"HTTP_PORT": "18100", "ADMIN_PORT": "18200", "VALKEY_URL": "redis://127.0.0.1:1", "JWKS_URL": "http://x"}
    leader = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services.quota", "api", "--workers", "65"),
        env={**os.environ, **given, "PASS_KEYS": f"k1:{SEED}"},
        stderr=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    output, errors = await asyncio.wait_for(leader.communicate(), START_SECONDS)

    assert 2 == leader.returncode
    assert "--workers must be 1..64, got 65" in errors.decode()
    assert b"" == output
