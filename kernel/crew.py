"""
Several workers of one kind on one machine: started, kept, and ended together.

Called by a room's `__main__` when more than one worker is asked for. A worker is a whole
process started from scratch: it listens on the common HTTP port with a socket of its own
(SO_REUSEPORT), has an admin port and metrics of its own, and shares nothing. One that dies is
started again after a pause that grows; one that refuses its configuration ends the crew, for
the next would refuse it too. Never opens a client and answers no request.
"""

import asyncio
import contextlib
import ctypes
import dataclasses
import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Final, NoReturn

import uvloop

from kernel import log as logging
from kernel.settings import BadSettings, HttpSettings, ProcessSettings

log = logging.get_logger(__name__)
WORKERS_MAX: Final = 64
PORT_MAX: Final = 65535
PAUSE_SECONDS_MIN: Final = 0.2
PAUSE_SECONDS_MAX: Final = 5.0
SETTLED_SECONDS: Final = 10.0
"""A worker that lived this long is started again without much of a pause."""
MARGIN_SECONDS: Final = 2.0
"""For closing what is open, after requests and tasks have had their drain time each."""
REFUSED: Final = 2
_ENDED_WELL: Final = {0, -signal.SIGTERM}
"""Told to end before it had begun, a worker ends by the signal: it had taken nothing."""
_PR_SET_PDEATHSIG: Final = 1

Command = Callable[[int], Sequence[str]]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """
    How many of what. Raises `BadSettings` where their ports cannot be.
    """

    name: str
    workers: int
    command: Command
    """The command line of a worker by its number, from 1 on."""
    process: ProcessSettings
    http: HttpSettings

    def __post_init__(self) -> None:
        """
        Refuse what no worker could live with.
        """
        admin, last = self.process.admin_port, self.process.admin_port + self.workers - 1
        if not 1 <= self.workers <= WORKERS_MAX:
            raise BadSettings(f"--workers must be 1..{WORKERS_MAX}, got {self.workers}")
        if self.workers > 1 and self.http.port == 0:
            raise BadSettings("HTTP_PORT must be one port for all workers, got 0, which takes a free one for each")
        if last > PORT_MAX:
            raise BadSettings(f"ADMIN_PORT is the first of {self.workers} ports and must leave room, got {admin}")
        if admin and admin <= self.http.port <= last:
            raise BadSettings(f"HTTP_PORT {self.http.port} is one of the workers' admin ports {admin}..{last}")

    def name_of(self, number: int) -> str:
        """
        As the logs call a worker.
        """
        return f"{self.name}-{number}"

    def admin_port_of(self, number: int) -> int:
        """
        The ports count up from the first worker's; 0 takes a free one for each.
        """
        return self.process.admin_port and self.process.admin_port + number - 1

    @property
    def patience_seconds(self) -> float:
        """
        The longest a worker may take to drain.
        """
        return self.process.drain_notice_seconds + 2 * self.process.drain_timeout_seconds + MARGIN_SECONDS


class Crew:
    """
    The workers of an order.
    """

    def __init__(self, order: Order) -> None:
        self._order = order
        self._stopping = asyncio.Event()
        self._refused = False
        self._running: dict[int, asyncio.subprocess.Process] = {}

    async def work(self) -> int:
        """
        Until told to stop. Returns the exit code: 0 if every worker drained, 2 if they refuse their configuration.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        numbers = range(1, self._order.workers + 1)
        keeping = [asyncio.ensure_future(self._keep(number)) for number in numbers]
        await self._stopping.wait()
        log.info("crew_drains", workers=len(self._running))
        self._tell_all(signal.SIGTERM)
        _, late = await asyncio.wait(keeping, timeout=self._order.patience_seconds)
        if late:
            log.error("workers_killed", workers=sorted(map(self._order.name_of, self._running)))
            self._tell_all(signal.SIGKILL)
        ended_well = [await one for one in keeping]
        return REFUSED if self._refused else 0 if all(ended_well) else 1

    async def _keep(self, number: int) -> bool:
        """
        Keep a worker alive. Returns whether it drained when it was told to.
        """
        clock = asyncio.get_running_loop().time
        pause_seconds = PAUSE_SECONDS_MIN
        while not self._stopping.is_set():
            began = clock()
            code = await self._live(number)
            if self._stopping.is_set():
                return code in _ENDED_WELL
            if code == REFUSED:
                self._refused = True
                self._stopping.set()
                return False
            if clock() - began > SETTLED_SECONDS:
                pause_seconds = PAUSE_SECONDS_MIN
            log.error("worker_died", worker=self._order.name_of(number), code=code, again_in_seconds=pause_seconds)
            await self._pause(pause_seconds)
            pause_seconds = min(pause_seconds * 2, PAUSE_SECONDS_MAX)
        return True

    async def _live(self, number: int) -> int:
        worker = await asyncio.create_subprocess_exec(
            *self._order.command(number),
            stdin=asyncio.subprocess.DEVNULL,
            env={**os.environ, "ADMIN_PORT": str(self._order.admin_port_of(number))},
        )
        self._running[number] = worker
        log.info("worker_started", worker=self._order.name_of(number), worker_pid=worker.pid)
        if self._stopping.is_set():
            worker.terminate()
        code = await worker.wait()
        del self._running[number]
        return code

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return

    def _tell_all(self, number: signal.Signals) -> None:
        for worker in self._running.values():
            # One that has just ended need not be told.
            with contextlib.suppress(ProcessLookupError):
                worker.send_signal(number)


def lead(order: Order) -> NoReturn:
    """
    Be the crew's leader until told to stop; exits as `Crew.work` says.
    """
    logging.configure(order.name, order.process.log_level)

    async def work() -> int:
        return await Crew(order).work()

    code = uvloop.run(work())
    logging.flush()
    sys.exit(code)


def follow(leader_pid: int) -> None:
    """
    Called by a worker first: it drains when its leader dies without a word. Where the kernel cannot say so, it stays.
    """
    if sys.platform != "linux":
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != leader_pid:
        sys.exit("the leader ended before this worker began")
