"""
What every test may ask for. Unit tests find the network switched off.
"""

import asyncio
import inspect
import socket
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

Eventually = Callable[..., Awaitable[Any]]


@pytest.fixture(scope="session", autouse=True)
def _one_loop_outside_tests() -> Iterator[None]:
    """
    The loop that stands between tests is made and closed here; pytest-asyncio would leave one open.
    """
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield
    loop.close()


@pytest.fixture(autouse=True)
def _unit_tests_stay_at_home(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A unit test that opens a connection is an integration test in the wrong folder.
    """
    if Path(__file__).with_name("unit") not in request.path.parents:
        return

    def refuse(*arguments: object) -> None:
        raise AssertionError(f"a unit test must not connect: {arguments[1:]}")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket.socket, "connect_ex", refuse)


@pytest.fixture
def eventually() -> Eventually:
    """
    A way to wait: asks `check` until it is true, or no longer fails an assertion, within a deadline.
    """

    async def ask(check: Callable[[], Any], *, within_seconds: float = 20.0, every_seconds: float = 0.02) -> Any:
        end = time.monotonic() + within_seconds
        while True:
            last: AssertionError | None = None
            try:
                answer = check()
                if inspect.isawaitable(answer):
                    answer = await answer
                if answer is None or answer:
                    return answer
            except AssertionError as error:
                last = error
            if time.monotonic() > end:
                raise AssertionError(f"not within {within_seconds:g} s: {last or inspect.getsource(check)}") from last
            await asyncio.sleep(every_seconds)

    return ask
