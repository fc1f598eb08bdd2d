"""
A stack in a thread of its own, for callers without an event loop to spare.

Used by test fixtures, whose loop changes with every test, and by synchronous tools.
Children are leashed to this thread: they end with it, whatever happens to the process.
"""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final, Self, TypeVar

from ops.kafka import Broker
from ops.stack import Stack

T = TypeVar("T")
START_DEADLINE_SECONDS: Final = 240.0
STOP_DEADLINE_SECONDS: Final = 30.0


class BackgroundStack:
    """
    `with BackgroundStack(lambda: Stack(…)) as stack:` and everything is up.
    """

    def __init__(self, build: Callable[[], Stack]) -> None:
        self.stack = build()
        self.broker = BackgroundBroker(self)
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

    @property
    def env(self) -> Mapping[str, str]:
        """As `Stack.env`."""
        return self.stack.env

    @property
    def ports(self) -> Mapping[str, int]:
        """As `Stack.ports`."""
        return self.stack.ports

    @property
    def url(self) -> str:
        """As `Stack.url`."""
        return self.stack.url

    def pid_of(self, name: str) -> int:
        """
        As `Stack.pid_of`.
        """
        return self.stack.pid_of(name)

    def kill(self, name: str) -> int:
        """
        As `Stack.kill`.
        """
        return self.stack.kill(name)

    async def wait_ready(self, *names: str) -> None:
        """
        As `Stack.wait_ready`, from any loop.
        """
        await self.ask(self.stack.wait_ready(*names))

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


class BackgroundBroker:
    """
    The stack's broker, moved from any loop.
    """

    def __init__(self, running: BackgroundStack) -> None:
        self._running = running

    @property
    def bootstrap(self) -> str:
        """Its address, which stays the same through every move."""
        return self._broker().bootstrap

    async def vanish(self) -> None:
        """
        As `Broker.vanish`.
        """
        await self._running.ask(self._broker().vanish())

    async def come_back(self) -> None:
        """
        As `Broker.come_back`.
        """
        await self._running.ask(self._broker().come_back())

    async def forget(self) -> None:
        """
        As `Broker.forget`.
        """
        await self._running.ask(self._broker().forget())

    def _broker(self) -> Broker:
        return self._running.stack.broker
