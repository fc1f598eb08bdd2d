"""
Which port each program of the stack listens on.

Called once per start. An explicit port (from the environment) is kept or refused,
last run's port and the default are kept when free, else a free one is taken and
said. Binds nothing for longer than the look; what was chosen is promised by a lock
until the stack ends, or two stacks starting together would choose the same.
"""

import dataclasses
import fcntl
import os
import random
import socket
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Final, TextIO

from ops.errors import StackError

FREE_FROM, FREE_TO = 20_000, 32_000
"""Below the range the kernel hands to outgoing connections, so that a stopped stack finds its ports again."""
TRIES_MAX: Final = 2_000

STORES: Final = {
    "GATEWAY_PORT": 8080,
    "VALKEY_PORT": 16379,
    "POSTGRES_PORT": 15432,
    "KAFKA_PORT": 19092,
    "KAFKA_CONTROLLER_PORT": 19093,
    "SMTP_PORT": 11025,
    "MAIL_PORT": 18025,
}
"""Unusual numbers on purpose: a developer's own Postgres keeps 5432."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """
    Every port by the name of its variable, and a remark for each that is not the usual one.
    """

    ports: dict[str, int]
    remarks: list[str]


class Promises:
    """
    Ports this stack will use. Other stacks of the same user see them as taken from now on.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or Path(tempfile.gettempdir()) / f"antrean-ports-{os.getuid()}"
        self._held: list[TextIO] = []

    def take(self, port: int) -> bool:
        """
        Promise a port if it is free. The kernel takes the promise back with the process, however it ends.
        """
        if not is_free(port):
            return False
        file = self._open(port)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return False
        self._held.append(file)
        return True

    def release(self) -> None:
        """
        Take all promises back.
        """
        while self._held:
            self._held.pop().close()

    def _open(self, port: int) -> TextIO:
        self._folder.mkdir(mode=0o700, exist_ok=True)
        if self._folder.is_symlink() or self._folder.stat().st_uid != os.getuid():
            raise StackError(f"{self._folder} belongs to somebody else: remove it")
        return (self._folder / str(port)).open("a")


def is_free(port: int) -> bool:
    """
    Whether a program could listen on `port` now, on any address.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # A connection of a previous run in TIME_WAIT does not make the port taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True


def free_port(reserved: set[int], *, free: Callable[[int], bool] = is_free) -> int:
    """
    A port nobody listens on and nobody was promised.
    """
    for _ in range(TRIES_MAX):
        port = random.randint(FREE_FROM, FREE_TO)  # a guess, not a secret
        if port not in reserved and free(port):
            return port
    raise StackError(f"no free port found between {FREE_FROM} and {FREE_TO}")


def choose(
    usual: Mapping[str, int | None],
    environ: Mapping[str, str],
    saved: Mapping[str, int],
    *,
    free: Callable[[int], bool] = is_free,
    widths: Mapping[str, int] = MappingProxyType({}),
) -> Plan:
    """
    A port for every variable in `usual`; None as the usual one means any free port will do.

    A variable with a width is the first of so many ports in a row.
    """

    def range_of(name: str, port: int) -> range:
        return range(port, port + widths.get(name, 1))

    def all_free(name: str, port: int, reserved: set[int]) -> bool:
        return reserved.isdisjoint(range_of(name, port)) and all(free(one) for one in range_of(name, port))

    given = {name: _explicit(name, environ[name]) for name in usual if environ.get(name)}
    taken = {name: port for name, port in given.items() if not all_free(name, port, set())}
    if taken:
        raise StackError("; ".join(f"{name}={port} is taken by another program" for name, port in taken.items()))
    ports = dict(given)
    remarks: list[str] = []
    for name, default in usual.items():
        if name in ports:
            continue
        wanted = saved.get(name) or default
        reserved = {one for other, port in ports.items() for one in range_of(other, port)}
        if wanted is not None and all_free(name, wanted, reserved):
            ports[name] = wanted
            continue
        reserved |= {port for port in usual.values() if port}
        ports[name] = free_port(reserved, free=partial(all_free, name, reserved=reserved))
        if wanted is not None:
            remarks.append(f"port {wanted} ({name}) is taken, using {ports[name]}")
    return Plan(ports=ports, remarks=remarks)


def _explicit(name: str, raw: str) -> int:
    if not raw.isdecimal() or not 1 <= int(raw) <= 65_535:  # noqa: PLR2004  # the last port there is
        raise StackError(f"{name} must be a port number 1..65535, got {raw!r}")
    return int(raw)
