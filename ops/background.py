"""
A stack in a thread of its own, for callers without an event loop to spare.

Used by test fixtures, whose loop changes with every test, and by synchronous tools.
Children are leashed to this thread: they end with it, whatever happens to the process.
"""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, Self, TypeVar

from ops.stack import Stack

T = TypeVar("T")
START_DEADLINE_SECONDS = 240.0
STOP_DEADLINE_SECONDS = 30.0


class BackgroundStack:
    """
    `with BackgroundStack(lambda: Stack(…)) as running:` and `running.stack` is up.
    """

    def __init__(self, build: Callable[[], Stack]) -> None:
        self.stack = build()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="stack", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        try:
            self.call(self.stack.start(), deadline_seconds=START_DEADLINE_SECONDS)
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.call(self.stack.stop(), deadline_seconds=STOP_DEADLINE_SECONDS)
        finally:
            self._end()

    def call(self, work: Coroutine[Any, Any, T], *, deadline_seconds: float = 60.0) -> T:
        """
        Run a coroutine on the stack's loop and wait for it here.
        """
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(deadline_seconds)

    async def ask(self, work: Coroutine[Any, Any, T]) -> T:
        """
        Run a coroutine on the stack's loop without stopping the caller's.
        """
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    def _end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(STOP_DEADLINE_SECONDS)
        self._loop.close()
