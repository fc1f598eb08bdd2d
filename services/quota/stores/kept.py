"""
Connections of a client's pool, kept for whoever asks next.

Called by `stores.valkey`. redis-py's own way from a call to the wire and back costs a decision's
worth of Python each time: turns, locks, events, tries. One at rest is looked at, asked and laid
back here. Never asks twice, and never reads a reply that was another's: whoever leaves
before his last reply hangs up.
"""

from collections.abc import Sequence
from typing import Any

from redis.asyncio import ConnectionPool
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ResponseError


class Kept:
    """
    As many connections as were ever wanted at once, taken from the pool as they are needed and closed with it.
    """

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool
        self._resting: list[AbstractConnection] = []

    async def ask(self, *command: str | bytes | float) -> Any:
        """
        One command. Raises what redis-py raises; no answer hangs up.
        """
        connection = await self._take()
        try:
            await _look_at(connection)
            await connection.send_packed_command(connection.pack_command(*command), check_health=False)
            return await connection.read_response(disable_decoding=True)
        finally:
            self._resting.append(connection)

    async def ask_together(self, commands: Sequence[Sequence[str | bytes | float]]) -> list[Any]:
        """
        Some commands in one write. Returns a reply of each, an error in its place if that is the reply; else as `ask`.
        """
        connection = await self._take()
        try:
            await _look_at(connection)
            await connection.send_packed_command(connection.pack_commands(commands), check_health=False)
            return [await _reply_of(connection) for _ in commands]
        except BaseException:
            # Whatever else comes over it is nobody's.
            await connection.disconnect(nowait=True)
            raise
        finally:
            self._resting.append(connection)

    async def _take(self) -> AbstractConnection:
        if self._resting:
            return self._resting.pop()
        connection: AbstractConnection = await self._pool.get_connection()  # type: ignore[no-untyped-call]  # redis-py leaves it untyped
        return connection


async def _look_at(connection: AbstractConnection) -> None:
    """
    Make it anew if it was hung up on, or has something in it that nobody waits for.
    """
    if connection.is_connected and not await connection.can_read():
        return
    await connection.disconnect(nowait=True)
    try:
        await connection.connect()  # type: ignore[no-untyped-call]  # likewise
    except BaseException:
        # Half greeted: what comes over it yet is nobody's.
        await connection.disconnect(nowait=True)
        raise


async def _reply_of(connection: AbstractConnection) -> Any:
    try:
        return await connection.read_response(disable_decoding=True)
    except ResponseError as error:
        return error
