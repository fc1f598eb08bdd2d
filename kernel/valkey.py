"""
The Valkey client as the hot path needs it: no hidden second try, a deadline on every call.

Called by wiring. redis-py tries a timed-out command again by default, which would be
a silent double decision; here it never does. One client per process and node.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from kernel.packing import PackedConnection
from kernel.settings import ValkeySettings

Greet = Callable[[AbstractConnection], Awaitable[None]]
"""Meets a new connection before anything is sent over it; raises if it is not to be used."""


@asynccontextmanager
async def valkey_client(settings: ValkeySettings, greet: Greet | None = None) -> AsyncIterator[Redis]:
    """
    Open a client; replies are bytes. Closed with the context.
    """
    client = client_of(settings.url, settings, greet)
    try:
        yield client
    finally:
        await client.aclose()


def client_of(url: str, settings: ValkeySettings, greet: Greet | None = None) -> Redis:
    """
    A client of the server at `url`, limited as the settings say. Whoever asks for it closes it.
    """
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=settings.connections_max,
        timeout=settings.call_timeout_seconds,
        # Callers have their own deadline. The driver's goes through `asyncio.wait_for`, which on Python 3.11 swallows a
        # cancellation that meets a finished write, and makes a task of every write.
        socket_timeout=None,
        socket_connect_timeout=settings.call_timeout_seconds,
        retry=Retry(NoBackoff(), 0),
        retry_on_error=[],
        redis_connect_func=greet,
        **({"connection_class": PackedConnection} if url.startswith("redis://") else {}),
    )
    return Redis.from_pool(pool)
