"""
Idempotency-Key on real Postgres: the effect and its answer are one, whatever happens in between.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient

from kernel.http import problem
from kernel.http.application import application
from kernel.http.idempotency import once
from kernel.http.problem import Problem
from kernel.http.route import Route, answer_json
from kernel.postgres import Connection, Database
from kernel.settings import HttpSettings
from tests.integration.kernel_stores import room

Client = TestClient[web.Request, web.Application]
KEY = {"Idempotency-Key": "key-00000001"}


class Works:
    """
    A use case that inserts a row, and can be held up or made to fail on the way.
    """

    def __init__(self, db: Database) -> None:
        self.db = db
        self.hold: asyncio.Event | None = None
        self.entered = asyncio.Event()
        self.fails_with: BaseException | None = None
        self.answer: Callable[[], web.Response] = lambda: answer_json({"effect": 1}, status=201)

    async def handle(self, request: web.Request) -> web.Response:
        """
        The route.
        """
        return await once(request, self.db, scope=f"work:{request.query.get('who', 'me')}", work=self._work)

    async def effects(self) -> int:
        """
        How often it really happened.
        """
        async with self.db.connection() as connection:
            count: int = await connection.fetchval("SELECT count(*) FROM effect")
            return count

    async def _work(self, connection: Connection) -> web.Response:
        await connection.execute("INSERT INTO effect DEFAULT VALUES")
        self.entered.set()
        if self.hold is not None:
            await self.hold.wait()
        if self.fails_with is not None:
            raise self.fails_with
        return self.answer()


@pytest.fixture
async def works(database: str) -> AsyncIterator[Works]:
    async with room(database) as db:
        async with db.connection() as connection:
            await connection.execute("CREATE TABLE effect (id bigint GENERATED ALWAYS AS IDENTITY)")
        yield Works(db)


@pytest.fixture
async def client(works: Works, aiohttp_client: Callable[[web.Application], Awaitable[Client]]) -> Client:
    route = Route(
        method="POST", path="/work", handler=works.handle, summary="", operation="work", answers={}, idempotent=True
    )
    return await aiohttp_client(application((route,), HttpSettings(port=0), authenticator=None))


async def _post(client: Client, body: str = "a", path: str = "/work", **headers: str) -> tuple[int, Any, str | None]:
    async with client.post(path, data=body, headers={**KEY, **headers}) as response:
        text = await response.json(content_type=None) if await response.read() else None
        return response.status, text, response.headers.get("Idempotency-Replayed")


async def test_a_second_try_gets_the_stored_answer_and_has_no_effect(client: Client, works: Works) -> None:
    """
    A lost reply costs nothing but a repeat.
    """
    assert (201, {"effect": 1}, None) == await _post(client)
    works.answer = lambda: answer_json({"effect": 2})

    assert (201, {"effect": 1}, "true") == await _post(client)
    assert 1 == await works.effects()


async def test_an_answer_without_a_body_is_stored_as_well(client: Client, works: Works) -> None:
    """
    204 is an answer, and its effect must not happen twice either.
    """
    works.answer = lambda: web.Response(status=204)

    assert (204, None, None) == await _post(client)
    assert (204, None, "true") == await _post(client)
    assert 1 == await works.effects()


async def test_the_same_key_with_another_body_is_refused(client: Client, works: Works) -> None:
    """
    A key names one request; a mix-up must not look like success.
    """
    await _post(client, "a")
    status, body, _ = await _post(client, "b")

    assert (422, "idempotency_key_reused") == (status, body["code"])
    assert 1 == await works.effects()


async def test_the_same_key_of_another_caller_is_another_key(client: Client, works: Works) -> None:
    """
    Nobody can read or block another's answers by guessing keys.
    """
    await _post(client)

    assert (201, {"effect": 1}, None) == await _post(client, path="/work?who=you")
    assert 2 == await works.effects()


@pytest.mark.parametrize("key", ["", "short", "späße-00001"])
async def test_a_missing_key_is_refused_before_any_effect(client: Client, works: Works, key: str) -> None:
    """
    Without a key a repeat would be a second effect.
    """
    status, body, _ = await _post(client, **{"Idempotency-Key": key})

    assert (400, "idempotency_key_missing") == (status, body["code"])
    assert 0 == await works.effects()


async def test_two_at_once_have_one_effect(client: Client, works: Works) -> None:
    """
    A double click: one works, the other is told to ask again, and then gets the first one's answer.
    """
    works.hold = asyncio.Event()
    first = asyncio.create_task(_post(client))
    await works.entered.wait()
    status, body, _ = await _post(client)
    works.hold.set()

    assert (409, "still_running") == (status, body["code"])
    assert (201, {"effect": 1}, None) == await first
    assert (201, {"effect": 1}, "true") == await _post(client)
    assert 1 == await works.effects()


async def test_a_crash_leaves_neither_effect_nor_answer(client: Client, works: Works) -> None:
    """
    The next try starts from nothing and succeeds.
    """
    works.fails_with = RuntimeError("a fault of ours")
    assert 500 == (await _post(client))[0]
    works.fails_with = None

    assert 0 == await works.effects()
    assert (201, {"effect": 1}, None) == await _post(client)
    assert 1 == await works.effects()


async def test_a_severed_connection_leaves_neither_effect_nor_answer(client: Client, works: Works) -> None:
    """
    Postgres going away before the commit is an unknown outcome for the client, and nothing for the store.
    """
    works.hold = asyncio.Event()
    first = asyncio.create_task(_post(client))
    await works.entered.wait()
    async with works.db.connection() as connection:
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND state = 'idle in transaction'"
        )
    works.hold.set()
    status, body, _ = await first
    works.hold = None

    assert (503, "outcome_unknown") == (status, body["code"])
    assert 0 == await works.effects()
    assert (201, {"effect": 1}, None) == await _post(client)


@pytest.mark.parametrize("raised", [True, False])
async def test_a_refusal_is_not_stored(client: Client, works: Works, *, raised: bool) -> None:
    """
    What is refused today may be allowed tomorrow, under the same key.
    """
    if raised:
        works.fails_with = Problem(problem.NOT_FOUND)
    else:
        works.answer = lambda: answer_json({"code": "not_found"}, status=404)
    assert 404 == (await _post(client))[0]
    assert 0 == await works.effects()
    works.fails_with, works.answer = None, lambda: answer_json({"effect": 1}, status=201)

    assert (201, {"effect": 1}, None) == await _post(client)


async def test_an_answer_and_its_effect_are_committed_together(works: Works, client: Client) -> None:
    """
    While the work runs, no other connection sees either.
    """
    works.hold = asyncio.Event()
    first = asyncio.create_task(_post(client))
    await works.entered.wait()
    async with works.db.connection() as connection:
        seen = await connection.fetchval("SELECT (SELECT count(*) FROM effect) + (SELECT count(*) FROM idempotency)")
    works.hold.set()
    await first

    assert 0 == seen
