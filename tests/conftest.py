"""
What every test may ask for. Unit tests find the network switched off.
"""

import asyncio
import gc
import inspect
import os
import socket
import time
import warnings
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

Eventually = Callable[..., Awaitable[Any]]
REAL_KAFKA = os.environ.get("ANTREAN_TEST_KAFKA") == "real"


@pytest.fixture(scope="session", autouse=True)
def _one_loop_outside_tests() -> Iterator[None]:
    """
    The loop that stands between tests is made and closed here; pytest-asyncio would leave one open.
    """
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield
    loop.close()


@pytest.fixture(scope="session")
def what_the_driver_drops() -> Callable[[], None]:
    """
    Where a broker starts or goes away, aiokafka can drop a connection it was just making, without closing it.

    Collected on purpose, its warning does not fail whichever test the collector happens to run in.
    """

    def sweep() -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            gc.collect()

    return sweep


@pytest.fixture(autouse=True)
def _swept_up_after_a_broker(
    request: pytest.FixtureRequest, what_the_driver_drops: Callable[[], None]
) -> Iterator[None]:
    """
    Around tests that move a broker; on Apache Kafka, which starts slowly, around every test.

    The collector waits until the sweep, or it would find what was dropped in the middle of the test.
    """
    if not REAL_KAFKA and request.node.get_closest_marker("kafka") is None:
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        what_the_driver_drops()
        gc.enable()


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
