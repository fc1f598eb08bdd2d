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
from asyncio.subprocess import PIPE
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from ops import keyring
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
    waiting = ("--wait", f"{wait_seconds:g}")
    lines = await _piped(
        ("snapshot", "--out", "-", "--recorded", "-", *waiting),
        ("restore", "-", *chosen, *(("--dry-run",) if dry_run else ("--stop", *waiting))),
        stops=not dry_run,
        env=env,
        say=say,
    )
    figures = json.loads(lines[-1]) | {"seconds": round(asyncio.get_running_loop().time() - began, 2)}
    return Rebuilt(figures=figures, lines=tuple(lines[:-1]))


async def _piped(
    booking: Sequence[str], quota: Sequence[str], *, stops: bool, env: Mapping[str, str], say: Callable[[str], None]
) -> list[str]:
    """
    What quota says of booking's snapshot. Both start at once; booking waits until quota has stopped what it rebuilds.
    """
    readable, writable = os.pipe()
    words: list[str] = []
    started: list[asyncio.subprocess.Process] = []
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            with os.fdopen(readable, "rb") as source, os.fdopen(writable, "wb", buffering=0) as sink:
                _widen(writable)
                writer = await _start("booking", booking, env, stdin=PIPE, stdout=sink, stderr=PIPE)
                started.append(writer)
                reader = await _start("quota", quota, env, stdin=source, stdout=PIPE, stderr=PIPE)
                started.append(reader)
            out, *_ = await asyncio.gather(
                _hand_over(reader, writer, stops=stops, say=say),
                _hear(reader.stderr, say, words),
                _hear(writer.stderr, say, words),
            )
            codes = await writer.wait(), await reader.wait()
    except TimeoutError:
        raise StackError(
            f"the rebuild did not end within {DEADLINE_SECONDS:g} s: what is stopped stays stopped"
        ) from None
    finally:
        for process in started:
            if process.returncode is None:
                process.kill()
                await process.wait()
    if codes[0] or not out or not out[-1].startswith("{"):
        raise StackError("; ".join(words[-2:]) or "the rebuild failed without a word")
    return out


async def _hand_over(
    reader: asyncio.subprocess.Process, writer: asyncio.subprocess.Process, *, stops: bool, say: Callable[[str], None]
) -> list[str]:
    """
    Tell booking what it must have recorded, once quota has said so. Returns what quota says of the snapshot.
    """
    recorded = ""
    if stops and reader.stdout and (line := await reader.stdout.readline()):
        stopped = json.loads(line)
        recorded = stopped["recorded"]
        say(f"stopped, mark {stopped['mark']}; booking must have recorded {recorded or 'nothing'}")
    elif stops:
        # It has said why on its other stream. Booking need not begin.
        with contextlib.suppress(ProcessLookupError):
            writer.kill()
        return []
    if writer.stdin is not None:
        writer.stdin.write(f"{recorded}\n".encode())
        writer.stdin.close()
    return (await reader.stdout.read()).decode(errors="replace").splitlines() if reader.stdout else []


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


async def _hear(stream: asyncio.StreamReader | None, say: Callable[[str], None], words: list[str]) -> None:
    while stream and (line := await stream.readline()):
        words.append(line.decode(errors="replace").rstrip())
        say(f"  {words[-1]}")
