"""
Sends requests at their due times over raw keep-alive connections, and keeps how late each answer was.

Called by scenarios with requests that were spelled out beforehand. A latency counts from
the moment a request was due, so a stall shows in every request it delayed, ours or the
server's. Reads status and length of an answer and nothing else, unless bodies are wanted.
Connects to 127.0.0.1 and nowhere else.
"""

import asyncio
import dataclasses
import gc
import itertools
import re
import resource
import time
from array import array
from bisect import bisect_right
from collections import deque
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Final, cast

from hdrh.histogram import HdrHistogram

from loadtests.ratio.client import LOCAL
from ops.errors import StackError

CONNECT_SECONDS: Final = 10.0
LAST_ANSWERS_SECONDS: Final = 15.0
"""How much longer than the last due time answers are waited for."""
OPENED_AT_ONCE: Final = 64
OPENED_EVERY_SECONDS: Final = 0.01
"""A server whose queue of new connections is full forgets some that their client believes open, for seconds."""
OTHER_FILES: Final = 200
TICK_SECONDS: Final = 0.001
"""How often due requests are looked for; less than the event loop can do is not to be had."""
LATENCY_US_MAX: Final = 600_000_000
SIGNIFICANT_DIGITS: Final = 3
_HELD: Final = b"201"
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


@dataclasses.dataclass(slots=True)
class Seen:
    """
    What one volley has seen. Latencies in microseconds by status.
    """

    seconds: float = 0.0
    """From the first due time to the last answer."""
    asked: int = 0
    sent: int = 0
    generator_seconds: float = 0.0
    """CPU time of this process."""
    turned_away: int = 0
    """Due when every connection was waiting for an answer, where nobody waits for one."""
    latencies: dict[bytes, "array[int]"] = dataclasses.field(default_factory=dict)
    answered_at: dict[bytes, "array[float]"] = dataclasses.field(default_factory=dict)
    """Seconds since the first due time."""
    lags: "array[int]" = dataclasses.field(default_factory=lambda: array("q"))
    """Microseconds between due and sent: what the generator itself was late."""
    bodies: list[bytes] = dataclasses.field(default_factory=list)
    """Of 201s, where they are wanted."""
    example: bytes = b""
    """The last answer that is no 201."""

    def count(self, status: int) -> int:
        """
        How many answers had this status.
        """
        return len(self.latencies.get(str(status).encode(), ()))

    @property
    def statuses(self) -> dict[str, int]:
        """Answers by status."""
        return {status.decode(): len(found) for status, found in sorted(self.latencies.items())}

    def in_time(self, status: int, *, deadline_seconds: float, first_second: float, last_second: float) -> int:
        """
        How many such answers came within the deadline, and in this part of the volley.
        """
        name, deadline_us = str(status).encode(), deadline_seconds * 1e6
        found = zip(self.latencies.get(name, ()), self.answered_at.get(name, ()), strict=True)
        return sum(us <= deadline_us and first_second <= at < last_second for us, at in found)

    def per_second(self, status: int, *, first_second: float, last_second: float) -> float:
        """
        How many such answers a second came in a part of the volley.
        """
        found = self.answered_at.get(str(status).encode(), ())
        return sum(first_second <= at < last_second for at in found) / (last_second - first_second)

    @property
    def silence_ms(self) -> float:
        """The longest time without any answer between the first and the last: a stall of somebody."""
        times = sorted(itertools.chain.from_iterable(self.answered_at.values()))
        return max((later - earlier for earlier, later in itertools.pairwise(times)), default=0.0) * 1000

    def p_ms(self, percentile: float, *statuses: int) -> float:
        """
        The latency that `percentile` of answers with these statuses (all, if none is named) stayed under.
        """
        wanted = [str(status).encode() for status in statuses] or list(self.latencies)
        return _percentile_ms((self.latencies.get(status, array("q")) for status in wanted), percentile)

    def lag_ms(self, percentile: float) -> float:
        """
        How late the generator was.
        """
        return _percentile_ms((self.lags,), percentile)


def _percentile_ms(several: Iterable["array[int]"], percentile: float) -> float:
    histogram = HdrHistogram(1, LATENCY_US_MAX, SIGNIFICANT_DIGITS)
    for one in several:
        for value in one:
            histogram.record_value(min(max(value, 1), LATENCY_US_MAX))
    return float(histogram.get_value_at_percentile(percentile)) / 1000 if histogram.get_total_count() else 0.0


class Line(asyncio.Protocol):
    """
    One keep-alive connection with at most one request under way.
    """

    __slots__ = ("_buffer", "_transport", "due", "request", "volley")

    def __init__(self) -> None:
        self._transport: asyncio.Transport
        self._buffer = b""
        self.volley: _Volley | None = None
        self.request = b""
        self.due = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """
        Remember where to write.
        """
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """
        A connection that ends under a volley ends the run.
        """
        if self.volley is not None:
            self.volley.fail(StackError(f"the server hung up: {exc!r}"))

    def send(self, request: bytes, due: float) -> None:
        """
        Ask.
        """
        self.request, self.due = request, due
        self._transport.write(request)

    def close(self) -> None:
        """
        Hang up.
        """
        self.volley = None
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """
        Hand over a whole answer; keep a part of one.
        """
        if self._buffer:
            data = self._buffer + data
        end = data.find(b"\r\n\r\n")
        length = _LENGTH.search(data, 0, end) if end > 0 else None
        if end < 0 or (length and len(data) - end - 4 < int(length[1])):
            self._buffer = data
            return
        self._buffer = b""
        if self.volley is not None:
            self.volley.answered(self, data, end + 4)


class _Volley:
    """
    The requests of one round: when each is due, which lines are idle, what came back.
    """

    def __init__(self, lines: Sequence[Line], supply: deque[bytes], *, again: frozenset[bytes], bodies: bool) -> None:
        self.seen = Seen()
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.started = 0.0
        self._lines = lines
        # In turn, so that none stays unused until the door takes it for a head that never comes.
        self._idle = deque(lines)
        self._supply = supply
        self._again = again
        self._bodies = bodies
        self._dues: Sequence[float] | None = None
        self._next = 0
        self._wait = True
        self._until = 0.0
        self._cpu_before = time.process_time()
        for line in lines:
            line.volley = self

    def fail(self, error: StackError) -> None:
        if not self.done.done():
            self.done.set_exception(error)

    def closed(self, seconds: float) -> None:
        """
        Ask on every line at once, and again when answered, until the time or the requests are over.
        """
        self.started = time.perf_counter()
        self._until = self.started + seconds
        while self._idle and self._supply:
            self._fire(self._idle.popleft(), time.perf_counter())
        self._end_if_over()

    def open(self, dues: Sequence[float], *, wait: bool) -> None:
        """
        Ask at the due times (seconds from now). `wait`: for an idle line, or else be turned away.
        """
        self._dues, self._wait = dues, wait
        self.started = time.perf_counter()
        self._tick()

    def _tick(self) -> None:
        if self._dues is None or self.done.done():
            return
        self._give_out()
        if self._next < len(self._dues):
            asyncio.get_running_loop().call_later(TICK_SECONDS, self._tick)
        else:
            self._end_if_over()

    def _give_out(self) -> None:
        """
        What is due by now goes to idle lines, and waits or is turned away where there is none.
        """
        dues, number, started, idle = self._dues or (), self._next, self.started, self._idle
        now, lags = time.perf_counter() - started, self.seen.lags
        while number < len(dues) and dues[number] <= now:
            if idle and self._supply:
                lags.append(int((time.perf_counter() - started - dues[number]) * 1e6))
                self._fire(idle.popleft(), started + dues[number])
                number += 1
            elif self._wait and self._supply:
                break
            else:
                due_by_now = bisect_right(dues, now, lo=number)
                self.seen.turned_away += due_by_now - number
                number = due_by_now
        self._next = number

    def _fire(self, line: Line, due: float) -> None:
        self.seen.sent += 1
        line.send(self._supply.popleft(), due)

    def answered(self, line: Line, data: bytes, body_at: int) -> None:
        now, seen, status = time.perf_counter(), self.seen, data[9:12]
        try:
            seen.latencies[status].append(int((now - line.due) * 1e6))
        except KeyError:
            seen.latencies[status] = array("q", [int((now - line.due) * 1e6)])
            seen.answered_at[status] = array("d")
        seen.answered_at[status].append(now - self.started)
        if status == _HELD:
            if self._bodies:
                seen.bodies.append(data[body_at:])
        else:
            seen.example = data
            if status in self._again:
                self._supply.append(line.request)
        dues = self._dues
        if dues is None:
            if self._supply and now < self._until:
                self._fire(line, now)
                return
        elif self._next < len(dues) and dues[self._next] <= now - self.started and self._supply:
            # Overdue for want of a line: counted from its due time, and late by nobody's fault but the server's. In a
            # storm, due since the last tick: a line must not rest until the next one.
            self._fire(line, self.started + dues[self._next])
            self._next += 1
            return
        self._idle.append(line)
        self._end_if_over()

    def _end_if_over(self) -> None:
        over = self._dues is None or self._next >= len(self._dues)
        if over and len(self._idle) == len(self._lines) and not self.done.done():
            self.done.set_result(None)

    def result(self) -> Seen:
        self.seen.seconds = time.perf_counter() - self.started
        self.seen.generator_seconds = time.process_time() - self._cpu_before
        self.seen.asked = self._next if self._dues is not None else self.seen.sent
        for line in self._lines:
            line.volley = None
        return self.seen


@contextmanager
def no_collections() -> Iterator[None]:
    """
    The collector rests: its pauses would be counted against the server.
    """
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()


def _allow_files(connections: int) -> None:
    """
    Let this process open so many. Raises `StackError` where it may not.
    """
    wanted = connections + OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise StackError(f"{wanted} files must be open at once, and only {hard} may be (ulimit -n)")
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


@asynccontextmanager
async def lines(port: int, count: int) -> AsyncIterator[list[Line]]:
    """
    `count` open connections to a local port, closed at the end.
    """
    loop = asyncio.get_running_loop()
    opened: list[Line] = []
    _allow_files(count)
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            for number in range(count):
                _, line = await loop.create_connection(Line, LOCAL, port)
                opened.append(line)
                if number % OPENED_AT_ONCE == 0:
                    await asyncio.sleep(OPENED_EVERY_SECONDS)
        yield opened
    finally:
        for line in opened:
            line.close()


async def closed_loop(
    on: Sequence[Line],
    supply: deque[bytes],
    *,
    seconds: float,
    again: frozenset[bytes] = frozenset(),
    bodies: bool = False,
) -> Seen:
    """
    As many requests as there are answers. Requests answered with a status of `again` go back to the supply.
    """
    volley = _Volley(on, supply, again=again, bodies=bodies)
    with no_collections():
        async with asyncio.timeout(seconds + LAST_ANSWERS_SECONDS):
            volley.closed(seconds)
            await volley.done
    return volley.result()


async def open_loop(
    on: Sequence[Line],
    supply: deque[bytes],
    dues: Sequence[float],
    *,
    wait: bool = True,
    again: frozenset[bytes] = frozenset(),
    bodies: bool = False,
    patience_seconds: float = LAST_ANSWERS_SECONDS,
) -> Seen:
    """
    Requests at due times, whether or not others are answered. `patience_seconds`: for answers after the last of them.
    """
    volley = _Volley(on, supply, again=again, bodies=bodies)
    with no_collections():
        async with asyncio.timeout((dues[-1] if dues else 0.0) + patience_seconds):
            volley.open(dues, wait=wait)
            await volley.done
    return volley.result()
