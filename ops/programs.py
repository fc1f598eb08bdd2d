"""
A program of the stack as data, and how one is started on its leash.

Built by the modules that know a store or a service, started by the supervisor.
Never decides whether a program should run.
"""

import asyncio
import contextlib
import dataclasses
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from ops.errors import StackError
from ops.state import PROJECT

LEASH: Final = Path(__file__).with_name("leash.py")
LOG_BYTES_MAX: Final = 50_000_000
TAIL_BYTES: Final = 65_536
_ALARMS: Final = ("error", "fatal", "panic", "emerg", "refused", "exception", "required and not set")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """
    What to run, how to see that it is ready and how to end it.
    """

    name: str
    what: str
    """A few words for the progress line."""
    command: tuple[str, ...]
    env: Mapping[str, str]
    probe: str
    """An address `ops.probes` can ask whether the program is ready."""
    port: int
    needs: tuple[str, ...] = ()
    """Programs that must be ready before this one starts."""
    cwd: Path = PROJECT
    user: str = ""
    """Whom to run it as; only root can name somebody else."""
    stop_signal: signal.Signals = signal.SIGTERM
    orphan_signal: signal.Signals = signal.SIGKILL
    """What the kernel sends it when the supervisor dies without a word."""


async def spawn(program: Program, log: Path) -> asyncio.subprocess.Process:
    """
    Start the program in a session of its own, its output appended to `log`.
    """
    output = _open_log(log)
    try:
        return await asyncio.create_subprocess_exec(
            *leashed(program.command, orphan_signal=program.orphan_signal, user=program.user),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=dict(program.env),
            cwd=program.cwd,
            # A Ctrl-C in the terminal reaches the supervisor alone, which ends the rest in order.
            start_new_session=True,
        )
    finally:
        os.close(output)


async def run_to_end(program: Program, log: Path, *, deadline_seconds: float) -> None:
    """
    Run a program that does one thing and ends, such as a migration. Raises when it fails.
    """
    process = await spawn(program, log)
    try:
        code = await asyncio.wait_for(process.wait(), deadline_seconds)
    except (TimeoutError, asyncio.CancelledError):
        end_group(process.pid)
        await process.wait()
        raise
    if code != 0:
        raise StackError(f"{program.name} failed ({how_it_ended(code)}): {last_alarm(log)}")


def leashed(
    command: Sequence[str], *, orphan_signal: signal.Signals = signal.SIGKILL, user: str = ""
) -> tuple[str, ...]:
    """
    The command line that runs `command` so that it ends with this process.
    """
    leash = (sys.executable, "-I", "-S", str(LEASH), "--parent", str(os.getpid()), "--signal", str(int(orphan_signal)))
    return (*leash, *(("--user", user) if user else ()), "--", *command)


def end_group(pid: int) -> None:
    """
    Kill whatever is left of a program's session, such as the workers of a killed nginx.
    """
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def how_it_ended(code: int) -> str:
    """
    An exit code in words.
    """
    return f"exit code {code}" if code >= 0 else f"killed by {signal.Signals(-code).name}"


def last_alarm(log: Path) -> str:
    """
    The last line of a log that speaks of an error, else its last line.
    """
    lines = [line.strip() for line in tail_text(log).splitlines() if line.strip()]
    alarms = [line for line in lines if any(word in line.lower() for word in _ALARMS)]
    return (alarms or lines or ["its log is empty"])[-1][:500]


def tail_text(log: Path) -> str:
    """
    The end of a log.
    """
    if not log.exists():
        return ""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - TAIL_BYTES))
        return file.read().decode(errors="replace")


def trim_log(log: Path) -> None:
    """
    Keep a log within its limit: what was written so far moves to `NAME.log.1`, the writer goes on in place.
    """
    if log.exists() and log.stat().st_size > LOG_BYTES_MAX:
        log.with_suffix(".log.1").write_bytes(log.read_bytes())
        os.truncate(log, 0)


def _open_log(log: Path) -> int:
    trim_log(log)
    # Appending survives the truncation above: every write goes to the end as it is then.
    return os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
