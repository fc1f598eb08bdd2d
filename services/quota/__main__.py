"""
Quota's processes and one-shots: `python -m services.quota api|worker|relay|snapshot|stop|restore`.
"""

import argparse
import asyncio
import os
import sys
from pathlib import Path

import uvloop
from redis.exceptions import RedisError

from kernel.crew import WORKERS_MAX, Order, follow, lead
from kernel.errors import Retryable
from kernel.process import refuse, run, settings_or_exit
from kernel.settings import BadSettings, ProcessSettings, ValkeySettings
from services.quota import app, rebuild
from services.quota.settings import ApiSettings, RebuildSettings
from services.quota.use_cases.restoring import RebuildRefused

PROCESSES = {"api": app.api, "worker": app.worker, "relay": app.relay}


def main() -> None:
    """
    Read the command line and be that process.
    """
    parser = argparse.ArgumentParser(prog="python -m services.quota", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    processes = {name: commands.add_parser(name, help=build.__doc__) for name, build in PROCESSES.items()}
    _add_crew(processes["api"])
    snapshot = commands.add_parser("snapshot", help=app.snapshot.__doc__)
    snapshot.add_argument("--out", type=Path, required=True, help="file to write JSON lines to")
    _add_rebuild(commands)
    given = parser.parse_args()
    if given.command == "snapshot":
        _snapshot(given.out)
    elif given.command == "api":
        _api(given)
    elif given.command == "stop":
        _stop(given)
    elif given.command == "restore":
        _restore(given)
    else:
        run(f"quota-{given.command}", PROCESSES[given.command])


def _add_rebuild(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    stop = commands.add_parser("stop", help=rebuild.stop.__doc__)
    restore = commands.add_parser("restore", help=rebuild.restore.__doc__)
    restore.add_argument("file", type=Path, help="booking's snapshot; - is standard input")
    restore.add_argument("--mark", default="", help="as `stop` has said it before the snapshot was taken")
    restore.add_argument(
        "--stop", action="store_true", help="stop them first; only before a snapshot that waits for it"
    )
    restore.add_argument("--dry-run", action="store_true", help="compare, and write nothing")
    for command in (stop, restore):
        command.add_argument("--wait", type=float, default=10.0, help="seconds the relay has to tell what it has not")
        command.add_argument("--partition", type=int, action="append", default=[], help="only this one; again for more")


def _stop(given: argparse.Namespace) -> None:
    settings = _settings_for(given.partition)
    try:
        asyncio.run(rebuild.stop(settings, given.partition, patience_seconds=given.wait))
    except (Retryable, OSError) as error:
        sys.exit(f"not stopped: {error}")


def _restore(given: argparse.Namespace) -> None:
    settings = _settings_for(given.partition)
    if bool(given.mark) == given.stop and not given.dry_run:
        sys.exit("not restored: it takes --mark, as `stop` has said it, or --stop")
    work = rebuild.restore(
        settings,
        given.file,
        given.partition,
        mark=given.mark,
        patience_seconds=given.wait,
        dry_run=given.dry_run,
    )
    try:
        differences = uvloop.run(work)
    except (RebuildRefused, Retryable, RedisError, OSError, ValueError) as error:
        sys.exit(f"not restored; what is stopped stays stopped until it is: {error}")
    sys.exit(1 if differences else 0)


def _settings_for(partitions: list[int]) -> RebuildSettings:
    settings = settings_or_exit(RebuildSettings)
    if strangers := [one for one in partitions if not 0 <= one < settings.valkey.partitions]:
        sys.exit(f"there is no partition {strangers[0]}: there are {settings.valkey.partitions}, from 0")
    return settings


def _add_crew(api: argparse.ArgumentParser) -> None:
    api.add_argument(
        "--workers",
        type=int,
        default=1,
        help=f"so many processes on one HTTP_PORT, 1..{WORKERS_MAX}; their admin ports count up from ADMIN_PORT",
    )
    # What the leader of a crew says to its workers.
    api.add_argument("--number", type=int, help=argparse.SUPPRESS)
    api.add_argument("--leader", type=int, help=argparse.SUPPRESS)


def _api(given: argparse.Namespace) -> None:
    if given.number is not None:
        follow(given.leader)
        run(f"quota-api-{given.number}", app.api)
    elif given.workers == 1:
        run("quota-api", app.api)
    else:
        lead(_order(given.workers))


def _order(workers: int) -> Order:
    """
    Everything the workers will read is read once here: a fault is said once, and before any of them starts.
    """
    settings, process = settings_or_exit(ApiSettings), settings_or_exit(ProcessSettings)
    command = (sys.executable, "-m", "services.quota", "api", "--leader", str(os.getpid()), "--number")
    try:
        return Order(
            name="quota-api",
            workers=workers,
            command=lambda number: (*command, str(number)),
            process=process,
            http=settings.http,
        )
    except BadSettings as error:
        refuse(error)


def _snapshot(out: Path) -> None:
    settings = settings_or_exit(ValkeySettings)
    try:
        lines = asyncio.run(app.snapshot(settings, out))
    except (Retryable, OSError) as error:
        sys.exit(f"no snapshot: {error}")
    sys.stdout.write(f"{lines} records in {out}\n")


if __name__ == "__main__":
    main()
