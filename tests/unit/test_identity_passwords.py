"""
Hashing threads: bounded, and as slow for nobody as for somebody.
"""

import asyncio
import threading
import time

import pytest

from services.identity.stores.passwords import Busy, Passwords, passwords


async def test_a_password_fits_its_own_hash_only() -> None:
    """
    The round trip through the threads.
    """
    async with passwords(workers=1, waiting_max=4) as hashing:
        known = await hashing.hash("kuda laut biru")

        assert isinstance(known, str)
        assert await hashing.verify(known, "kuda laut biru") is True
        assert await hashing.verify(known, "kuda laut hijau") is False


async def test_nobody_has_no_password_and_takes_as_long_to_say_so() -> None:
    """
    An unknown username must not be told by a stopwatch.
    """
    async with passwords(workers=1, waiting_max=4) as hashing:
        known = await hashing.hash("kuda laut biru")

        assert isinstance(known, str)
        assert await hashing.verify(None, "the password of an account that does not exist") is False
        assert await fastest(hashing, None) > 0.4 * await fastest(hashing, known)


async def fastest(hashing: Passwords, known: str | None) -> float:
    times = []
    for _ in range(5):
        started = time.perf_counter()
        await hashing.verify(known, "wrong password")
        times.append(time.perf_counter() - started)
    return min(times)


async def test_more_than_the_bounds_are_refused_at_once() -> None:
    """
    Two inside, the third is told to come back, and a place is free again afterwards.
    """
    gate = threading.Event()
    async with passwords(workers=1, waiting_max=1) as hashing:
        inside = [asyncio.ensure_future(hashing._off_loop(gate.wait)) for _ in range(2)]
        await asyncio.sleep(0)
        refused = await hashing.hash("kuda laut biru")
        gate.set()

        assert isinstance(refused, Busy)
        assert [True, True] == await asyncio.gather(*inside)
        assert isinstance(await hashing.hash("kuda laut biru"), str)


async def test_a_caller_who_goes_away_gives_his_place_back_when_the_thread_is_done() -> None:
    """
    Cancelled requests must not let more threads' worth of work in.
    """
    gate = threading.Event()
    async with passwords(workers=1, waiting_max=0) as hashing:
        gone = asyncio.ensure_future(hashing._off_loop(gate.wait))
        await asyncio.sleep(0)
        while not gone.done():
            gone.cancel()
            await asyncio.sleep(0)
        meanwhile = await hashing.hash("kuda laut biru")
        gate.set()
        hashing._pool.submit(lambda: None).result()

        assert isinstance(meanwhile, Busy)
        assert isinstance(await hashing.hash("kuda laut biru"), str)
        with pytest.raises(asyncio.CancelledError):
            gone.result()
