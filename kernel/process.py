"""
The life of a process: settings, log, admin port, tasks, readiness, drain, end.

Called by every room's `__main__`. `run` builds the process through the room's wiring,
serves until SIGTERM or SIGINT, then: readiness says no, listening stops, running requests
finish, tasks end, and everything opened is closed in reverse. A task that dies takes the
process down with exit code 1; the supervisor starts it again.
"""

import asyncio
import contextlib
import gc
import os
import resource
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any, NoReturn, TypeVar

import uvloop
from aiohttp import web

from kernel import log as logging
from kernel import metrics
from kernel.errors import Retryable
from kernel.http.door import DoorRunner
from kernel.http.short import take_short_ways
from kernel.settings import BadSettings, HttpSettings, ProcessSettings, load

T = TypeVar("T")
Build = Callable[["Process"], Awaitable[None]]
log = logging.get_logger(__name__)
READY_CHECK_TIMEOUT_SECONDS = 2.0
CLEANUP_SECONDS = 1.0
"""For closing connections once their requests have ended or were given up."""
COLLECT_AFTER_OBJECTS = 100_000
BACKLOG = 4096
FILES_SPARE = 512
"""For the stores, the broker, the log and the admin port, besides one file descriptor per connection."""


class Process:
    """
    What a room's wiring hangs its parts on.
    """

    def __init__(self, name: str, settings: ProcessSettings) -> None:
        self.name = name
        self.settings = settings
        self._exits = AsyncExitStack()
        self._checks: dict[str, Callable[[], Awaitable[bool]]] = {}
        self._tasks: list[asyncio.Task[Any]] = []
        self._street: list[tuple[DoorRunner, HttpSettings]] = []
        self._serving = False
        self._stopping = asyncio.Event()
        self._failed = False

    async def open(self, context: AbstractAsyncContextManager[T]) -> T:
        """
        Open something for the life of the process; closed in reverse at its end.
        """
        return await self._exits.enter_async_context(context)

    def ready_when(self, name: str, check: Callable[[], Awaitable[bool]]) -> None:
        """
        Readiness asks `check`; `name` is shown when it says no.
        """
        self._checks[name] = check

    def spawn(self, name: str, work: Awaitable[None]) -> None:
        """
        Run a task for the life of the process.
        """
        task: asyncio.Task[None] = asyncio.ensure_future(work)
        task.set_name(name)
        task.add_done_callback(self._ended)
        self._tasks.append(task)

    def serve(self, app: web.Application, settings: HttpSettings) -> None:
        """
        Open the door to the street once everything is built.
        """
        _make_room_for(settings.connections_max)
        runner = DoorRunner(app, settings, shutdown_timeout_seconds=self.settings.drain_timeout_seconds)
        self._street.append((runner, settings))

    async def unready(self) -> dict[str, str]:
        """
        What stands in the way of readiness, by name; empty when ready.
        """
        if self._stopping.is_set() or not self._serving:
            metrics.process_ready.set(0)
            return {"process": "draining" if self._stopping.is_set() else "starting"}
        faults = {}
        for name, check in self._checks.items():
            try:
                async with asyncio.timeout(READY_CHECK_TIMEOUT_SECONDS):
                    if not await check():
                        faults[name] = "not ready"
            except Exception as error:  # noqa: BLE001 - whatever it is, it is the answer
                faults[name] = repr(error)
        metrics.process_ready.set(0 if faults else 1)
        return faults

    async def live(self, build: Build) -> int:
        """
        Build, serve, drain. Returns the exit code.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        async with self._exits:
            await self._open_admin()
            built = asyncio.ensure_future(build(self))
            stopped = asyncio.ensure_future(self._stopping.wait())
            await asyncio.wait({built, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if built.done():
                await built
                await self._open_street()
                self._serving = True
                log.info("started", pid=os.getpid())
                await self._stopping.wait()
            else:
                built.cancel()
            stopped.cancel()
            await self._drain()
        log.info("stopped", failed=self._failed)
        return 1 if self._failed else 0

    async def _open_admin(self) -> None:
        app = web.Application()
        app.router.add_get("/livez", _livez)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", _metrics)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        self._exits.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, self.settings.admin_host, self.settings.admin_port).start()

    async def _readyz(self, _: web.Request) -> web.Response:
        faults = await self.unready()
        return web.json_response({"ready": not faults, "faults": faults}, status=503 if faults else 200)

    async def _open_street(self) -> None:
        for runner, settings in self._street:
            await runner.setup()
            if runner.server is not None:
                take_short_ways(runner.server, runner.app)
            await web.TCPSite(
                runner, settings.host, settings.port, backlog=BACKLOG, reuse_port=hasattr(socket, "SO_REUSEPORT")
            ).start()

    async def _drain(self) -> None:
        await asyncio.sleep(self.settings.drain_notice_seconds)
        for runner, _ in self._street:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.settings.drain_timeout_seconds + CLEANUP_SECONDS):
                    await runner.cleanup()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=self.settings.drain_timeout_seconds)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if task.cancelled() and self._stopping.is_set():
            return
        error = None if task.cancelled() else task.exception()
        log.error("task_died", task=task.get_name(), exc_info=error)
        self._failed = True
        self._stopping.set()


def _make_room_for(connections_max: int) -> None:
    # Without a free descriptor accepting fails again and again, and nobody is told anything.
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections_max + FILES_SPARE
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise BadSettings(
            f"HTTP_CONNECTIONS_MAX is {connections_max}, but only {hard} files may be open (ulimit -n): {wanted} needed"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


async def _livez(_: web.Request) -> web.Response:
    return web.json_response({"alive": True})


async def _metrics(_: web.Request) -> web.Response:
    return web.Response(body=metrics.render(), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})


def settings_of(cls: type[T]) -> T:
    """
    Settings from the environment, for wiring. Raises `BadSettings`, which `run` says before it exits with 2.
    """
    return load(cls, os.environ)


def settings_or_exit(cls: type[T]) -> T:
    """
    The same for commands: every fault on a line, then exit with 2.
    """
    try:
        return settings_of(cls)
    except BadSettings as error:
        refuse(error)


def refuse(error: BadSettings) -> NoReturn:
    """
    Say every fault of the configuration and exit with 2.
    """
    sys.stderr.write("The configuration cannot be used:\n")
    sys.stderr.writelines(f"  {fault}\n" for fault in str(error).split("; "))
    sys.exit(2)


def collect_seldom() -> None:
    """
    Look for cycles of garbage seldom, and never among what was imported.

    Batches are thousands of objects that die by their counts: looking through them every 700th took a worker a fifth
    of its time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER_OBJECTS)


def run(name: str, build: Build) -> None:
    """
    Live as process `name` until told to stop; exits with 0, or 1 if a part died.
    """
    settings = settings_or_exit(ProcessSettings)
    logging.configure(name, settings.log_level)
    collect_seldom()

    async def live() -> int:
        return await Process(name, settings).live(build)

    try:
        code = uvloop.run(live())
    except BadSettings as error:
        refuse(error)
    except (Retryable, OSError) as error:
        log.error("cannot_start", error=repr(error))  # noqa: TRY400 - the sentence is the message
        code = 1
    logging.flush()
    sys.exit(code)
