"""
Quota's processes and one-shots: `python -m services.quota api|worker|relay|snapshot`.
"""

import argparse
import asyncio
import os
import sys
from pathlib import Path

from kernel.crew import WORKERS_MAX, Order, follow, lead
from kernel.errors import Retryable
from kernel.process import refuse, run, settings_or_exit
from kernel.settings import BadSettings, ProcessSettings, ValkeySettings
from services.quota import app
from services.quota.settings import ApiSettings

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
    given = parser.parse_args()
    if given.command == "snapshot":
        _snapshot(given.out)
    elif given.command == "api":
        _api(given)
    else:
        run(f"quota-{given.command}", PROCESSES[given.command])


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
