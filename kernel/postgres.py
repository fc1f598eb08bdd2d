"""
The Postgres pool, with a deadline on getting a connection and on every statement.

Called by wiring and, through `Database`, by stores. Statements come from
`kernel.sql`. Every session works in its room's schema and sees no other's names.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from kernel.errors import DeadlineExceeded, Retryable
from kernel.settings import PostgresSettings

if TYPE_CHECKING:
    Connection = PoolConnectionProxy[Any] | asyncpg.Connection[Any]
else:
    # Generic in asyncpg's type files alone; at run time neither class can be subscripted.
    Connection = PoolConnectionProxy | asyncpg.Connection

CLOSE_TIMEOUT_SECONDS = 3.0
_UNAVAILABLE = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # the driver's word for a session that breaks off in the middle of an answer
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
    asyncpg.LockNotAvailableError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
)


class Database:
    """
    A room's window on Postgres.
    """

    def __init__(self, pool: "asyncpg.Pool[Any]", settings: PostgresSettings, schema: str) -> None:
        self._pool = pool
        self._settings = settings
        self.schema = schema

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """
        A connection outside a transaction. Raises `Retryable` when the server cannot be reached.
        """
        try:
            async with self._pool.acquire(timeout=self._settings.acquire_timeout_seconds) as connection:
                yield connection
        except TimeoutError as error:
            raise DeadlineExceeded("no answer from Postgres in time") from error
        except _UNAVAILABLE as error:
            raise Retryable(f"Postgres: {type(error).__name__}: {error}") from error

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """
        A connection inside one transaction: all of it, or nothing.
        """
        async with self.connection() as connection, connection.transaction():
            yield connection

    async def ping(self) -> None:
        """
        Raise unless Postgres answers.
        """
        async with self.connection() as connection:
            await connection.execute("SELECT 1")


async def _stateless(_: Any) -> None:
    # Sessions keep no state of their own, so the reset query per release is saved.
    return


@asynccontextmanager
async def database(settings: PostgresSettings, *, schema: str) -> AsyncIterator[Database]:
    """
    Open a pool whose sessions live in `schema`. Raises `Retryable` when Postgres cannot be reached.
    """
    try:
        pool = await asyncpg.create_pool(
            settings.url,
            min_size=1,
            max_size=settings.connections_max,
            command_timeout=settings.command_timeout_seconds,
            timeout=settings.acquire_timeout_seconds,
            reset=_stateless,
            server_settings={"search_path": schema, "application_name": f"antrean-{schema}"},
        )
    except (*_UNAVAILABLE, TimeoutError) as error:
        raise Retryable(f"Postgres: {type(error).__name__}: {error}") from error
    try:
        yield Database(pool, settings, schema)
    finally:
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_SECONDS):
                await pool.close()
        except TimeoutError:
            pool.terminate()
