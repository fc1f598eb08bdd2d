"""
The street door when many come: slow ones hurt nobody, and one too many is told so.
"""

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, cast

import pytest

from kernel import metrics
from kernel.http.door import LEAVING_MAX, LOOKED_AT_ONCE, Connection, DoorServer
from kernel.http.turnstile import PIECES_PER_TURN_MAX
from tests.integration.kernel_door import HEAD_OF_BODY, SETTINGS, WHOLE, House, cut, open_house, opened_runner

Eventually = Callable[..., Awaitable[Any]]


@pytest.fixture
async def house() -> AsyncIterator[House]:
    """
    With little patience.
    """
    async with open_house() as opened:
        yield opened


async def test_two_thousand_slow_connections_hurt_nobody() -> None:
    """
    Honest requests are all answered meanwhile, on kept and on new connections; every slow one is cut off.
    """
    async with open_house(connections_max=4096, head_timeout_seconds=3.0, body_timeout_seconds=3.0) as house:
        # More than are looked at in one turn, and before the slow ones in the row.
        kept = [await house.line() for _ in range(2 * LOOKED_AT_ONCE)]
        answers = [(await line.ask())[0] for line in kept]
        cut_before = cut("head") + cut("body")
        slow = []
        for start in (
            b"",
            b"GET /quick HTTP/1.1\r\nX-",
            b"POST /echo HTTP/1.1\r\nHost: a\r\n",
            HEAD_OF_BODY + b"{",
        ) * 500:
            line = await house.line()
            line.writer.write(start)
            slow.append(line)
        answers += [(await line.ask())[0] for line in kept]
        answers += [(await (await house.line()).ask())[0] for _ in range(200)]

        assert {200} == set(answers)
        assert [True] * 2000 == await asyncio.gather(*(line.ended() for line in slow))
        assert 2000 == cut("head") + cut("body") - cut_before
        assert {200} == {(await line.ask())[0] for line in kept}


async def test_a_look_that_is_not_over_when_the_next_is_due_cuts_nobody_twice() -> None:
    """
    On a machine that stood still; whoever was not reached yet has his turn.
    """
    settings = dataclasses.replace(SETTINGS, connections_max=2 * LOOKED_AT_ONCE)
    runner = await opened_runner(settings)
    server, cut_before, lines = runner.server, cut("head"), list[Connection]()
    assert isinstance(server, DoorServer)
    try:
        for _ in range(LOOKED_AT_ONCE + 1):
            line = cast("Connection", server())
            line.connection_made(_Wire())
            line._since -= 2 * settings.head_timeout_seconds
            lines.append(line)
        await asyncio.sleep(0)
        for _ in range(2):
            server._next_look.cancel()
            server._look()
        at_first = cut("head") - cut_before
        await asyncio.sleep(0)
        in_all = cut("head") - cut_before
    finally:
        for line in lines:
            line.connection_lost(None)
        await runner.cleanup()

    assert (LOOKED_AT_ONCE, LOOKED_AT_ONCE + 1) == (at_first, in_all)


async def test_a_crowd_that_comes_at_once_is_read_in_several_turns_and_answered_whole() -> None:
    """
    Who has to wait loses no byte, whether the rest comes meanwhile or later.
    """
    async with open_house(connections_max=4096, head_timeout_seconds=5.0, body_timeout_seconds=5.0) as house:
        lines = [await house.line() for _ in range(4 * PIECES_PER_TURN_MAX)]
        assert {200} == {(await line.ask())[0] for line in lines}
        later_before = metrics.http_read_later._value.get()
        house.doze(0.5)
        for line in lines:
            line.writer.write(HEAD_OF_BODY + b'{"text":')
        for number, line in enumerate(lines):
            line.writer.write(b'"visit%04d"}' % number)
        answers = [await line.answer() for line in lines]

        assert metrics.http_read_later._value.get() > later_before
    assert [(200, f"visit{number:04d}") for number in range(len(lines))] == [
        (status, said) for status, _, said in answers
    ]


async def test_who_goes_on_sending_while_he_waits_is_stopped_and_loses_nothing(eventually: Eventually) -> None:
    """
    Bytes that come before his turn are kept in their order, and bounded.
    """
    runner = await opened_runner(SETTINGS)
    try:
        assert isinstance(runner.server, DoorServer)
        line, transport = runner.server(), _Wire()
        line.connection_made(transport)
        while runner.server.turnstile.lets_through():
            continue
        line.data_received(HEAD_OF_BODY + b'{"text":')
        line.data_received(b'"visit0001"}')
        stopped = not transport.reads
        await eventually(lambda: b"visit0001" in transport.written)
    finally:
        await runner.cleanup()

    assert (True, True) == (stopped, transport.reads)


class _Wire(asyncio.Transport):
    """
    A connection without a socket.
    """

    def __init__(self) -> None:
        super().__init__()
        self.reads = True
        self.written = b""

    def pause_reading(self) -> None:
        self.reads = False

    def resume_reading(self) -> None:
        self.reads = True

    def write(self, data: Any) -> None:
        self.written += bytes(data)

    def writelines(self, list_of_data: Any) -> None:
        self.written += b"".join(list_of_data)

    def is_closing(self) -> bool:
        return False

    def close(self) -> None:
        pass

    abort = close


async def test_one_connection_too_many_is_told_503_and_closed(house: House, eventually: Eventually) -> None:
    """
    The refusal arrives although the request was already on its way; those inside keep their places.
    """
    inside = [await house.line() for _ in range(SETTINGS.connections_max)]
    assert {200} == {(await line.ask())[0] for line in inside}
    refused_before, line = metrics.http_connections_refused._value.get(), await house.line()

    async def turned_away() -> bool:
        return refused_before + 1 == metrics.http_connections_refused._value.get()

    await eventually(turned_away)
    for piece in (WHOLE[:10], WHOLE[10:]):
        line.writer.write(piece)
        await asyncio.sleep(0.05)  # a reset, if it came, would come now, and erase what was said
    status, headers, problem = await line.answer()

    assert (503, "too_many_connections") == (status, problem["code"])
    assert ("close", "application/problem+json") == (headers["Connection"], headers["Content-Type"])
    assert headers["Retry-After"] in {"2", "3", "4"}
    assert await line.ended()
    assert {200} == {(await one.ask())[0] for one in inside}


async def test_who_was_turned_away_and_stays_is_put_out(house: House, eventually: Eventually) -> None:
    """
    A moment to read why, and no more.
    """
    inside = [await house.line() for _ in range(SETTINGS.connections_max)]
    assert {200} == {(await line.ask())[0] for line in inside}
    line = await house.line()
    assert 503 == (await line.ask())[0]
    assert 1 == house.leaving

    async def gone() -> bool:
        return 0 == house.leaving

    await eventually(gone)


async def test_a_place_that_is_left_is_given_to_the_next(house: House, eventually: Eventually) -> None:
    """
    The limit is on connections open, not on connections made.
    """
    inside = [await house.line() for _ in range(SETTINGS.connections_max)]
    assert {200} == {(await line.ask())[0] for line in inside}
    inside[0].writer.transport.abort()

    async def let_in() -> bool:
        return 200 == (await (await house.line()).ask())[0]

    await eventually(let_in)


async def test_a_burst_far_beyond_the_limit_leaves_exactly_the_limit_inside(
    house: House,
) -> None:
    """
    Many are accepted in one turn of the loop, and those turned away who do not leave are not kept either.
    """
    refused_before = metrics.http_connections_refused._value.get()
    house.doze(0.5)
    lines = await asyncio.gather(*(house.line() for _ in range(SETTINGS.connections_max + LEAVING_MAX + 100)))
    answers = await asyncio.gather(*(line.ask() for line in lines), return_exceptions=True)
    statuses = [answer[0] for answer in answers if not isinstance(answer, BaseException)]

    assert SETTINGS.connections_max == statuses.count(200)
    assert house.leaving <= LEAVING_MAX
    assert LEAVING_MAX + 100 == metrics.http_connections_refused._value.get() - refused_before
    assert statuses.count(503) >= LEAVING_MAX
