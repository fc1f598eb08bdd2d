"""
Deadlines: silence becomes "unknown" in time, whatever the driver does with a cancellation.
"""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from kernel.deadline import abandoned_after, within
from kernel.errors import DeadlineExceeded

SHORT_SECONDS = 0.02


async def _answers() -> str:
    return "answer"


async def _fails() -> str:
    raise KeyError("why")


async def _never() -> str:
    await asyncio.Event().wait()
    return "never"


async def _stubborn(released: asyncio.Event) -> str:
    while not released.is_set():
        try:
            await released.wait()
        except asyncio.CancelledError:
            continue
    return "late"


async def _cancels_itself() -> str:
    inner = asyncio.ensure_future(_never())
    inner.cancel()
    return await inner


@pytest.mark.parametrize("deadline", [within, abandoned_after])
async def test_an_answer_in_time_is_the_answer_and_a_failure_the_failure(
    deadline: Callable[..., Awaitable[str]],
) -> None:
    """
    The deadline changes nothing as long as it is kept.
    """
    assert "answer" == await deadline(5, _answers(), what="it")
    with pytest.raises(KeyError, match="why"):
        await deadline(5, _fails(), what="it")


@pytest.mark.parametrize("deadline", [within, abandoned_after])
async def test_silence_is_unknown_and_names_who_is_silent(deadline: Callable[..., Awaitable[str]]) -> None:
    """
    Unknown is not no: the caller repeats with the same id.
    """
    with pytest.raises(DeadlineExceeded, match="no answer from Kafka within"):
        await deadline(SHORT_SECONDS, _never(), what="Kafka")


async def test_a_driver_that_swallows_cancellations_is_left_behind() -> None:
    """
    The deadline is kept although the driver hangs on.
    """
    released = asyncio.Event()
    async with asyncio.timeout(5):
        with pytest.raises(DeadlineExceeded):
            await abandoned_after(SHORT_SECONDS, _stubborn(released), what="Kafka")
    released.set()


async def test_a_driver_that_cancels_itself_does_not_end_its_caller() -> None:
    """
    Only our own end may look like our own end.
    """
    with pytest.raises(DeadlineExceeded, match="cancelled itself"):
        await abandoned_after(5, _cancels_itself(), what="Kafka")


async def test_our_own_cancellation_goes_through_at_once() -> None:
    """
    A draining process does not wait for a driver.
    """
    released = asyncio.Event()
    task = asyncio.create_task(abandoned_after(60, _stubborn(released), what="Kafka"))
    await asyncio.sleep(0)
    task.cancel()
    async with asyncio.timeout(5):
        with pytest.raises(asyncio.CancelledError):
            await task
    released.set()
