"""
CPU time of a process and the core it may use, as Linux tells and takes them.

Called by the bench around every round. Reads /proc; changes nothing but affinity.
"""

import dataclasses
import os
import platform
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from ops.errors import StackError

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_UTIME = 11
"""Place of utime among the fields after the program's name; stime is the next."""
_TIMES_OF_A_CORE: Final = 8
"""user, nice, system, idle, iowait, irq, softirq, steal."""
_INTERRUPTS: Final = Path("/proc/interrupts")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Cores:
    """
    The worker's core, and that of the stores and the load generator.
    """

    worker: int
    rest: int


def two_cores() -> Cores:
    """
    Two cores this process may use. Raises a sentence where there are none to keep apart.
    """
    if not hasattr(os, "sched_setaffinity"):
        raise StackError("cores are kept apart by Linux only")
    allowed = os.sched_getaffinity(0)
    if len(allowed) < 2:
        raise StackError("the worker needs a core of its own: two cores at least")
    return apart(allowed, device_interrupts(_INTERRUPTS.read_text()))


def apart(cores: Iterable[int], interrupts: Mapping[int, int]) -> Cores:
    """
    The worker's is the core that devices interrupt least: the disk calls where those are who wait for it.
    """
    quietest_first = sorted(cores, key=lambda core: (interrupts.get(core, 0), -core))
    return Cores(worker=quietest_first[0], rest=quietest_first[-1])


def device_interrupts(table: str) -> dict[int, int]:
    """
    How often devices have interrupted each core, out of /proc/interrupts: the rows that have a number for a name.
    """
    head, *rows = table.splitlines()
    cores = [int(name.removeprefix("CPU")) for name in head.split()]
    interrupts = dict.fromkeys(cores, 0)
    for row in rows:
        name, _, counts = row.partition(":")
        if name.strip().isdigit():
            for core, count in zip(cores, counts.split(), strict=False):
                interrupts[core] += int(count)
    return interrupts


def pin(pid: int, core: int) -> None:
    """
    Keep a process with all its threads on one core; its later children inherit that.
    """
    for task in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(task.name), {core})


def cpu_seconds(pid: int) -> float:
    """
    What a process has used so far, in user and kernel mode, all its threads together.
    """
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[_UTIME]) + int(fields[_UTIME + 1])) / _TICKS_PER_SECOND


def core_seconds(core: int) -> float:
    """
    How long a core has worked so far, for whomever.
    """
    user, nice, system, _, _, irq, softirq, _ = _ticks(core)
    return (user + nice + system + irq + softirq) / _TICKS_PER_SECOND


def stolen_seconds(core: int) -> float:
    """
    How long a core had work and the host did not let it.
    """
    return _ticks(core)[-1] / _TICKS_PER_SECOND


def _ticks(core: int) -> list[int]:
    for line in Path("/proc/stat").read_text().splitlines():
        name, *ticks = line.split()
        if name == f"cpu{core}":
            return [int(one) for one in ticks[:_TIMES_OF_A_CORE]]
    raise StackError(f"/proc/stat does not know core {core}")


def machine() -> str:
    """
    The machine in a few words.
    """
    info = Path("/proc/cpuinfo").read_text()
    models = [line.partition(":")[2].strip() for line in info.splitlines() if line.startswith("model name")]
    model = models[0] if models else platform.machine()
    return f"{os.cpu_count()} cores, {model}, Linux {platform.release()}, Python {platform.python_version()}"
