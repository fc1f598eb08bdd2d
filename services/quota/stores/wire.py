"""
One connection to Valkey from its socket up: what is asked goes out at once, and what comes back is its asker's.

Called by `stores.kept`. redis-py greets the server; then its connection is taken over, and bytes
go straight to hiredis and to whoever waits: no stream, lock and task between. One call at a
time. Never asks twice, and never gives a reply to anybody but its asker: what comes
unasked hangs up.
"""

import asyncio
from collections.abc import Iterable
from typing import Any, Final, cast

import hiredis
from redis._parsers import BaseParser
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as ValkeyConnectionError
from redis.exceptions import InvalidResponse

_INCOMPLETE: Final = object()


class Wire(asyncio.Protocol):
    """
    A connection of the pool, whoever has it.
    """

    def __init__(self, connection: AbstractConnection) -> None:
        self.connection = connection
        self._transport: asyncio.Transport | None = None
        self._before: asyncio.BaseProtocol | None = None
        self._reader: hiredis.Reader
        self._answer: asyncio.Future[list[Any]] | None = None
        self._replies: list[Any] = []
        self._wanted = 0
        if connection.is_connected:
            self._take_over()

    @property
    def at_rest(self) -> bool:
        """
        Whether it may be asked: it is there, and nothing is in it that somebody waits for.
        """
        return self._transport is not None and self._answer is None and not self._transport.is_closing()

    async def open(self) -> None:
        """
        Make it anew. Raises what redis-py raises.
        """
        self.hang_up()
        await self.connection.disconnect(nowait=True)
        try:
            await self.connection.connect()  # type: ignore[no-untyped-call]  # redis-py leaves it untyped
        except BaseException:
            # Half greeted: what comes over it yet is nobody's.
            await self.connection.disconnect(nowait=True)
            raise
        self._take_over()

    def hang_up(self) -> None:
        """
        Whatever else comes over it is nobody's.
        """
        self._lose(ValkeyConnectionError("hung up"))

    def ask(self, packed: Iterable[bytes], replies: int) -> "asyncio.Future[list[Any]]":
        """
        Send commands, before this returns; so many replies come back, errors in their places.

        Raises `ConnectionError`, also later, when the connection is lost. Whoever lets go of the answer hangs up.
        """
        if not self.at_rest or self._transport is None:
            raise ValkeyConnectionError("this connection is not at rest")
        self._answer = answer = asyncio.get_running_loop().create_future()
        self._replies, self._wanted = [], replies
        self._transport.write(b"".join(packed))
        return answer

    def data_received(self, data: bytes) -> None:
        """
        Replies, or parts of them.
        """
        reader = self._reader
        reader.feed(data)
        try:
            while (reply := reader.gets()) is not _INCOMPLETE:
                if not isinstance(reply, hiredis.PushNotification):
                    self._hear(reply)
        except (ValkeyConnectionError, InvalidResponse) as error:
            self._lose(error)

    def connection_lost(self, exc: Exception | None) -> None:
        """
        The server is gone. redis-py hears it too: it waits for that when it closes.
        """
        if self._before is not None:
            self._before.connection_lost(exc)
        self._lose(ValkeyConnectionError(f"the server hung up: {exc!r}"))

    def _take_over(self) -> None:
        # redis-py has no other way to hand its socket on.
        transport = cast("asyncio.Transport", self.connection._writer.transport)  # type: ignore[union-attr]  # noqa: SLF001  # connected
        self._before = transport.get_protocol()
        transport.set_protocol(self)
        self._transport = transport
        self._reader = hiredis.Reader(
            protocolError=InvalidResponse, replyError=BaseParser.parse_error, notEnoughData=_INCOMPLETE
        )

    def _hear(self, reply: Any) -> None:
        """
        One reply. An error that says nothing about its command (LOADING) is the connection's.
        """
        answer = self._answer
        if answer is None:
            raise ValkeyConnectionError("a reply that nobody waits for")
        if isinstance(reply, ValkeyConnectionError):
            raise reply
        self._replies.append(reply)
        if len(self._replies) == self._wanted:
            self._answer = None
            if answer.done():
                raise ValkeyConnectionError("its asker has gone")
            answer.set_result(self._replies)

    def _lose(self, error: Exception) -> None:
        transport, self._transport = self._transport, None
        answer, self._answer = self._answer, None
        if transport is not None and self._before is not None:
            # What becomes of it is redis-py's to hear: this wire may have its next connection by then.
            transport.set_protocol(self._before)
            transport.abort()
        if answer is not None and not answer.done():
            answer.set_exception(error)
