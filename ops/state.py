"""
The state folder of one local stack (`.antrean/` by default) and what lies where in it.

Used by the stack, which owns it while it runs, and by commands that look at a
running stack from outside. Knows files, never processes.
"""

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from ops.errors import StackError

VERSION: Final = "1"
"""Raised when an older folder can no longer be resumed."""

PROJECT: Final = Path(__file__).resolve().parent.parent


class StateDir:
    """
    Paths of one stack's folder, and the lock which says that its supervisor lives.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self.logs = self.root / "logs"
        self.version = self.root / "version"
        self.lock = self.root / "supervisor.lock"
        self.ports = self.root / "ports.json"
        self.secrets = self.root / "secrets.env"
        self.environment = self.root / "environment.json"
        self.status = self.root / "status.json"
        self.logins = self.root / "logins.txt"

    def data(self, name: str) -> Path:
        """
        The folder of one store or program, made when missing.
        """
        folder = self.root / name
        folder.mkdir(mode=0o700, exist_ok=True)
        return folder

    def log_of(self, name: str) -> Path:
        """
        Where a program's output goes.
        """
        return self.logs / f"{name}.log"

    def prepare(self) -> None:
        """
        Make the folder, or refuse one that another version left.
        """
        if (found := self.version_found()) not in {None, VERSION}:
            raise StackError(
                f"{self.root} was left by state version {found}, this is version {VERSION}: run `antrean reset`"
            )
        self.root.mkdir(parents=True, exist_ok=True)
        # Others may pass through but not look: Postgres runs as another user when we are root.
        self.root.chmod(0o711)
        self.logs.mkdir(exist_ok=True)
        write_atomically(self.version, VERSION + "\n")

    def version_found(self) -> str | None:
        """
        The version written in the folder, None where there is no state yet.
        """
        return self.version.read_text().strip() if self.version.exists() else None

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """
        Be the folder's only supervisor. The kernel drops the lock with the process, however it ends.
        """
        with self.lock.open("a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise StackError(f"a stack already runs on {self.root} (process {self.recorded_pid()})") from None
            file.truncate(0)
            file.write(f"{os.getpid()}\n")
            file.flush()
            yield
            file.truncate(0)

    def running_pid(self) -> int | None:
        """
        The supervisor's process id, None when nobody holds the lock.
        """
        if not self.lock.exists():
            return None
        with self.lock.open("r") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return self.recorded_pid()
        return None

    def recorded_pid(self) -> int | None:
        """
        The process id in the lock file. Without the lock being held it tells of a run that was cut off.
        """
        text = self.lock.read_text().strip() if self.lock.exists() else ""
        return int(text) if text else None

    def read_status(self) -> dict[str, Any]:
        """
        What the supervisor last wrote about its programs; empty before the first run.
        """
        return read_json(self.status)


def running_environment(root: Path) -> Mapping[str, str]:
    """
    The environment of the stack that runs on `root`, for commands which work on it.
    """
    state = StateDir(root)
    if state.running_pid() is None:
        raise StackError(f"no stack runs on {state.root}: start one with `antrean up`")
    environment = read_json(state.environment)
    if not environment:
        raise StackError(f"the stack on {state.root} is still starting: try again in a moment")
    return environment


def read_json(path: Path) -> dict[str, Any]:
    """
    The object in a file, empty when there is no file.
    """
    return dict(json.loads(path.read_text())) if path.exists() else {}


def write_atomically(path: Path, text: str, *, mode: int = 0o644) -> None:
    """
    Replace a file as a whole, so that a reader never sees half of it.
    """
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
