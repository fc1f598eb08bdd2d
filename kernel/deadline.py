"""
A deadline on everything that leaves the process.

Called around every await on a network. Turns silence into `DeadlineExceeded`,
which says "unknown"; it never compensates and never tries again. `abandoned_after` is for
drivers that cannot be trusted with a cancellation: they swallow ours or invent their own.
"""

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

from kernel.errors import DeadlineExceeded

T = TypeVar("T")
_left_behind: set[asyncio.Future[Any]] = set()
"""The loop itself keeps tasks only weakly."""


async def within(seconds: float, awaitable: Awaitable[T], *, what: str) -> T:
    """
    Await for at most `seconds`. Raises `DeadlineExceeded` naming `what`.
    """
    try:
        async with asyncio.timeout(seconds):
            return await awaitable
    except TimeoutError as error:
        raise DeadlineExceeded(f"no answer from {what} within {seconds} s") from error


async def abandoned_after(seconds: float, awaitable: Awaitable[T], *, what: str) -> T:
    """
    As `within`, but leaves `awaitable` behind instead of waiting until it has noticed that it is cancelled.

    A cancellation nobody asked for is `DeadlineExceeded` too: for the caller it would look
    like the end of his own task.
    """
    task = asyncio.ensure_future(awaitable)
    try:
        done, _ = await asyncio.wait({task}, timeout=seconds)
    except asyncio.CancelledError:
        _leave(task)
        raise
    if not done:
        _leave(task)
        raise DeadlineExceeded(f"no answer from {what} within {seconds} s")
    if task.cancelled():
        raise DeadlineExceeded(f"{what} cancelled itself")
    return task.result()


def _leave(task: asyncio.Future[Any]) -> None:
    _left_behind.add(task)
    task.add_done_callback(_forget)
    task.cancel()


def _forget(task: asyncio.Future[Any]) -> None:
    _left_behind.discard(task)
    if not task.cancelled():
        task.exception()  # looked at, so that the loop does not report what nobody waits for
