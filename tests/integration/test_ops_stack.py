"""
A stack of stores: it starts, resumes, restarts what dies and leaves nothing behind.
"""

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import redis.asyncio

from ops import topics
from ops.errors import StackError
from ops.stack import Stack
from ops.state import PROJECT, StateDir

PLAIN = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
STORES = ["valkey", "postgres", "kafka", "mail"]
SECONDS = 60


@pytest.fixture
def folder() -> Iterator[Path]:
    """
    A folder Postgres can reach when we are root and it is not.
    """
    with tempfile.TemporaryDirectory(prefix="antrean-stack-") as name:
        Path(name).chmod(0o755)
        yield Path(name) / "state"


def lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    # A process that ended but was not yet collected is not alive.
    with contextlib.suppress(FileNotFoundError):
        return state.read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def remember(folder: Path, ports: dict[str, int]) -> None:
    folder.mkdir()
    (folder / "ports.json").write_text(json.dumps(ports))


def left_in(folder: Path) -> list[Path]:
    return list(folder.iterdir())


def descendants(pid: int) -> list[int]:
    children = [
        int(child) for tasks in Path(f"/proc/{pid}/task").glob("*/children") for child in tasks.read_text().split()
    ]
    return children + [below for child in children for below in descendants(child)]


def antrean(*arguments: str, folder: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ops", *arguments, "--dir", str(folder)]
    return subprocess.run(
        command, check=False, capture_output=True, text=True, cwd=PROJECT, env=PLAIN | environ, timeout=SECONDS
    )


def foreground(folder: Path, **environ: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "ops", "up", "--stores", "--dir", str(folder)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=PROJECT, env=PLAIN | environ
    )


def until_ready(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        if line.startswith("Ready in"):
            return said
    raise AssertionError(f"never ready:\n{said}")


async def test_a_stopped_stack_leaves_no_process_and_the_next_resumes_its_data(folder: Path) -> None:
    """
    Down means gone; up again means the same data at the same addresses with the same secrets.
    """
    async with Stack(folder, PLAIN, services=False, ports="free") as first:
        pids = [first.pid_of(name) for name in STORES]
        ports, env = first.ports, first.env
        connection = await asyncpg.connect(env["DATABASE_URL"])
        await connection.execute("CREATE TABLE kept (a int); INSERT INTO kept VALUES (7)")
        await connection.close()
        async with redis.asyncio.from_url(env["VALKEY_URL"]) as valkey:
            await valkey.set("kept", "8")

    assert [] == [pid for pid in pids if lives(pid)]

    async with Stack(folder, PLAIN, services=False, ports="free") as second:
        connection = await asyncpg.connect(second.env["DATABASE_URL"])
        row = await connection.fetchval("SELECT a FROM kept")
        await connection.close()
        async with redis.asyncio.from_url(second.env["VALKEY_URL"]) as valkey:
            number = await valkey.get("kept")

        assert (7, b"8") == (row, number)
        assert (ports, env) == (second.ports, second.env)


async def test_stores_are_as_durable_as_promised(stores: Any, valkey: Any) -> None:
    """
    Every write fsynced, memory never emptied, Postgres with fsync and room for every pool.
    """
    wanted = {"appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction"}
    connection = await asyncpg.connect(stores.database_url)
    shown = [await connection.fetchval(f"SHOW {name}") for name in ("fsync", "max_connections", "server_encoding")]
    await connection.close()

    assert wanted == {name: (await valkey.config_get(name))[name] for name in wanted}
    assert ["on", "200", "UTF8"] == shown


async def test_a_killed_store_comes_back_with_what_it_acknowledged(stores: Any, valkey: Any, eventually: Any) -> None:
    """
    A kill -9 of Valkey right after an answer loses nothing.
    """
    await valkey.set("acknowledged", "1")
    before = stores.stack.kill("valkey")
    await eventually(lambda: stores.stack.stack.supervisor.keepers["valkey"].pid not in {None, before})
    await stores.stack.wait_ready("valkey")
    async with redis.asyncio.from_url(stores.valkey_url) as again:
        assert b"1" == await again.get("acknowledged")


async def test_a_killed_postgres_comes_back(stores: Any, database: str, eventually: Any) -> None:
    """
    Its workers are gone too before the next one begins.
    """
    before = stores.stack.kill("postgres")
    await eventually(lambda: stores.stack.stack.supervisor.keepers["postgres"].pid not in {None, before})
    await stores.stack.wait_ready("postgres")
    connection = await asyncpg.connect(database)
    assert 1 == await connection.fetchval("SELECT 1")
    await connection.close()


async def test_a_taken_port_is_replaced_unless_it_was_asked_for(folder: Path) -> None:
    """
    Replaced and said by default; refused before anything starts when explicit.
    """
    said: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as squatter:
        port = squatter.getsockname()[1]
        remember(folder, {"VALKEY_PORT": port})
        async with Stack(folder, PLAIN, services=False, ports="free", say=said.append) as stack:
            assert port != stack.ports["VALKEY_PORT"]
        with pytest.raises(StackError, match=f"VALKEY_PORT={port} is taken"):
            await Stack(folder, PLAIN | {"VALKEY_PORT": str(port)}, services=False).start()

    assert f"  port {port} (VALKEY_PORT) is taken, using {stack.ports['VALKEY_PORT']}" in said


async def test_given_stores_are_used_and_none_is_started(stores: Any, folder: Path) -> None:
    """
    A URL in the environment always wins.
    """
    given = {
        "VALKEY_URL": stores.valkey_url,
        "DATABASE_URL": stores.database_url,
        "KAFKA_BOOTSTRAP": stores.kafka_bootstrap,
        "SMTP_URL": stores.smtp_url,
    }
    async with Stack(folder, PLAIN | given, services=False) as stack:
        assert given == {name: stack.env[name] for name in given}
        assert {} == stack.supervisor.keepers


async def test_a_start_that_fails_leaves_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A broker that cannot be had ends the start, and the stores that were up.
    """
    monkeypatch.setattr(topics, "REQUEST_DEADLINE_SECONDS", 1.0)
    stack = Stack(folder, PLAIN, services=False, kafka="127.0.0.1:9", ports="free")
    with pytest.raises(StackError, match=r"no Kafka broker answers at 127\.0\.0\.1:9"):
        await stack.start()

    assert {} == stack.supervisor.keepers
    assert StateDir(folder).running_pid() is None


async def test_ctrl_c_ends_everything_in_time(folder: Path) -> None:
    """
    One signal to the supervisor, as a terminal sends it; ten seconds at most.
    """
    process = await asyncio.to_thread(foreground, folder)
    await asyncio.to_thread(until_ready, process)
    pids = descendants(process.pid)
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    await asyncio.to_thread(process.communicate)

    assert 0 == process.returncode
    assert time.monotonic() - began < 10
    assert len(pids) > len(STORES)
    assert [] == [pid for pid in pids if lives(pid)]


async def test_a_killed_supervisor_leaves_nothing_behind(folder: Path, eventually: Any) -> None:
    """
    Not even kill -9 of the one who would clean up; and the next start works.
    """
    process = await asyncio.to_thread(foreground, folder)
    await asyncio.to_thread(until_ready, process)
    pids = descendants(process.pid)
    process.kill()
    await asyncio.to_thread(process.communicate)
    await eventually(lambda: not any(lives(pid) for pid in pids))
    doctor = await asyncio.to_thread(antrean, "doctor", folder=folder)

    assert f"process {process.pid}) was cut off" in doctor.stdout
    async with Stack(folder, PLAIN, services=False):
        pass


async def test_a_detached_stack_tells_where_it_is_until_it_is_taken_down(folder: Path) -> None:
    """
    up, up again, status, logs, doctor, reset while running, down, reset.
    """
    steps = [
        ("up", "--detach", "--stores"),
        ("up",),
        ("status",),
        ("logs", "valkey"),
        ("doctor",),
        ("reset", "--yes"),
        ("down",),
        ("status",),
        ("reset", "--yes"),
    ]
    done = [await asyncio.to_thread(antrean, *step, folder=folder) for step in steps]
    told = [step.stdout + step.stderr for step in done]

    assert [0, 0, 0, 0, 0, 1, 0, 1, 0] == [step.returncode for step in done], told
    assert "Ready in" in told[0]
    assert "already runs" in told[1]
    assert "Valkey     redis://127.0.0.1:" in told[1]
    assert all(name in told[2] for name in STORES)
    assert "Ready to accept connections" in told[3]
    assert "`antrean down` first" in told[5]
    assert [] == left_in(folder.parent)
