"""
A closed loop of HTTP/1.1 connections that costs a few microseconds of CPU per request.

Called by scenarios with requests that were spelled out beforehand. Reads status and
Content-Length of an answer and nothing else. Connects to 127.0.0.1 and nowhere else.
"""

import asyncio
import dataclasses
import re
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import cast

from ops.errors import StackError

LOCAL = "127.0.0.1"
CONNECT_SECONDS = 5.0
LAST_ANSWERS_SECONDS = 15.0
"""How much longer than asked for a volley may take."""
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


@dataclasses.dataclass(slots=True)
class Volley:
    """
    What one round has seen: answers by status, and how long each took.
    """

    seconds: float = 0.0
    statuses: dict[bytes, int] = dataclasses.field(default_factory=dict)
    latencies: list[float] = dataclasses.field(default_factory=list)
    example: bytes = b""
    """The last answer of a status nobody expected."""

    @property
    def answers(self) -> int:
        """How many requests were answered."""
        return len(self.latencies)

    def percentile_ms(self, fraction: float) -> float:
        """
        The latency that `fraction` of all requests stayed under.
        """
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(fraction * len(ordered)))] * 1000 if ordered else 0.0


class _Fire:
    """
    Requests still to be sent, shared by all connections of a round.
    """

    def __init__(self, requests: Iterable[bytes], expected: bytes, until: float) -> None:
        self._requests: Iterator[bytes] = iter(requests)
        self.expected = expected
        self.until = until
        self.volley = Volley()

    def next(self) -> bytes | None:
        return next(self._requests, None) if time.perf_counter() < self.until else None


class Connection(asyncio.Protocol):
    """
    One keep-alive connection: the next request goes out when the last one is answered.
    """

    def __init__(self) -> None:
        self._transport: asyncio.Transport
        self._fire: _Fire
        self._done: asyncio.Future[None] | None = None
        self._buffer = b""
        self._sent_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """
        Remember where to write.
        """
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """
        A connection that ends under a round ends the run.
        """
        if self._done is not None and not self._done.done():
            self._done.set_exception(StackError(f"the server hung up: {exc!r}"))

    def start(self, fire: _Fire) -> asyncio.Future[None]:
        """
        Join a round. The future is done when there is nothing left to ask.
        """
        self._fire, self._buffer = fire, b""
        self._done = asyncio.get_running_loop().create_future()
        self._send()
        return self._done

    def close(self) -> None:
        """
        Hang up.
        """
        self._transport.abort()

    def _send(self) -> None:
        request = self._fire.next()
        if request is None:
            if self._done is not None and not self._done.done():
                self._done.set_result(None)
            return
        self._sent_at = time.perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        """
        Count a whole answer and ask again; keep a part of one.
        """
        buffer = self._buffer + data if self._buffer else data
        head, gap, body = buffer.partition(b"\r\n\r\n")
        length = _LENGTH.search(head) if gap else None
        if not gap or (length and len(body) < int(length[1])):
            self._buffer = buffer
            return
        self._buffer = b""
        volley, status = self._fire.volley, head[9:12]
        volley.latencies.append(time.perf_counter() - self._sent_at)
        volley.statuses[status] = volley.statuses.get(status, 0) + 1
        if status != self._fire.expected:
            volley.example = buffer[:2000]
        self._send()


@asynccontextmanager
async def connections(port: int, count: int) -> AsyncIterator[list[Connection]]:
    """
    `count` open connections to a local port, closed at the end.
    """
    loop = asyncio.get_running_loop()
    opened: list[Connection] = []
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            for _ in range(count):
                _, connection = await loop.create_connection(Connection, LOCAL, port)
                opened.append(connection)
        yield opened
    finally:
        for connection in opened:
            connection.close()


async def fire(lines: Sequence[Connection], requests: Iterable[bytes], *, seconds: float, expected: int) -> Volley:
    """
    Ask until the time is over or the requests are. Raises `StackError` when an answer is not the expected one.
    """
    started = time.perf_counter()
    shared = _Fire(requests, str(expected).encode(), started + seconds)
    async with asyncio.timeout(seconds + LAST_ANSWERS_SECONDS):
        await asyncio.gather(*(line.start(shared) for line in lines))
    volley = shared.volley
    volley.seconds = time.perf_counter() - started
    if set(volley.statuses) != {shared.expected}:
        shown = {status.decode(): count for status, count in volley.statuses.items()}
        raise StackError(
            f"expected {expected} only, got {shown}; one of them: {volley.example.decode(errors='replace')}"
        )
    return volley
