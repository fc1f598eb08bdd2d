"""
A rebuild of Valkey from booking's snapshot: quota stops, booking writes, quota reads, and opens.

Called by `antrean rebuild`, by tests and by the bench. The rooms do the work, each in a process of
its own with a pipe between them; nothing is kept in a file. Stopped partitions stay stopped
when anything fails on the way: the same command again is always safe.
"""

import asyncio
import contextlib
import fcntl
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from ops import keyring, rooms
from ops.errors import StackError
from ops.state import PROJECT

DEADLINE_SECONDS: Final = 1800.0
PIPE_BYTES: Final = 1 << 20
"""What Linux gives without asking for a privilege."""


class Rebuilt(msgspec.Struct, frozen=True, kw_only=True):
    """
    What a rebuild has come to.
    """

    figures: dict[str, float]
    """partitions, slots, holds, claims, affected, displaced, differences, seconds."""
    lines: tuple[str, ...]
    """Every affected hold, and every difference."""


async def rebuild(
    env: Mapping[str, str],
    *,
    partitions: Sequence[int] = (),
    dry_run: bool = False,
    wait_seconds: float = 30.0,
    say: Callable[[str], None] = print,
) -> Rebuilt:
    """
    Rebuild all partitions, or some. Raises `StackError` with a room's last words.
    """
    began = asyncio.get_running_loop().time()
    chosen = [option for partition in partitions for option in ("--partition", str(partition))]
    stopped = {"mark": "", "recorded": ""}
    if not dry_run:
        said = await rooms.command("quota", "stop", "--wait", f"{wait_seconds:g}", *chosen, env=env)
        stopped = json.loads(said.splitlines()[-1])
        say(f"stopped, mark {stopped['mark']}; booking must have recorded {stopped['recorded'] or 'nothing'}")
    lines = await _piped(
        ("snapshot", "--out", "-", "--recorded", stopped["recorded"], "--wait", f"{wait_seconds:g}"),
        ("restore", "-", *chosen, *(("--dry-run",) if dry_run else ("--mark", stopped["mark"]))),
        env=env,
        say=say,
    )
    figures = json.loads(lines[-1]) | {"seconds": round(asyncio.get_running_loop().time() - began, 2)}
    return Rebuilt(figures=figures, lines=tuple(lines[:-1]))


async def _piped(
    booking: Sequence[str], quota: Sequence[str], *, env: Mapping[str, str], say: Callable[[str], None]
) -> list[str]:
    readable, writable = os.pipe()
    _widen(writable)
    try:
        writer = await _start("booking", booking, env, stdout=writable, stderr=asyncio.subprocess.PIPE)
        reader = await _start(
            "quota", quota, env, stdin=readable, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
    finally:
        os.close(readable)
        os.close(writable)
    words: list[str] = []
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            out, *_ = await asyncio.gather(
                _read(reader.stdout), _hear(reader.stderr, say, words), _hear(writer.stderr, say, words)
            )
            codes = await writer.wait(), await reader.wait()
    except TimeoutError:
        raise StackError(
            f"the rebuild did not end within {DEADLINE_SECONDS:g} s: what is stopped stays stopped"
        ) from None
    finally:
        for process in (writer, reader):
            if process.returncode is None:
                process.kill()
                await process.wait()
    if codes[0] or not out or not out[-1].startswith("{"):
        raise StackError("; ".join(words[-2:]) or "the rebuild failed without a word")
    return out


def _widen(pipe: int) -> None:
    """
    Let booking be ahead by what quota reads at once, where the system can.
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, PIPE_BYTES)


async def _start(
    room: str, arguments: Sequence[str], env: Mapping[str, str], **streams: Any
) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        f"services.{room}",
        *arguments,
        cwd=PROJECT,
        env=keyring.without_others(room, env),
        **streams,
    )


async def _read(stream: asyncio.StreamReader | None) -> list[str]:
    return (await stream.read()).decode(errors="replace").splitlines() if stream else []


async def _hear(stream: asyncio.StreamReader | None, say: Callable[[str], None], words: list[str]) -> None:
    while stream and (line := await stream.readline()):
        words.append(line.decode(errors="replace").rstrip())
        say(f"  {words[-1]}")
