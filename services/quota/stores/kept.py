"""
Connections of a client's pool, kept for whoever asks next.

Called by `stores.valkey`. redis-py's own way from a call to the wire and back costs a decision's
worth of Python each time: turns, locks, events, tries. One at rest is asked and laid back
here. Never asks twice, and never reads a reply that was another's: whoever leaves
before his last reply hangs up.
"""

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Any

from redis.asyncio import ConnectionPool
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ResponseError

from services.quota.stores.wire import Wire


class Kept:
    """
    As many connections as were ever wanted at once, taken from the pool as they are needed and closed with it.
    """

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool
        self._resting: list[Wire] = []

    async def ask(self, *command: str | bytes | float) -> Any:
        """
        One command. Raises what redis-py raises; no answer hangs up.
        """
        (reply,) = await self.ask_together((command,))
        return _or_raise(reply)

    async def ask_together(self, commands: Sequence[Sequence[str | bytes | float]]) -> list[Any]:
        """
        Some commands in one write. Returns a reply of each, an error in its place if that is the reply; else as `ask`.
        """
        wire = await self._take()
        try:
            answer = wire.ask(wire.connection.pack_commands(commands), len(commands))
        except BaseException:
            self._resting.append(wire)
            raise
        return await self._laid_back(wire, answer)

    def begin(self, *command: str | bytes | float) -> Awaitable[Any] | None:
        """
        As `ask`, and on its way before this returns; None where no connection is at rest, and nothing was sent.
        """
        if not self._resting or not self._resting[-1].at_rest:
            return None
        packed = self._resting[-1].connection.pack_command(*command)
        wire = self._resting.pop()
        return self._only_reply(wire, wire.ask(packed, 1))

    async def _only_reply(self, wire: Wire, answer: "asyncio.Future[list[Any]]") -> Any:
        (reply,) = await self._laid_back(wire, answer)
        return _or_raise(reply)

    async def _laid_back(self, wire: Wire, answer: "asyncio.Future[list[Any]]") -> list[Any]:
        try:
            return await answer
        except BaseException:
            wire.hang_up()
            raise
        finally:
            self._resting.append(wire)

    async def _take(self) -> Wire:
        wire = self._resting.pop() if self._resting else Wire(await self._connection())
        if not wire.at_rest:
            try:
                await wire.open()
            except BaseException:
                self._resting.append(wire)
                raise
        return wire

    async def _connection(self) -> AbstractConnection:
        connection: AbstractConnection = await self._pool.get_connection()  # type: ignore[no-untyped-call]  # redis-py leaves it untyped
        return connection


def _or_raise(reply: Any) -> Any:
    if isinstance(reply, ResponseError):
        raise reply
    return reply
