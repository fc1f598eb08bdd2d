"""
What guards the street door below the routes: how many connections, and how long each may dawdle.

Called by `kernel.process`, which serves an application through it. aiohttp has no timeout for
a head or a body that comes drop by drop, nor for a reader that does not read, and no limit on
connections. Here one look a second goes over all connections; a request that comes whole and
reads its answer meets nothing but a turnstile that counts. Never knows what a request is about.
"""

import asyncio
import enum
from collections.abc import Iterable
from itertools import islice
from typing import Any, Final, cast

import msgspec
from aiohttp import web
from aiohttp.http_exceptions import LineTooLong

from kernel import metrics
from kernel.http import problem
from kernel.http.problem import Problem, ProblemType, spread_ms
from kernel.http.quick import QUICK_WAYS, Begin, QuickConnection
from kernel.http.turnstile import FULL, Turnstile
from kernel.log import get_logger
from kernel.settings import HttpSettings

log = get_logger(__name__)
LOOK_SECONDS_MAX: Final = 1.0
LOOKS_PER_TIMEOUT: Final = 4
LOOKED_AT_ONCE: Final = 256
"""So many connections are looked at in one turn of the loop: about as long as a few requests take."""
LINGER_SECONDS: Final = 2.0
"""How long the rest of a refused body is read, so that the refusal is not lost with the connection."""
LEAVING_MAX: Final = 256
"""So many of those turned away may still be reading why. Beyond it the connection simply closes."""
HEADERS_MAX: Final = 64
RETRY_AFTER_SECONDS: Final = 2


class Stage(enum.Enum):
    """
    What the other side is slow at.
    """

    HEAD = "head"
    BODY = "body"
    ANSWER = "answer"


class Connection(QuickConnection):
    """
    aiohttp's protocol, and how long it has been waiting for whom.
    """

    __slots__ = (
        "_at_rest_after",
        "_drained",
        "_heard",
        "_since",
        "_stopped",
        "_turnstile",
        "_unread",
        "_what",
    )

    def __init__(self, manager: "DoorServer", *, loop: asyncio.AbstractEventLoop, **options: Any) -> None:
        super().__init__(manager, loop=loop, **options)
        self._quick_ways = manager.quick_ways
        self._turnstile = manager.turnstile
        self._unread = b""
        self._stopped = False
        self._heard = False
        self._at_rest_after = -1
        self._drained = 0
        self._what: tuple[Stage | None, int, int] = (Stage.HEAD, 0, 0)
        self._since = loop.time()

    def data_received(self, data: bytes) -> None:
        """
        Read it, or let it wait for its turn. Without data it is aiohttp looking again at what it has.
        """
        if not data or self._turnstile.lets_through():
            self._heard = True
            self._read(data)
        elif self._unread:
            # Most send one request and wait: whoever goes on sending is stopped, for two system calls.
            self._unread += data
            self._stopped = True
            self._pause_transport_reading()
        else:
            self._unread = data
            self._turnstile.queue(self)

    def go_on(self) -> bool:
        """
        Read what had to wait.
        """
        data, self._unread = self._unread, b""
        if not data:
            return False
        self._heard = True
        self._read(data)
        if self._stopped:
            self._stopped = False
            if not self._reading_paused and not self._buffer_paused and not self._behind:
                self._resume_transport_reading()
        return True

    def connection_lost(self, exc: BaseException | None) -> None:
        """
        Whoever still waits for the rest of the body hears it as a refusal: a client that goes is no fault of ours.
        """
        self._unread = b""
        if self._current_request is not None:
            self._current_request._cancel(Problem(problem.BODY_MISSING))  # noqa: SLF001 - as the inherited method does
        super().connection_lost(exc)

    def resume_writing(self) -> None:
        """
        The reader reads: whatever comes next has its full time.
        """
        self._drained += 1
        super().resume_writing()

    def slow_at(self, now: float, patience_seconds: dict[Stage, float]) -> Stage | None:
        """
        What the other side has been at for too long, if anything. To be asked at regular intervals.
        """
        stage = self._stage()
        what = (stage, self._request_count, self._drained)
        if what != self._what:
            self._what, self._since = what, now
        return stage if stage is not None and now - self._since >= patience_seconds[stage] else None

    def _stage(self) -> Stage | None:
        if self._unread or self._taken:
            return None  # it waits for us
        if self.writing_paused:
            return Stage.ANSWER
        if self._waiter is None or self._waiter.done():
            request = self._current_request
            return Stage.BODY if request is not None and not request.content.is_eof() else None
        if self._request_count == 0:
            return Stage.HEAD
        if self._at_rest_after == self._request_count:
            return Stage.HEAD if self._heard else None
        # Bytes heard from now on belong to the next head. Those heard before it may not; who sent a part of a head
        # by then and is silent ever after is idle, and idle connections have their own end.
        self._at_rest_after, self._heard = self._request_count, False
        return None

    def log_exception(self, *args: Any, **kw: Any) -> None:
        """
        A body that is broken or breaks off is the other side's fault, and has been answered where it was read.
        """
        if not isinstance(kw.get("exc_info"), Problem | web.RequestPayloadError):
            super().log_exception(*args, **kw)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - aiohttp's signature; it may repeat what was sent
    ) -> web.StreamResponse:
        """
        What never reached a route is refused as a problem too, and without a line in the log: strangers write those.
        """
        if request.writer.output_size > 0:
            raise ConnectionError("a part of an answer is already on its way")
        if status == problem.BAD_REQUEST.status:
            metrics.http_unreadable.inc()
            kind = problem.HEAD_TOO_LARGE if _too_large(exc) else problem.BAD_REQUEST
        else:
            log.error("internal_error", status=status, exc_info=exc)
            kind = problem.INTERNAL
        response = problem.answer(cast("web.Request", request), kind)
        response.force_close()
        return response


def _too_large(error: BaseException | None) -> bool:
    return isinstance(error, LineTooLong) or "Too many headers" in str(error)


class _TurnedAway(asyncio.Protocol):
    """
    One connection too many: hears why, and goes.
    """

    def __init__(self, leaving: "set[asyncio.Transport]") -> None:
        self._leaving = leaving
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        metrics.http_connections_refused.inc()
        self._transport.write(_said(problem.TOO_MANY_CONNECTIONS, spread_ms(RETRY_AFTER_SECONDS)))
        if len(self._leaving) >= LEAVING_MAX:
            self._transport.close()
            return
        # Closed at once, the request on its way would be answered with a reset that erases what was said.
        self._leaving.add(self._transport)
        self._transport.write_eof()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        if self._transport is not None:
            self._leaving.discard(self._transport)


def _said(kind: ProblemType, retry_after_ms: int) -> bytes:
    seconds = round(retry_after_ms / 1000)
    body = msgspec.json.encode(
        {
            "type": f"/problems/{kind.code}",
            "title": kind.title_id,
            "status": kind.status,
            "detail": kind.next_id,
            "code": kind.code,
            "instance": "",
            "retry_after": seconds,
            "retry_after_ms": retry_after_ms,
        }
    )
    head = (
        f"HTTP/1.1 {kind.status} Service Unavailable\r\nContent-Type: application/problem+json\r\n"
        f"Content-Language: id\r\nCache-Control: no-store\r\nRetry-After: {seconds}\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body


class DoorServer(web.Server):
    """
    aiohttp's server with a limit on connections and a look at each of them every second.
    """

    def __init__(self, inner: web.Server, settings: HttpSettings, app: web.Application, **options: Any) -> None:
        """
        Takes over what `inner` would have called.
        """
        super().__init__(
            inner.request_handler,
            request_factory=inner.request_factory,
            handler_cancellation=inner.handler_cancellation,
            **options,
        )
        self.turnstile = Turnstile(self._loop, app.get(FULL, _never))
        self._connections_max = settings.connections_max
        self._patience_seconds = {
            Stage.HEAD: settings.head_timeout_seconds,
            Stage.BODY: settings.body_timeout_seconds,
            Stage.ANSWER: settings.answer_timeout_seconds,
        }
        self.quick_ways: dict[bytes, Begin] = app.get(QUICK_WAYS) or {}
        self.leaving: set[asyncio.Transport] = set()
        """Turned away, and not gone yet."""
        self._left_behind: set[asyncio.Transport] = set()
        self._look_seconds = min(LOOK_SECONDS_MAX, min(self._patience_seconds.values()) / LOOKS_PER_TIMEOUT)
        self._next_look = self._loop.call_later(self._look_seconds, self._look)
        self._rest_of_look: asyncio.Handle | None = None

    def __call__(self) -> web.RequestHandler:
        """
        The protocol for a connection that was just accepted.
        """
        # Exact on uvloop, which makes one connection before it accepts the next.
        if len(self._connections) >= self._connections_max:
            return cast("web.RequestHandler", _TurnedAway(self.leaving))
        return Connection(self, loop=self._loop, **self._kwargs)

    def _look(self) -> None:
        self._next_look = self._loop.call_later(self._look_seconds, self._look)
        metrics.http_connections.set(len(self._connections))
        for transport in self._left_behind & self.leaving:
            transport.abort()
        self._left_behind = set(self.leaving)
        # On a machine that stood still one look may not be over when the next is due: both would count the same cut.
        if self._rest_of_look is None:
            self._look_on(iter(self.connections))

    def _look_on(self, connections: "Iterable[web.RequestHandler]") -> None:
        self._rest_of_look = None
        now, seen = self._loop.time(), 0
        for connection in islice(connections, LOOKED_AT_ONCE):
            seen += 1
            stage = cast("Connection", connection).slow_at(now, self._patience_seconds)
            if stage is not None and connection.transport is not None:
                metrics.http_cut[stage.value].inc()
                connection.transport.abort()
        if seen == LOOKED_AT_ONCE:
            self._rest_of_look = self._loop.call_soon(self._look_on, connections)

    def pre_shutdown(self) -> None:
        """
        What has arrived is answered before its connection closes.
        """
        self.turnstile.open()
        super().pre_shutdown()

    async def shutdown(self, timeout: float | None = None) -> None:  # noqa: ASYNC109 - aiohttp's signature
        """
        The slow are cut until the last connection is gone, so that none of them holds up the drain.
        """
        try:
            await super().shutdown(timeout)
        finally:
            self._next_look.cancel()
            for transport in list(self.leaving):
                transport.abort()


def _never() -> bool:
    return False


class DoorRunner(web.AppRunner):
    """
    Serves an application through a guarded door.
    """

    __slots__ = ("_settings",)

    def __init__(self, app: web.Application, settings: HttpSettings, *, shutdown_timeout_seconds: float) -> None:
        super().__init__(
            app,
            access_log=None,
            keepalive_timeout=settings.keepalive_seconds,
            lingering_time=LINGER_SECONDS,
            max_line_size=settings.header_bytes_max,
            max_field_size=settings.header_bytes_max,
            max_headers=HEADERS_MAX,
            auto_decompress=False,  # nobody asks for it, and a few bytes could unpack into minutes of work
            handler_cancellation=False,
            shutdown_timeout=shutdown_timeout_seconds,
        )
        self._settings = settings

    async def _make_server(self) -> web.Server:
        plain = await super()._make_server()
        return DoorServer(plain, self._settings, self.app, **plain._kwargs)  # noqa: SLF001 - what the application has added
