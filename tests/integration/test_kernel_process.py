"""
The life of a process: it says what is wrong and does not start, or serves, drains and ends with 0.
"""

import asyncio
import os
import resource
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from kernel.settings import BadSettings

Eventually = Callable[..., Awaitable[Any]]

ROOM = """
import asyncio, resource, sys
from aiohttp import web
from kernel.errors import Retryable
from kernel.http.application import application
from kernel.http.route import Route, answer_json
from kernel.process import Process, run, settings_of
from kernel.settings import HttpSettings

started = asyncio.Event()

async def slow(request):
    print("working", flush=True)
    await asyncio.sleep(float(request.query["seconds"]))
    return answer_json("done")

async def dies():
    await asyncio.sleep(0.2)
    raise RuntimeError("a part died")

async def api(process: Process) -> None:
    if "away" in sys.argv:
        raise Retryable("the store is away")
    if "dying" in sys.argv:
        process.spawn("part", dies())
    if "few-files" in sys.argv:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, 1000))
    if "unready" in sys.argv:
        async def ready():
            return False
        process.ready_when("store", ready)
    routes = (Route(method="GET", path="/slow", handler=slow, summary="", operation="slow", answers={200: None}),)
    settings = settings_of(HttpSettings)
    process.serve(application(routes, settings, authenticator=None), settings)

run("test-api", api)
"""


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Room:
    """
    A process of ours under test.
    """

    def __init__(self, process: asyncio.subprocess.Process, http: int, admin: int) -> None:
        self.process = process
        self.http = f"http://127.0.0.1:{http}"
        self.admin = f"http://127.0.0.1:{admin}"

    async def ready(self) -> bool:
        """
        What the readiness probe says now; False when nobody answers.
        """
        try:
            async with aiohttp.request("GET", f"{self.admin}/readyz") as response:
                return 200 == response.status
        except aiohttp.ClientError:
            return False

    async def line(self) -> bytes:
        """
        The next line it writes.
        """
        assert self.process.stdout is not None
        return await asyncio.wait_for(self.process.stdout.readline(), 10)


@asynccontextmanager
async def _room(tmp_path: Path, *arguments: str, **environ: str) -> AsyncIterator[Room]:
    script = tmp_path / "room.py"
    script.write_text(ROOM)
    http, admin = _free_port(), _free_port()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(script),
        *arguments,
        env={**os.environ, "PYTHONPATH": ".", "HTTP_PORT": str(http), "ADMIN_PORT": str(admin), **environ},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield Room(process, http, admin)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_sigterm_lets_a_running_request_finish(tmp_path: Path, eventually: Eventually) -> None:
    """
    A rolling restart fails no request that was taken.
    """
    async with _room(tmp_path, DRAIN_NOTICE_SECONDS="0") as room, aiohttp.ClientSession() as session:
        await eventually(room.ready)
        asked = asyncio.create_task(session.get(f"{room.http}/slow?seconds=2.5"))
        while b"working" not in await room.line():
            pass
        room.process.send_signal(signal.SIGTERM)
        answer = await asyncio.wait_for(asked, 10)

        assert "done" == await answer.json()
        assert 0 == await asyncio.wait_for(room.process.wait(), 10)


async def test_readiness_says_no_before_listening_stops(tmp_path: Path, eventually: Eventually) -> None:
    """
    The gateway learns first, so that nobody is sent to a closed door.
    """
    async with _room(tmp_path, DRAIN_NOTICE_SECONDS="1") as room, aiohttp.ClientSession() as session:
        await eventually(room.ready)
        room.process.send_signal(signal.SIGTERM)

        async def refused() -> bool:
            return not await room.ready()

        await eventually(refused, within_seconds=0.8)
        async with session.get(f"{room.admin}/readyz") as response:
            assert {"process": "draining"} == (await response.json())["faults"]
        async with session.get(f"{room.admin}/metrics") as response:
            assert "\nprocess_ready 0.0" in await response.text()
        async with session.get(f"{room.http}/slow?seconds=0") as response:
            assert 200 == response.status
        assert 0 == await asyncio.wait_for(room.process.wait(), 10)


async def test_a_request_that_does_not_end_cannot_hold_the_process(tmp_path: Path, eventually: Eventually) -> None:
    """
    Draining has a limit.
    """
    async with (
        _room(tmp_path, DRAIN_NOTICE_SECONDS="0", DRAIN_TIMEOUT_SECONDS="0.5") as room,
        aiohttp.ClientSession() as session,
    ):
        await eventually(room.ready)
        asked = asyncio.create_task(session.get(f"{room.http}/slow?seconds=9"))
        while b"working" not in await room.line():
            pass
        room.process.send_signal(signal.SIGTERM)

        assert 0 == await asyncio.wait_for(room.process.wait(), 5)
        with pytest.raises(aiohttp.ClientError):
            await asked


async def test_a_part_that_dies_takes_the_process_down_with_1(tmp_path: Path) -> None:
    """
    The supervisor starts a whole process again, never half of one.
    """
    async with _room(tmp_path, "dying", DRAIN_NOTICE_SECONDS="0") as room:
        assert 1 == await asyncio.wait_for(room.process.wait(), 10)


async def test_a_store_that_is_away_at_boot_ends_the_process_with_1(tmp_path: Path) -> None:
    """
    It says why in a line, and the supervisor tries again.
    """
    async with _room(tmp_path, "away") as room:
        output, errors = await asyncio.wait_for(room.process.communicate(), 10)

        assert 1 == room.process.returncode
        assert b"the store is away" in output
        assert b"Traceback" not in output + errors


async def test_an_unready_part_is_named(tmp_path: Path, eventually: Eventually) -> None:
    """
    Alive is not ready, and the probe says what is missing.
    """
    async with _room(tmp_path, "unready") as room, aiohttp.ClientSession() as session:

        async def faults() -> bool:
            try:
                async with session.get(f"{room.admin}/readyz") as response:
                    return (await response.json())["faults"] == {"store": "not ready"}
            except aiohttp.ClientError:
                return False

        await eventually(faults)
        async with session.get(f"{room.admin}/livez") as response:
            assert 200 == response.status


async def test_a_bad_environment_stops_the_boot_with_2_and_every_fault(tmp_path: Path) -> None:
    """
    Named before anything is opened.
    """
    async with _room(tmp_path, LOG_LEVEL="loud", DRAIN_NOTICE_SECONDS="long") as room:
        _, errors = await asyncio.wait_for(room.process.communicate(), 10)

        assert 2 == room.process.returncode
        assert b"DRAIN_NOTICE_SECONDS must be a number" in errors
        assert issubclass(BadSettings, Exception)


async def test_more_connections_than_files_may_be_open_stop_the_boot(tmp_path: Path) -> None:
    """
    Better no door than one that fails without a word on the day of the crowd.
    """
    async with _room(tmp_path, "few-files", HTTP_CONNECTIONS_MAX="900") as room:
        _, errors = await asyncio.wait_for(room.process.communicate(), 10)

        assert 2 == room.process.returncode
        assert b"HTTP_CONNECTIONS_MAX is 900, but only 1000 files may be open" in errors


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="only Linux tells what another process may open")
async def test_the_soft_limit_on_files_is_raised_to_what_is_needed(tmp_path: Path, eventually: Eventually) -> None:
    """
    Nobody has to know about ulimit as long as the system allows it.
    """
    async with _room(tmp_path, "few-files", HTTP_CONNECTIONS_MAX="400") as room:
        await eventually(room.ready)

        assert (912, 1000) == resource.prlimit(room.process.pid, resource.RLIMIT_NOFILE)


async def test_the_street_door_is_guarded_in_a_process(tmp_path: Path, eventually: Eventually) -> None:
    """
    As it is set in the environment: who says nothing is cut off and counted, and draining waits for no such line.
    """
    async with (
        _room(tmp_path, HTTP_HEAD_TIMEOUT_SECONDS="0.2", DRAIN_NOTICE_SECONDS="0") as room,
        aiohttp.ClientSession() as session,
    ):
        await eventually(room.ready)
        reader, writer = await asyncio.open_connection("127.0.0.1", int(room.http.rpartition(":")[2]))

        assert b"" == await asyncio.wait_for(reader.read(), 10)
        async with session.get(f"{room.admin}/metrics") as response:
            assert '\nhttp_connections_cut_total{stage="head"} 1.0' in await response.text()
        writer.close()
        room.process.send_signal(signal.SIGTERM)
        assert 0 == await asyncio.wait_for(room.process.wait(), 10)
