"""
The street door: who is slow at a head, a body or an answer is cut off; idle is not slow; nonsense is a problem too.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from tests.integration.kernel_door import HEAD_OF_BODY, MEGABYTES, SETTINGS, House, Line, answers, cut, open_house

Eventually = Callable[..., Awaitable[Any]]


@pytest.fixture
async def house() -> AsyncIterator[House]:
    """
    With little patience.
    """
    async with open_house() as opened:
        yield opened


async def _dribble(line: Line, raw: bytes) -> None:
    """
    A byte now and then, for as long as anybody listens.
    """
    for byte in raw * 1000:
        if line.writer.transport.is_closing():
            return
        line.writer.write(bytes([byte]))
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("start", [b"", b"GET /quick HTTP/1.1\r\nHost: a\r\n"])
async def test_a_first_head_that_never_ends_is_cut(house: House, start: bytes) -> None:
    """
    Saying nothing at all and stopping halfway are the same.
    """
    before, line = cut("head"), await house.line()
    line.writer.write(start)

    assert await line.ended()
    assert before + 1 == cut("head")


@pytest.mark.parametrize("requests_before", [0, 1, 3])
async def test_a_head_that_comes_drop_by_drop_is_cut(house: House, requests_before: int) -> None:
    """
    However many whole requests came before it on the same connection.
    """
    line = await house.line()
    for _ in range(requests_before):
        assert 200 == (await line.ask())[0]
    before = cut("head")
    dribbling = asyncio.ensure_future(_dribble(line, b"X-A: b\r\n"))
    line.writer.write(b"GET /quick HTTP/1.1\r\n")

    assert await line.ended()
    assert before + 1 == cut("head")
    dribbling.cancel()


async def test_a_body_that_comes_drop_by_drop_is_cut(house: House) -> None:
    """
    The head was in time; the rest has a limit of its own.
    """
    before, line = cut("body"), await house.line()
    line.writer.write(HEAD_OF_BODY + b'{"te')

    assert await line.ended()
    assert before + 1 == cut("body")


async def test_a_client_that_leaves_in_the_middle_of_a_body_is_no_fault_of_ours(
    house: House, eventually: Eventually
) -> None:
    """
    It is counted as a refusal, and no stack trace says otherwise.
    """
    before, line = answers("/echo", "500"), await house.line()
    left = answers("/echo", "408")
    line.writer.write(HEAD_OF_BODY + b'{"te')
    await asyncio.sleep(0.1)
    line.writer.transport.abort()

    async def counted() -> bool:
        return left + 1 == answers("/echo", "408")

    await eventually(counted)
    assert before == answers("/echo", "500")


async def test_who_does_not_read_his_answer_is_cut(house: House, eventually: Eventually) -> None:
    """
    An answer nobody takes is memory of ours.
    """
    before, line = cut("answer"), await house.line()
    line.writer.transport.pause_reading()  # type: ignore[attr-defined]
    line.writer.write(b"GET /endless HTTP/1.1\r\nHost: a\r\n\r\n")

    async def given_up() -> bool:
        return before + 1 == cut("answer")

    await eventually(given_up)


async def test_an_idle_connection_is_kept(house: House) -> None:
    """
    The gateway keeps connections for the next request: idle is not slow, whatever kind of request was the last.
    """
    lines = [await house.line() for _ in range(4)]
    for at, line in enumerate(lines):
        line.writer.write(HEAD_OF_BODY)
        await asyncio.sleep(0.1 * at)
        assert (200, "12345678") == (await line.ask(b'{"text": "12345678"}'))[::2]
    before = cut("head")
    await asyncio.sleep(3 * SETTINGS.head_timeout_seconds)

    assert [200] * 4 == [(await line.ask())[0] for line in lines]
    assert before == cut("head")


async def test_an_idle_connection_ends_after_its_time() -> None:
    """
    Kept is not kept for ever.
    """
    async with open_house(keepalive_seconds=0.2) as house:
        line = await house.line()
        assert 200 == (await line.ask())[0]

        assert await line.ended()


async def test_a_slow_but_steady_reader_gets_all_of_his_answer(house: House) -> None:
    """
    What counts is whether anything moves, not how long it takes.
    """
    before, line, read = cut("answer"), await house.line(), 0
    line.writer.write(b"GET /endless HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    while chunk := await line.reader.read(1 << 20):
        read += len(chunk)
        await asyncio.sleep(0.01)

    assert read >= MEGABYTES << 20
    assert before == cut("answer")


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"GET /" + b"x" * 2000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", (431, "head_too_large")),
        (b"GET /quick HTTP/1.1\r\nHost: a\r\nX-Long: " + b"x" * 2000 + b"\r\n\r\n", (431, "head_too_large")),
        (b"GET /quick HTTP/1.1\r\nHost: a\r\n" + b"X-A: b\r\n" * 100 + b"\r\n", (431, "head_too_large")),
        (b"GET /quick HTTP/1.1\r\nHost: a\r\n", None),
        (b"nonsense\r\n\r\n", (400, "bad_request")),
        (b"\x16\x03\x01\x02\x00", (400, "bad_request")),
        (HEAD_OF_BODY[:-2] + b"Content-Encoding: gzip\r\n\r\n" + b"x" * 20, (400, "bad_request")),
        (b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9000\r\n\r\n" + b"x" * 9000, (413, "body_too_large")),
    ],
)
async def test_too_much_and_nonsense_are_refused_as_problems(
    house: House, raw: bytes, expected: tuple[int, str] | None
) -> None:
    """
    What never reaches a route is said in the same form, and repeats nothing of what was sent.
    """
    line = await house.line()
    if expected is None:
        line.writer.write(raw)
        assert await line.ended()
        return
    status, headers, problem = await line.ask(raw)

    assert expected == (status, problem["code"])
    assert "application/problem+json" == headers["Content-Type"].partition(";")[0]
    assert "xxx" not in json.dumps(problem)
