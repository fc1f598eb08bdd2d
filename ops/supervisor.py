"""
Keeps the programs of a stack alive, and ends them all when asked.

Used by `ops.stack`, one per stack, inside its event loop. Starts a program again
whenever it ends, without giving up. Never decides what belongs to a stack, nor
in which order it starts: that is the stack's.
"""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from ops import probes, programs
from ops.errors import StackError
from ops.programs import Program

BACKOFF_FIRST_SECONDS: Final = 0.5
BACKOFF_MAX_SECONDS: Final = 10.0
STEADY_SECONDS: Final = 20.0
"""A program that lived this long starts its back-off afresh."""
RESTARTS_WORTH_SAYING: Final = 5
DEATHS_BEFORE_READY_MAX: Final = 4
POLL_SECONDS: Final = 0.05
LOG_LOOK_SECONDS: Final = 30.0


class Keeper:
    """
    One program and its life: running, waiting to run again, held back, ended.
    """

    def __init__(self, program: Program, *, log: Path, say: Callable[[str], None], changed: Callable[[], None]) -> None:
        self.program = program
        self.log = log
        self.restarts = 0
        self.pid: int | None = None
        self._say = say
        self._changed = changed
        self._may_run = asyncio.Event()
        self._may_run.set()
        self._stopping = asyncio.Event()
        self._task = asyncio.create_task(self._keep(), name=f"keep {program.name}")

    async def _keep(self) -> None:
        backoff_seconds = BACKOFF_FIRST_SECONDS
        while not self._stopping.is_set():
            began = time.monotonic()
            ending = await self._live()
            if self._stopping.is_set():
                return
            if not self._may_run.is_set():
                await self._either(self._may_run, self._stopping)
                continue
            if time.monotonic() - began > STEADY_SECONDS:
                backoff_seconds = BACKOFF_FIRST_SECONDS
            self.restarts += 1
            self._say(self._epitaph(ending, backoff_seconds))
            await self._either(self._stopping, within_seconds=backoff_seconds)
            backoff_seconds = min(backoff_seconds * 2, BACKOFF_MAX_SECONDS)

    async def _live(self) -> str:
        try:
            process = await programs.spawn(self.program, self.log)
        except OSError as error:
            return f"could not start: {error}"
        self.pid = process.pid
        self._changed()
        if self._stopping.is_set():
            self.signal(self.program.stop_signal)
        code = await process.wait()
        programs.end_group(process.pid)
        self.pid = None
        self._changed()
        return programs.how_it_ended(code)

    def _epitaph(self, ending: str, backoff_seconds: float) -> str:
        line = f"{self.program.name} ended ({ending}); starting it again in {backoff_seconds:g} s"
        if self.restarts >= RESTARTS_WORTH_SAYING:
            line += f" (for the {self.restarts}th time; its log says: {programs.last_alarm(self.log)})"
        return line

    @staticmethod
    async def _either(*events: asyncio.Event, within_seconds: float | None = None) -> None:
        waits = [asyncio.create_task(event.wait()) for event in events]
        try:
            await asyncio.wait(waits, timeout=within_seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    def signal(self, number: signal.Signals) -> None:
        """
        Send the running program a signal; nothing when it does not run.
        """
        if self.pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def hold(self) -> None:
        """
        Kill the program and keep it down until `release`.
        """
        self._may_run.clear()
        self.signal(signal.SIGKILL)

    def release(self) -> None:
        """
        Let a held program run again.
        """
        self._may_run.set()

    async def stop(self, *, grace_seconds: float) -> None:
        """
        Ask the program to end, make it end after the grace, return when it is gone.
        """
        self._stopping.set()
        self.signal(self.program.stop_signal)
        done, _ = await asyncio.wait([self._task], timeout=grace_seconds)
        if not done and self.pid is not None:
            self._say(f"{self.program.name} did not end within {grace_seconds:g} s, killing it")
            programs.end_group(self.pid)
        await self._task


class Supervisor:
    """
    All keepers of a stack by name.
    """

    def __init__(
        self, *, log_of: Callable[[str], Path], say: Callable[[str], None], changed: Callable[[], None]
    ) -> None:
        self.keepers: dict[str, Keeper] = {}
        self._log_of = log_of
        self._say = say
        self._changed = changed
        self._trimming: asyncio.Task[None] | None = None

    def start(self, program: Program) -> None:
        """
        Begin to keep a program running. Raises `StackError` if one of this name is kept already.
        """
        if program.name in self.keepers:
            raise StackError(f"{program.name} is kept already")
        if self._trimming is None:
            self._trimming = asyncio.create_task(self._keep_logs_short(), name="keep logs short")
        self.keepers[program.name] = Keeper(
            program, log=self._log_of(program.name), say=self._say, changed=self._changed
        )

    async def wait_ready(self, name: str, *, deadline_seconds: float) -> None:
        """
        Return when the program answers its probe; say in the exception why it does not.
        """
        keeper = self.keepers[name]
        restarts_before = keeper.restarts
        end = time.monotonic() + deadline_seconds
        while (fault := await self._fault(keeper)) is not None:
            if keeper.restarts - restarts_before >= DEATHS_BEFORE_READY_MAX:
                raise StackError(f"{name} keeps ending before it is ready: {programs.last_alarm(keeper.log)}")
            if time.monotonic() > end:
                alarm = programs.last_alarm(keeper.log)
                raise StackError(f"{name} is not ready after {deadline_seconds:g} s ({fault}): {alarm}")
            await asyncio.sleep(POLL_SECONDS)

    @staticmethod
    async def _fault(keeper: Keeper) -> str | None:
        # A dead program's port may answer for somebody else.
        return "not running" if keeper.pid is None else await probes.fault(keeper.program.probe)

    async def stop(self, names: Iterable[str], *, grace_seconds: float) -> None:
        """
        End these programs side by side.
        """
        keepers = [self.keepers.pop(name) for name in list(names) if name in self.keepers]
        await asyncio.gather(*(keeper.stop(grace_seconds=grace_seconds) for keeper in keepers))

    async def close(self, *, grace_seconds: float) -> None:
        """
        End whatever still runs.
        """
        await self.stop(list(self.keepers), grace_seconds=grace_seconds)
        if self._trimming is not None:
            self._trimming.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._trimming
            self._trimming = None

    async def _keep_logs_short(self) -> None:
        while True:
            await asyncio.sleep(LOG_LOOK_SECONDS)
            for keeper in list(self.keepers.values()):
                await asyncio.to_thread(programs.trim_log, keeper.log)
