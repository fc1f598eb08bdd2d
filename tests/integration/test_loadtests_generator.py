"""
The bench's generator against a server that stalls, hurries or hangs up.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from loadtests.bench.generator import closed_loop, lines, open_loop
from ops.errors import StackError

STALL_SECONDS = 0.2
ASK = b"GET / HTTP/1.1\r\n\r\n"
YES = b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nok"
BUSY = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n"

Answering = Callable[[asyncio.StreamWriter, int], Awaitable[None]]


@asynccontextmanager
async def server(answer: Answering) -> AsyncIterator[int]:
    """
    Calls `answer` for every request with its number; yields the port.
    """
    asked = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                asked += 1
                await answer(writer, asked)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listening:
        yield listening.sockets[0].getsockname()[1]


async def test_a_stall_counts_for_every_request_that_was_due_meanwhile() -> None:
    """
    Latency counts from the due time, not from the moment a connection was free.
    """

    async def stall_first(writer: asyncio.StreamWriter, number: int) -> None:
        if number == 1:
            await asyncio.sleep(STALL_SECONDS)
        writer.write(YES)

    dues = [0.0, 0.01, 0.02, 0.03]
    async with server(stall_first) as port, lines(port, 1) as on:
        seen = await open_loop(on, deque([ASK] * 4), dues)

    assert {"201": 4} == seen.statuses
    waited_ms = sorted(us / 1000 for us in seen.latencies[b"201"])
    assert all(ms >= (STALL_SECONDS - dues[-1]) * 1000 for ms in waited_ms)


async def test_who_finds_no_connection_in_a_storm_is_turned_away() -> None:
    """
    Nobody waits where nobody is to wait, and what was turned away is counted and never sent.
    """

    async def stall(writer: asyncio.StreamWriter, _: int) -> None:
        await asyncio.sleep(STALL_SECONDS)
        writer.write(YES)

    async with server(stall) as port, lines(port, 2) as on:
        seen = await open_loop(on, deque([ASK] * 9), [0.0] * 9, wait=False)

    assert (2, 7, {"201": 2}) == (seen.sent, seen.turned_away, seen.statuses)


async def test_what_was_refused_is_asked_again_with_the_same_bytes() -> None:
    """
    A supply is used up only by answers that settle something.
    """
    heard: list[int] = []

    async def refuse_first(writer: asyncio.StreamWriter, number: int) -> None:
        heard.append(number)
        writer.write(BUSY if number == 1 else YES)

    async with server(refuse_first) as port, lines(port, 1) as on:
        seen = await closed_loop(on, deque([ASK] * 3), seconds=5, again=frozenset({b"503"}), bodies=True)

    assert {"201": 3, "503": 1} == seen.statuses
    assert [b"ok"] * 3 == seen.bodies
    assert [1, 2, 3, 4] == heard


async def test_an_answer_in_two_pieces_is_one_answer() -> None:
    """
    Bytes arrive as they like.
    """

    async def in_pieces(writer: asyncio.StreamWriter, _: int) -> None:
        for piece in (YES[:20], YES[20:-1], YES[-1:]):
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)

    async with server(in_pieces) as port, lines(port, 1) as on:
        seen = await closed_loop(on, deque([ASK] * 2), seconds=5, bodies=True)

    assert [b"ok", b"ok"] == seen.bodies


async def test_a_server_that_hangs_up_ends_the_run() -> None:
    """
    No figure is made of half a run.
    """

    async def hang_up(writer: asyncio.StreamWriter, _: int) -> None:
        writer.close()

    async with server(hang_up) as port, lines(port, 1) as on:
        with pytest.raises(StackError, match="hung up"):
            await closed_loop(on, deque([ASK]), seconds=5)
