"""
Quota's processes and one-shots: `python -m services.quota api|worker|relay|snapshot`.
"""

import argparse
import asyncio
import sys
from pathlib import Path

from kernel.errors import Retryable
from kernel.process import run, settings_or_exit
from kernel.settings import ValkeySettings
from services.quota import app

PROCESSES = {"api": app.api, "worker": app.worker, "relay": app.relay}


def main() -> None:
    """
    Read the command line and be that process.
    """
    parser = argparse.ArgumentParser(prog="python -m services.quota", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, build in PROCESSES.items():
        commands.add_parser(name, help=build.__doc__)
    snapshot = commands.add_parser("snapshot", help=app.snapshot.__doc__)
    snapshot.add_argument("--out", type=Path, required=True, help="file to write JSON lines to")
    given = parser.parse_args()
    if given.command == "snapshot":
        _snapshot(given.out)
    else:
        run(f"quota-{given.command}", PROCESSES[given.command])


def _snapshot(out: Path) -> None:
    settings = settings_or_exit(ValkeySettings)
    try:
        lines = asyncio.run(app.snapshot(settings, out))
    except (Retryable, OSError) as error:
        sys.exit(f"no snapshot: {error}")
    sys.stdout.write(f"{lines} records in {out}\n")


if __name__ == "__main__":
    main()
