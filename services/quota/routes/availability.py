"""
What is free in an office: asked once, or listened to as server-sent events.

Every reader of a view gets the same bytes. A listener that does not read what it is sent
loses its stream, so that it costs a buffer of fixed size and never more.
"""

import asyncio
import random
import socket
from datetime import date
from http import HTTPStatus
from typing import Final

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

from kernel.http import problem
from kernel.http.problem import Problem
from kernel.http.route import Query, Route, query_of
from kernel.log import get_logger
from services.quota import problems
from services.quota.domain.availability import AvailabilityView
from services.quota.routes.parts import OFFICE_PATTERN, refuse_unready
from services.quota.use_cases.availability import Availability, Shown, Wanted
from services.quota.use_cases.streaming import End, Listener, Streams, goodbye

AVAILABILITY: Final = web.AppKey("availability", Availability)
STREAMS: Final = web.AppKey("streams", Streams)
STREAM_WRITE_SECONDS: Final = web.AppKey("stream_write_seconds", float)
"""What a listener has not read of it by then ends its stream."""

DAYS_MAX: Final = 31
DAYS_DEFAULT: Final = 14
UNDERSTOOD_MAX: Final = 1024
UNSENT_BYTES_MAX: Final = 32768
"""Of one stream, here; the operating system keeps about twice as much."""
FULL_RETRY_SECONDS: Final = (5, 30)

log = get_logger(__name__)
_random = random.SystemRandom()
_understood: Final[dict[str, Wanted]] = {}
"""What queries mean: most who ask, ask the same, and the meaning of one never changes."""


async def show_availability(request: web.Request) -> web.Response:
    """
    An office's slots of some days with what is free in them.
    """
    _, shown = await _asked(request)
    headers = {"ETag": shown.tag, "Cache-Control": "public, max-age=1"}
    if shown.tag in request.headers.get("If-None-Match", ""):
        return web.Response(status=HTTPStatus.NOT_MODIFIED, headers=headers)
    return web.Response(body=shown.body, content_type="application/json", headers=headers)


async def stream_availability(request: web.Request) -> web.StreamResponse:
    """
    The same, again whenever it has changed.
    """
    wanted, shown = await _asked(request)
    streams = request.app[STREAMS]
    listener = streams.join(
        request.match_info["office_id"],
        wanted,
        shown,
        known=request.headers.get("Last-Event-ID", ""),
        gone=lambda: request.transport is None or request.transport.is_closing(),
    )
    if listener is None:
        raise Problem(problems.STREAMS_FULL, retry_after_seconds=_random.randint(*FULL_RETRY_SECONDS))
    try:
        return await _told(request, listener)
    finally:
        streams.leave(listener)


async def _asked(request: web.Request) -> tuple[Wanted, Shown]:
    refuse_unready(request)
    wanted = _wanted_of(request)
    shown = await request.app[AVAILABILITY].of(request.match_info["office_id"], wanted)
    if shown is None:
        raise Problem(problem.NOT_FOUND)
    return wanted, shown


def _wanted_of(request: web.Request) -> Wanted:
    wanted = _understood.get(request.query_string)
    if wanted is None:
        wanted = _read_query(request)
        if len(_understood) >= UNDERSTOOD_MAX:
            _understood.clear()
        _understood[request.query_string] = wanted
    return wanted


def _read_query(request: web.Request) -> Wanted:
    days = query_of(request, "days", default=str(DAYS_DEFAULT), pattern="[1-9]|[12][0-9]|3[01]", reason="1..31")
    return Wanted(
        from_day=_day_of(request),
        days=int(days),
        service=query_of(request, "service", default="", pattern="[a-z0-9_-]{0,32}", reason="a service's key"),
    )


def _day_of(request: web.Request) -> date | None:
    text = query_of(request, "from", default="", pattern="|[0-9]{4}-[0-9]{2}-[0-9]{2}", reason="YYYY-MM-DD")
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise Problem(problem.BAD_REQUEST, field="from", reason="no such day") from None


async def _told(request: web.Request, listener: Listener) -> web.StreamResponse:
    response = web.StreamResponse(
        headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    )
    writer = await response.prepare(request)
    transport = request.transport
    if writer is None or transport is None:
        listener.end = End.GONE
        return response
    _bound(transport)
    try:
        await _tell(writer, listener, request.app[STREAM_WRITE_SECONDS])
    except ConnectionError:
        listener.end = End.GONE
    except TimeoutError:
        listener.end = End.SLOW
        transport.abort()
    except Exception:
        # An answer has begun: there is no other to give, only its end.
        log.exception("stream_failed")
        listener.end = End.FAULT
        transport.abort()
    return response


def _bound(transport: asyncio.Transport) -> None:
    """
    Let what is not read pile up only so far: then a write waits, and its deadline runs.
    """
    transport.set_write_buffer_limits(high=UNSENT_BYTES_MAX)
    connection = transport.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, UNSENT_BYTES_MAX)


async def _tell(writer: AbstractStreamWriter, listener: Listener, write_seconds: float) -> None:
    chunk: bytes | None = listener.greeting()
    while chunk is not None:
        async with asyncio.timeout(write_seconds):
            await writer.write(chunk)
            await writer.drain()
        chunk = await listener.next()
    if listener.end is not End.GONE:
        async with asyncio.timeout(write_seconds):
            await writer.write(goodbye())
            await writer.drain()


_PATH: Final = f"/v1/offices/{{office_id:{OFFICE_PATTERN}}}/availability"
_QUERY: Final = (
    Query(
        name="from",
        summary="First day, local to the office; today",
        schema={"type": "string", "format": "date"},
    ),
    Query(
        name="days",
        summary="How many days",
        schema={"type": "integer", "minimum": 1, "maximum": DAYS_MAX, "default": DAYS_DEFAULT},
    ),
    Query(name="service", summary="Only this service", schema={"type": "string"}),
)

ROUTES: Final = (
    Route(
        method="GET",
        path=_PATH,
        handler=show_availability,
        summary="An office's slots with what is free in them, at most a quarter of a second old",
        operation="show_availability",
        query=_QUERY,
        answers={HTTPStatus.OK: AvailabilityView, HTTPStatus.NOT_MODIFIED: None},
        problems=(problem.NOT_FOUND, problem.BAD_REQUEST, problems.NOT_READY),
    ),
    Route(
        method="GET",
        path=f"{_PATH}/stream",
        handler=stream_availability,
        summary="The same whenever it changes, at most four times a second, as events named `availability`",
        operation="stream_availability",
        query=_QUERY,
        answers={HTTPStatus.OK: "text/event-stream"},
        problems=(problem.NOT_FOUND, problem.BAD_REQUEST, problems.NOT_READY, problems.STREAMS_FULL),
        stream=True,
    ),
)
"""Their part of the table."""
