"""
The quickest way to answer: from the bytes of a request to those of its answer without a task and a coroutine.

A hot route may have such a way beside its handler. It looks at a request that has come whole, and
says its answer, or what it waits for, or that it does not know: then the handler is asked as
if nothing had been. So it must be safe to begin a request twice. Called by `kernel.http.door`
for every connection; the table is put together by `kernel.http.application`.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, Final, NamedTuple

from aiohttp import HttpVersion11, StreamReader, hdrs, web
from multidict import CIMultiDictProxy

from kernel.http.spoken import Spoken

BODY_BYTES_MAX: Final = 8192
"""Larger bodies are the handler's."""


class Pending(NamedTuple):
    """
    What an answer waits for, and how it is said then; None: the handler has to say it.
    """

    answer: "asyncio.Future[Any]"
    spell: "Callable[[asyncio.Future[Any]], Spoken | None]"


Begun = Spoken | Pending | None
Begin = Callable[[CIMultiDictProxy[str], bytes], Begun]
QUICK_WAYS: Final = web.AppKey("quick_ways", dict[str, Begin])
"""By raw path; only for POST."""


def begun(ways: dict[str, Begin], message: Any, payload: object) -> Begun:
    """
    What becomes of a request that may go the quick way; None if it may not, or if it could not be read.
    """
    begin = ways.get(getattr(message, "path", ""))
    if begin is None or not isinstance(payload, StreamReader):
        return None
    if message.method != hdrs.METH_POST or message.version != HttpVersion11:
        return None
    if message.should_close or message.upgrade or message.compression or hdrs.EXPECT in message.headers:
        return None
    body = _whole(payload)
    return None if body is None else begin(message.headers, body)


def _whole(payload: StreamReader) -> bytes | None:
    """
    The body without taking it: the handler may want it yet.
    """
    if not payload.is_eof() or payload.exception() is not None:
        return None
    chunks = payload._buffer  # noqa: SLF001 - there is no way to look without taking
    if len(chunks) != 1 or len(chunks[0]) > BODY_BYTES_MAX:
        return None
    return bytes(chunks[0])


class QuickConnection(web.RequestHandler):
    """
    aiohttp's protocol with a quick way past its task, for requests that come whole to a connection at rest.

    It touches what the base keeps to itself: the queue of messages, and the future its task waits for.
    """

    __slots__ = ("_quick_ways", "_taken")

    def __init__(self, manager: web.Server, *, loop: asyncio.AbstractEventLoop, **options: Any) -> None:
        super().__init__(manager, loop=loop, **options)
        self._quick_ways: dict[str, Begin] = {}
        self._taken = False

    def _read(self, data: bytes) -> None:
        """
        A request that comes whole to a connection at rest may go the quick way; all others go aiohttp's.
        """
        waiter = self._waiter
        at_rest = waiter is not None and not waiter.done() and not self._messages
        if not self._quick_ways or not (at_rest or self._taken):
            web.RequestHandler.data_received(self, data)
            return
        # Unseen, the waiter does not wake aiohttp's task, which waits for the next request.
        self._waiter = None
        try:
            web.RequestHandler.data_received(self, data)
        finally:
            self._waiter = waiter
        if self._messages and not self._taken and not self._goes_quickly():
            self._wake()

    def _goes_quickly(self) -> bool:
        if len(self._messages) != 1 or self.writing_paused or self._upgraded or self._close or self._force_close:
            return False
        taken = begun(self._quick_ways, *self._messages[0])
        if taken is None:
            return False
        # A plain class first: Spoken is an abstract one's child, which are slow to recognize.
        if isinstance(taken, Pending):
            # The drain waits for it, as for any request.
            self._taken = self._request_in_progress = True
            taken.answer.add_done_callback(partial(self._decided, taken.spell))
        else:
            self._say(taken)
        return True

    def _decided(self, spell: "Callable[[asyncio.Future[Any]], Spoken | None]", answer: "asyncio.Future[Any]") -> None:
        spoken = spell(answer)
        self._taken = self._request_in_progress = False
        if self.transport is not None and spoken is not None:
            self._say(spoken)
        if self._handler_waiter is not None and not self._handler_waiter.done():
            self._handler_waiter.set_result(None)
        if self._messages:
            self._wake()

    def _say(self, spoken: Spoken) -> None:
        """
        The answer to the request at the head of the queue, and what aiohttp's task would do after it.
        """
        self._messages.popleft()
        manager, parser, transport = self._manager, self._parser, self.transport
        if manager is None or parser is None or transport is None:
            return
        parser.message_consumed()
        manager.requests_count += 1
        transport.write(spoken.spelled(keep_alive=not (self._close or self._force_close)))
        self._keepalive = True
        self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
        if self._keepalive_handle is None:
            self._keepalive_handle = self._loop.call_at(self._next_keepalive_close_time, self._process_keepalive)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
