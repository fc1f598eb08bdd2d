"""
Commands around the local stack: up, down, status, logs, doctor, reset.

Thin: each reads its options, asks `ops.stack` or the state folder, and prints.
"""

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Final

import typer

from ops import doctor as examination
from ops import logins, postgres, probes, tail
from ops.commands.common import DEFAULT_DIR, Dir
from ops.errors import StackError
from ops.release.show import show
from ops.report import Entry, Report
from ops.stack import Stack
from ops.state import PROJECT, StateDir

DOWN_DEADLINE_SECONDS: Final = 15.0
DETACHED_START_DEADLINE_SECONDS: Final = 300.0
POLL_SECONDS: Final = 0.1
READY: Final = "Ready"


def register(app: typer.Typer) -> None:
    """
    Attach this group to the command line.
    """
    for command in (up, down, status, logs, doctor, reset):
        app.command()(command)


def up(
    state_dir: Dir = DEFAULT_DIR,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Return once it is ready.")] = False,  # noqa: FBT002
    kafka: Annotated[str | None, typer.Option(help="embedded, real, or host:port.")] = None,
    stores: Annotated[bool, typer.Option("--stores", help="Stores and mail only, no services.")] = False,  # noqa: FBT002
    release: Annotated[bool, typer.Option("--release", help="Then play a small release to watch.")] = False,  # noqa: FBT002
) -> None:
    """
    Start the whole stack, or resume where the last one ended.
    """
    state = StateDir(state_dir)
    if (pid := state.running_pid()) is not None:
        report = Report.read(state)
        print(f"A stack already runs on {state.root} (process {pid}).")
        print(report.welcome(state) if report else "It is still starting.")
        return
    if release and (stores or detach):
        raise typer.BadParameter("--release needs the services and a terminal to show it in")
    if detach:
        _detached(state, [*(("--kafka", kafka) if kafka else ()), *(("--stores",) if stores else ())])
        return
    stack = Stack(state.root, services=not stores, kafka=kafka, say=_say)
    raise typer.Exit(asyncio.run(_foreground(stack, with_services=not stores, release=release)))


def down(state_dir: Dir = DEFAULT_DIR) -> None:
    """
    End the stack; its data stays.
    """
    state = StateDir(state_dir)
    pid = state.running_pid()
    if pid is None:
        print(f"No stack runs on {state.root}.")
        return
    os.kill(pid, signal.SIGTERM)
    if not _until(lambda: state.running_pid() is None and _ended(pid), within_seconds=DOWN_DEADLINE_SECONDS):
        # Its children are leashed to it and end with it.
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        print(f"The supervisor (process {pid}) did not end within {DOWN_DEADLINE_SECONDS:g} s and was killed.")
    print("Down. `antrean up` resumes it, `antrean reset` forgets it.")


def status(state_dir: Dir = DEFAULT_DIR) -> None:
    """
    Every program: ready or why not, process, port, restarts.
    """
    state = StateDir(state_dir)
    report = Report.read(state)
    if state.running_pid() is None or report is None:
        print(f"No stack runs on {state.root}.")
        raise typer.Exit(1)
    faults = asyncio.run(_faults(report))
    print(f"  {'name':<16} {'process':>8} {'port':>6} {'restarts':>9}  state")
    for entry, fault in zip(report.programs, faults, strict=True):
        told = "ready" if fault is None else f"not ready: {fault}"
        print(f"  {entry.name:<16} {entry.pid or '-':>8} {entry.port:>6} {entry.restarts:>9}  {told}")
    raise typer.Exit(0 if not any(faults) else 1)


def logs(
    name: Annotated[str | None, typer.Argument(help="A program's name; all of them if left out.")] = None,
    state_dir: Dir = DEFAULT_DIR,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as lines come.")] = False,  # noqa: FBT002
    lines: Annotated[int, typer.Option("--lines", "-n", min=1, max=10_000, help="How many of the last lines.")] = 20,
) -> None:
    """
    Show what programs wrote.
    """
    tail.show(StateDir(state_dir), name, lines_max=lines, follow=follow)


def doctor(state_dir: Dir = DEFAULT_DIR) -> None:
    """
    Say in a sentence each what is wrong. Exit code 1 when something is.
    """
    findings = asyncio.run(examination.examine(StateDir(state_dir), os.environ))
    for finding in findings:
        print(f"{'✗' if finding.is_fault else '·'} {finding.text}")
    if any(finding.is_fault for finding in findings):
        raise typer.Exit(1)
    print("Nothing is wrong.")


def reset(
    state_dir: Dir = DEFAULT_DIR,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,  # noqa: FBT002
) -> None:
    """
    Delete the stopped stack's state: data, secrets, mails and logs.
    """
    state = StateDir(state_dir)
    if not state.root.exists():
        print(f"There is no state in {state.root}.")
        return
    if state.running_pid() is not None:
        raise StackError(f"a stack runs on {state.root}: `antrean down` first")
    if state.version_found() is None:
        raise StackError(f"{state.root} is not a folder of antrean's: nothing was deleted")
    if not yes:
        typer.confirm(f"Delete {state.root} with everything in it?", abort=True)
    shutil.rmtree(state.root)
    shutil.rmtree(postgres.sheltered(state.root / "postgres"), ignore_errors=True)
    print(f"Deleted {state.root}.")


def _ended(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    # Ended, and only its parent has not looked yet.
    with contextlib.suppress(FileNotFoundError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    return False


async def _foreground(stack: Stack, *, with_services: bool, release: bool) -> int:
    began = time.monotonic()
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, ended.set)
    _say(f"Starting on {stack.state.root}")
    starting = asyncio.create_task(stack.start())
    ending = asyncio.create_task(ended.wait())
    await asyncio.wait([starting, ending], return_when=asyncio.FIRST_COMPLETED)
    if not starting.done():
        starting.cancel()
        _say("Stopping before everything was up")
        await asyncio.wait([starting])
        return 130
    ending_reason = starting.exception()
    if ending_reason is not None:
        ending.cancel()
        raise ending_reason
    if with_services:
        await logins.ensure(stack.state, stack.env)
    report = Report.read(stack.state)
    # In one piece: whoever started us detached reads up to here.
    _say(f"{READY} in {time.monotonic() - began:.1f} s\n\n{report.welcome(stack.state) if report else ''}")
    showing = asyncio.create_task(show(stack.env, _say)) if release else None
    await ending
    _say("Stopping")
    if showing is not None:
        showing.cancel()
        await asyncio.wait([showing])
    await stack.stop()
    return 0


def _detached(state: StateDir, options: list[str]) -> None:
    state.prepare()
    log = state.log_of("supervisor")
    command = [sys.executable, "-m", "ops", "up", "--dir", str(state.root), *options]
    with log.open("w") as output:
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=PROJECT, start_new_session=True
        )
    with log.open() as lines:

        def ready() -> bool:
            text = lines.read()
            print(text, end="", flush=True)
            return f"{READY} in" in text

        settled = _until(lambda: ready() or child.poll() is not None, within_seconds=DETACHED_START_DEADLINE_SECONDS)
        ready()
    if child.poll() is not None:
        raise typer.Exit(1)
    if not settled:
        raise StackError(f"not ready after {DETACHED_START_DEADLINE_SECONDS:g} s; still trying: see {log}")


async def _faults(report: Report) -> list[str | None]:
    async def fault(entry: Entry) -> str | None:
        return "not running" if entry.pid is None else await probes.fault(entry.probe)

    return list(await asyncio.gather(*(fault(entry) for entry in report.programs)))


def _until(holds: Callable[[], bool], *, within_seconds: float) -> bool:
    end = time.monotonic() + within_seconds
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(POLL_SECONDS)
    return True


def _say(line: str) -> None:
    print(line, flush=True)
