"""
A few connections of a client's pool, kept for scripts that are asked for a thousand times a second.

Called by `stores.valkey`. redis-py's own way from a call to the wire and back costs a decision's
worth of Python each time: turns, locks, events, tries. One at rest is looked at, asked and laid
back here. Never asks twice, and never reads a reply that was another's: whoever leaves
before his reply hangs up.
"""

from typing import Any

from redis.asyncio import ConnectionPool
from redis.asyncio.connection import AbstractConnection


class Kept:
    """
    At most `most` connections, taken from the pool as they are needed and closed with it.
    """

    def __init__(self, pool: ConnectionPool, *, most: int) -> None:
        self._pool = pool
        self._may_take = most
        self._resting: list[AbstractConnection] = []

    @property
    def ready(self) -> bool:
        """
        Whether one more may ask now.
        """
        return bool(self._resting) or self._may_take > 0

    async def ask(self, *command: str | bytes | float) -> Any:
        """
        One command while `ready`. Raises what redis-py raises; no answer hangs up.
        """
        connection = await self._take()
        try:
            # Hung up on, or something in it that nobody waits for.
            if not connection.is_connected or await connection.can_read():
                await connection.disconnect(nowait=True)
                await connection.connect()  # type: ignore[no-untyped-call]  # redis-py leaves it untyped
            await connection.send_packed_command(connection.pack_command(*command), check_health=False)
            return await connection.read_response(disable_decoding=True)
        finally:
            self._resting.append(connection)

    async def _take(self) -> AbstractConnection:
        if self._resting:
            return self._resting.pop()
        self._may_take -= 1
        try:
            connection: AbstractConnection = await self._pool.get_connection()  # type: ignore[no-untyped-call]  # likewise
        except BaseException:
            self._may_take += 1
            raise
        return connection
