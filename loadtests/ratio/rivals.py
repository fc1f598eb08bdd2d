"""
What ours is compared with: three small aiohttp servers as one would write them in an afternoon.

    python -m loadtests.ratio.rivals bare|redis-py|row-lock --port 8000

`bare` reads the body and answers; `redis-py` decrements with one EVALSHA per request through
redis-py's pool; `row-lock` takes a row lock and records the hold. Each does its one thing
well and has none of our rules. Served the way our workers are: uvloop, no access log.
"""

import argparse
import asyncio
import uuid
from collections.abc import AsyncIterator
from typing import Any, Final

import asyncpg
import msgspec
import uvloop
from aiohttp import web
from redis.asyncio import BlockingConnectionPool, Redis

from loadtests.ratio.client import LOCAL

BACKLOG: Final = 4096
POSTGRES_CONNECTIONS: Final = 16
VALKEY_CONNECTIONS: Final = 32
CALL_SECONDS: Final = 5.0
PLAIN_KEY: Final = "plain:{slot_id}"
TAKE: Final = """
local free = tonumber(redis.call("GET", KEYS[1]))
if not free or free < 1 then return -1 end
return redis.call("DECR", KEYS[1])
"""
SCHEMA: Final = """
CREATE TABLE plain_slot (slot_id text PRIMARY KEY, free int NOT NULL CHECK (free >= 0));
CREATE TABLE plain_hold (hold_id uuid PRIMARY KEY, slot_id text NOT NULL REFERENCES plain_slot, person_id text NOT NULL)
"""
LOCK_AND_HOLD: Final = """
WITH taken AS (UPDATE plain_slot SET free = free - 1 WHERE slot_id = $1 AND free > 0 RETURNING slot_id)
INSERT INTO plain_hold (hold_id, slot_id, person_id) SELECT $2::uuid, slot_id, $3::text FROM taken RETURNING hold_id
"""
REDIS: Final = web.AppKey("redis", Redis)
POSTGRES: Final = web.AppKey("postgres", asyncpg.Pool)
SHA: Final = web.AppKey("sha", str)
URL: Final = web.AppKey("url", str)
_BODY: Final = msgspec.json.encode({"reservation_id": "rsv_" + 32 * "0", "seats": [1], "state": "held"})


class _Wish(msgspec.Struct):
    slot_id: str
    person_ids: tuple[str, ...]


_wish = msgspec.json.Decoder(_Wish)


def _answer(*, held: bool) -> web.Response:
    return web.Response(status=201 if held else 409, body=_BODY, content_type="application/json")


async def answer_bare(request: web.Request) -> web.Response:
    """
    The least an aiohttp server can do with a POST.
    """
    await request.read()
    return _answer(held=True)


async def take_with_redis(request: web.Request) -> web.Response:
    """
    One call to the server per request.
    """
    wish = _wish.decode(await request.read())
    left = await request.app[REDIS].evalsha(request.app[SHA], 1, PLAIN_KEY.format(slot_id=wish.slot_id))
    return _answer(held=int(left) >= 0)


async def take_with_postgres(request: web.Request) -> web.Response:
    """
    Lock the slot's row, count down and record in one transaction of one round trip.
    """
    wish = _wish.decode(await request.read())
    held = await request.app[POSTGRES].fetchval(LOCK_AND_HOLD, wish.slot_id, uuid.uuid4(), wish.person_ids[0])
    return _answer(held=held is not None)


async def _redis(app: web.Application) -> AsyncIterator[None]:
    pool = BlockingConnectionPool.from_url(
        app[URL], max_connections=VALKEY_CONNECTIONS, timeout=CALL_SECONDS, socket_timeout=CALL_SECONDS
    )
    app[REDIS] = Redis.from_pool(pool)
    app[SHA] = await app[REDIS].script_load(TAKE)
    yield
    await app[REDIS].aclose()


async def _postgres(app: web.Application) -> AsyncIterator[None]:
    app[POSTGRES] = await asyncpg.create_pool(
        app[URL], min_size=POSTGRES_CONNECTIONS, max_size=POSTGRES_CONNECTIONS, command_timeout=CALL_SECONDS
    )
    yield
    await app[POSTGRES].close()


RIVALS: Final[dict[str, tuple[Any, Any]]] = {
    "bare": (answer_bare, None),
    "redis-py": (take_with_redis, _redis),
    "row-lock": (take_with_postgres, _postgres),
}
"""Handler, and what it needs opened."""


async def _ready(_: web.Request) -> web.Response:
    return web.Response()


async def _serve(name: str, port: int, url: str) -> None:
    handler, opens = RIVALS[name]
    app = web.Application()
    app[URL] = url
    app.router.add_post("/v1/reservations", handler)
    app.router.add_get("/readyz", _ready)
    if opens is not None:
        app.cleanup_ctx.append(opens)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, LOCAL, port, backlog=BACKLOG).start()
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()


def main() -> None:
    """
    Read the command line and be that rival until told to stop.
    """
    parser = argparse.ArgumentParser(description="A small server to compare with, on 127.0.0.1.")
    parser.add_argument("name", choices=RIVALS)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--url", default="", help="of the store")
    given = parser.parse_args()
    uvloop.run(_serve(given.name, given.port, given.url))


if __name__ == "__main__":
    main()
