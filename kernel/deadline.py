"""
A deadline on everything that leaves the process.

Called around every await on a network. Turns silence into `DeadlineExceeded`,
which says "unknown"; it never compensates and never tries again.
"""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from kernel.errors import DeadlineExceeded

T = TypeVar("T")


async def within(seconds: float, awaitable: Awaitable[T], *, what: str) -> T:
    """
    Await for at most `seconds`. Raises `DeadlineExceeded` naming `what`.
    """
    try:
        async with asyncio.timeout(seconds):
            return await awaitable
    except TimeoutError as error:
        raise DeadlineExceeded(f"no answer from {what} within {seconds} s") from error
