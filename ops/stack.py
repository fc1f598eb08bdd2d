"""
The local stack: stores, broker, mails, services and gateway, started in order and ended in reverse.

Used by `antrean up`, by the demo and by tests, each with a folder of its own. Owns
every process it starts, through its supervisor; a store given by URL in the
environment is used and never started or stopped. Prints nothing: what is worth
telling goes to `say`.
"""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final, Literal, Self

from ops import blueprint, kafka, postgres, programs, topics
from ops.blueprint import Blueprint
from ops.errors import StackError
from ops.ports import Promises
from ops.programs import Program
from ops.report import Report
from ops.state import StateDir
from ops.supervisor import Supervisor

READY_DEADLINE_SECONDS: Final = 60.0
MIGRATION_DEADLINE_SECONDS: Final = 60.0
GATEWAY_GRACE_SECONDS: Final = 1.0
SERVICES_GRACE_SECONDS: Final = 3.5
STORES_GRACE_SECONDS: Final = 5.0
"""Postgres writes a checkpoint. The three rounds together stay below the ten seconds promised."""


def silent(line: str) -> None:
    """
    Tell nobody.
    """


class Stack:
    """
    One stack on one folder. `async with Stack(…)` starts and stops it.
    """

    def __init__(
        self,
        dir: Path,  # noqa: A002  # what everybody calls it
        env: Mapping[str, str] | None = None,
        *,
        services: bool | Iterable[str] = True,
        kafka: str | None = None,
        ports: Literal["usual", "free"] = "usual",
        say: Callable[[str], None] = silent,
    ) -> None:
        """
        `services`: all, none or names.
        `kafka`: embedded, real or host:port; None follows KAFKA_BOOTSTRAP, else embedded.
        """
        self.state = StateDir(dir)
        self.supervisor = Supervisor(log_of=self.state.log_of, say=say, changed=self._write_status)
        self._order = blueprint.Order(
            environ=os.environ if env is None else env, services=services, kafka=kafka, free_ports=ports == "free"
        )
        self._say = say
        self._blueprint: Blueprint | None = None
        self._began = time.time()
        self._ready = False
        self._lock = contextlib.ExitStack()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def env(self) -> Mapping[str, str]:
        """The environment of service processes, every room's secrets included."""
        return self._drawn.env

    @property
    def ports(self) -> Mapping[str, int]:
        """Every port by the name of its variable, such as GATEWAY_PORT."""
        return self._drawn.ports

    @property
    def url(self) -> str:
        """The gateway's address, where clients go."""
        return self.env["PUBLIC_URL"]

    @property
    def broker(self) -> kafka.Broker:
        """The Kafka broker, to be taken away and brought back."""
        return kafka.Broker(
            kind=self._drawn.kafka,
            bootstrap=self.env["KAFKA_BOOTSTRAP"],
            folder=self.state.data("kafka"),
            keeper=self.supervisor.keepers.get("kafka"),
        )

    @property
    def _drawn(self) -> Blueprint:
        if self._blueprint is None:
            raise StackError("the stack was not started")
        return self._blueprint

    async def start(self) -> None:
        """
        Bring everything up, or raise a sentence and leave nothing running.
        """
        await asyncio.to_thread(self.state.prepare)
        self._lock.enter_context(self.state.locked())
        try:
            promises = Promises()
            self._lock.callback(promises.release)
            self._blueprint = await asyncio.to_thread(blueprint.draw, self.state, self._order, self._say, promises)
            await self._start_all(self._blueprint)
        except BaseException:
            await self.stop()
            raise
        self._ready = True
        self._write_status()

    async def _start_all(self, drawn: Blueprint) -> None:
        await self._bring_up(drawn.stores)
        if "postgres" in self.supervisor.keepers:
            await postgres.ensure_database(drawn.ports["POSTGRES_PORT"])
        if drawn.kafka != "embedded":
            await topics.ensure(drawn.env["KAFKA_BOOTSTRAP"])
        await self._migrate(drawn.migrations)
        await self._bring_up(drawn.services)
        await self._bring_up(drawn.gateway)
        # Who was ready first may have ended since.
        await self.wait_ready()

    async def _bring_up(self, wave: tuple[Program, ...]) -> None:
        ready = {program.name: asyncio.Event() for program in wave}
        tasks = [asyncio.create_task(self._bring_up_one(program, ready)) for program in wave]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _bring_up_one(self, program: Program, ready: Mapping[str, asyncio.Event]) -> None:
        for need in program.needs:
            if need in ready:
                await ready[need].wait()
        began = time.monotonic()
        self.supervisor.start(program)
        await self.supervisor.wait_ready(program.name, deadline_seconds=READY_DEADLINE_SECONDS)
        ready[program.name].set()
        self._say(progress(program.name, program.what, f"127.0.0.1:{program.port}", time.monotonic() - began))

    async def _migrate(self, migrations: tuple[Program, ...]) -> None:
        if not migrations:
            return
        began = time.monotonic()
        await asyncio.gather(
            *(
                programs.run_to_end(run, self.state.log_of(run.name), deadline_seconds=MIGRATION_DEADLINE_SECONDS)
                for run in migrations
            )
        )
        self._say(progress("migrations", "schemas up to date", "", time.monotonic() - began))

    async def stop(self) -> None:
        """
        End everything in reverse order. Returns when no process is left.
        """
        self._ready = False
        drawn = self._blueprint
        if drawn is not None:
            for wave, grace_seconds in (
                (drawn.gateway, GATEWAY_GRACE_SECONDS),
                (drawn.services, SERVICES_GRACE_SECONDS),
                (drawn.stores, STORES_GRACE_SECONDS),
            ):
                await self.supervisor.stop([program.name for program in wave], grace_seconds=grace_seconds)
        await self.supervisor.close(grace_seconds=STORES_GRACE_SECONDS)
        self._lock.close()

    async def wait_ready(self, *names: str, deadline_seconds: float = READY_DEADLINE_SECONDS) -> None:
        """
        Return when these programs (all of them if none is named) answer their probes.
        """
        await asyncio.gather(
            *(
                self.supervisor.wait_ready(name, deadline_seconds=deadline_seconds)
                for name in names or self.supervisor.keepers
            )
        )

    def pid_of(self, name: str) -> int:
        """
        The process id of a running program.
        """
        keeper = self.supervisor.keepers.get(name)
        if keeper is None or keeper.pid is None:
            raise StackError(f"{name} does not run")
        return keeper.pid

    def kill(self, name: str) -> int:
        """
        Kill a program with SIGKILL and answer with the id it had; the supervisor starts it again.
        """
        pid = self.pid_of(name)
        os.kill(pid, signal.SIGKILL)
        return pid

    def _write_status(self) -> None:
        if self._blueprint is not None:
            report = Report.of(self._blueprint, self.supervisor, began=self._began, ready=self._ready)
            report.write(self.state)


def progress(name: str, what: str, address: str, seconds: float) -> str:
    """
    One line of a start.
    """
    return f"  {name:<16} {what:<40} {address:<18} {seconds:5.1f} s"
