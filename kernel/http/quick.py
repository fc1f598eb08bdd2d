"""
The quickest way to answer: from the bytes of a request to those of its answer without parser, task and coroutine.

A hot route may have such a way beside its handler. It looks at a request of the plain shape that has come whole,
and says its answer at once, or later, or that it does not know: then the framework is given the bytes as
if nothing had been. So it must be safe to begin a request twice. Called by `kernel.http.door`
for every connection; the table is put together by `kernel.http.application`.
"""

import asyncio
import enum
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, Literal

from aiohttp import web

from kernel.http import shape
from kernel.http.spoken import Spoken


class Later(enum.Enum):
    """
    The answer is not known yet; it will be told.
    """

    LATER = enum.auto()


LATER: Final = Later.LATER
Begun = Spoken | Literal[Later.LATER] | None
Tell = Callable[[Spoken | None], None]
"""Takes an answer, once; None: the handler has to say it."""
Begin = Callable[[Mapping[str, str], bytes, Tell], Begun]
"""Takes headers by name in small letters, the body, and whom to tell what is said later."""
QUICK_WAYS: Final = web.AppKey("quick_ways", dict[bytes, Begin])
"""By raw path; only for POST."""


def begun(ways: Mapping[bytes, Begin], data: bytes, tell: Tell) -> Begun:
    """
    What becomes of a request that may go the quick way; None if it may not.
    """
    begin = ways.get(shape.path_of(data))
    if begin is None:
        return None
    request = shape.plain(data)
    return None if request is None else begin(request.headers, request.body, tell)


class QuickConnection(web.RequestHandler):
    """
    aiohttp's protocol with a quick way past its parser and its task, for plain requests to a connection at rest.

    At rest: aiohttp's task waits for a request, and its parser stands between two of them. What comes while a request
    is on the quick way waits until that is answered.
    """

    __slots__ = ("_behind", "_quick_ways", "_rest", "_taken")

    def __init__(self, manager: web.Server, *, loop: asyncio.AbstractEventLoop, **options: Any) -> None:
        super().__init__(manager, loop=loop, **options)
        self._quick_ways: dict[bytes, Begin] = {}
        self._rest = 0
        """How many bytes of its request aiohttp's parser still lacks; `shape.UNKNOWN` is for good."""
        self._taken: bytes | None = None
        """The request that is on the quick way."""
        self._behind = b""

    def _read(self, data: bytes) -> None:
        if self._taken is not None:
            self._wait_behind(data)
        elif not (self._quick_ways and data and self._at_rest() and self._goes_quickly(data)):
            self._hand_over(data)

    def _at_rest(self) -> bool:
        waiter = self._waiter
        return (
            self._rest == 0
            and waiter is not None
            and not waiter.done()
            and not (self._messages or self._close or self._force_close or self.writing_paused or self._upgraded)
        )

    def _hand_over(self, data: bytes) -> None:
        """
        To aiohttp, remembering where its parser will stand.
        """
        if self._rest == 0 and data:
            self._rest = shape.rest_of(data)
        elif self._rest > 0:
            # More than was lacking: where the next request ends only the parser knows.
            self._rest = max(shape.UNKNOWN, self._rest - len(data))
        web.RequestHandler.data_received(self, data)

    def _goes_quickly(self, data: bytes) -> bool:
        taken = begun(self._quick_ways, data, partial(self._decided, data))
        if taken is None:
            return False
        self._request_count += 1
        if taken is LATER:
            # The drain waits for it, as for any request, and nobody takes the connection for an idle one.
            self._taken, self._request_in_progress = data, True
            self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
        else:
            self._say(taken)
        return True

    def _wait_behind(self, data: bytes) -> None:
        """
        Most send one request and wait: whoever goes on sending is stopped, for two system calls.
        """
        if data and not self._behind:
            self._pause_transport_reading()
        self._behind += data

    def _decided(self, asked: bytes, spoken: Spoken | None) -> None:
        if asked is not self._taken:
            # It was given to the framework after all: its answer is not for whatever this connection is at now.
            return
        self._taken, self._request_in_progress = None, False
        behind, self._behind = self._behind, b""
        if self.transport is not None:
            if spoken is not None:
                self._say(spoken)
            else:
                self._hand_over(asked)
        if self._handler_waiter is not None and not self._handler_waiter.done():
            self._handler_waiter.set_result(None)
        if behind and self.transport is not None:
            if not self._reading_paused and not self._buffer_paused:
                self._resume_transport_reading()
            self._read(behind)

    def _say(self, spoken: Spoken) -> None:
        """
        The answer, and what aiohttp's task would do after it.
        """
        manager, transport = self._manager, self.transport
        if manager is None or transport is None:
            return
        manager.requests_count += 1
        transport.write(spoken.spelled(keep_alive=not (self._close or self._force_close)))
        self._keepalive = True
        self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
        if self._keepalive_handle is None:
            self._keepalive_handle = self._loop.call_at(self._next_keepalive_close_time, self._process_keepalive)
