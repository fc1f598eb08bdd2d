"""
Password hashing with Argon2id on a bounded number of threads, with a bounded queue.

Called by use cases. A hash is made to be slow; without bounds a rush to log in would take
the machine from everything else. More than the bounds is refused at once, as a value.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Final, TypeVar

import argon2
from argon2.exceptions import VerifyMismatchError

T = TypeVar("T")
# OWASP's first choice for Argon2id: 19 MiB, 2 passes, 1 lane; about 30 ms of one core here.
HASHER: Final = argon2.PasswordHasher(time_cost=2, memory_cost=19456, parallelism=1)


class Busy:
    """
    Too many are waiting; nothing was done.
    """


class Passwords:
    """
    Hashes and verifies off the event loop.
    """

    def __init__(self, pool: ThreadPoolExecutor, *, inside_max: int) -> None:
        self._pool = pool
        self._room = threading.BoundedSemaphore(inside_max)
        self._nobodys = HASHER.hash("the password of an account that does not exist")

    async def hash(self, password: str) -> str | Busy:
        """
        A salted hash to be stored.
        """
        return await self._off_loop(lambda: HASHER.hash(password))

    async def verify(self, known_hash: str | None, password: str) -> bool | Busy:
        """
        Whether the password fits. None takes as long as a wrong password and is one.
        """
        right = await self._off_loop(lambda: _fits(known_hash or self._nobodys, password))
        return right and known_hash is not None if isinstance(right, bool) else right

    async def _off_loop(self, work: Callable[[], T]) -> T | Busy:
        if not self._room.acquire(blocking=False):
            return Busy()
        future: Future[T] = self._pool.submit(work)
        # The place is free when the thread is done, not when the caller has gone away.
        future.add_done_callback(lambda _: self._room.release())
        return await asyncio.wrap_future(future)


@asynccontextmanager
async def passwords(*, workers: int, waiting_max: int) -> AsyncIterator[Passwords]:
    """
    The hashing threads for the life of a process.
    """
    pool = ThreadPoolExecutor(max_workers=workers, thread_name_prefix="argon2")
    try:
        yield Passwords(pool, inside_max=workers + waiting_max)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _fits(known_hash: str, password: str) -> bool:
    try:
        return HASHER.verify(known_hash, password)
    except VerifyMismatchError:
        return False
