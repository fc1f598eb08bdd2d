"""
Which process of notify this is: `python -m services.notify api|worker|migrate|export`.

Called by the supervisor and by people. Long-lived processes are handed to `kernel.process`;
the others do their work and end.
"""

import argparse
import asyncio
from pathlib import Path

import msgspec

from kernel import log as logging
from kernel.migrate import migrate
from kernel.postgres import database
from kernel.process import run, settings_or_exit
from kernel.settings import PostgresSettings
from services.notify import app, stores
from services.notify.settings import TaskSettings


def main() -> None:
    """
    Read the command line and do it.
    """
    parser = argparse.ArgumentParser(prog="python -m services.notify", description="Mails and tickets.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("api", help="hand out tickets")
    commands.add_parser("worker", help="hear events, send mails")
    commands.add_parser("migrate", help="bring the schema up to date")
    export = commands.add_parser("export", help="write mails as JSON lines, without addresses")
    export.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    if asked.command in {"api", "worker"}:
        run(f"notify-{asked.command}", app.api if asked.command == "api" else app.worker)
        return
    settings = settings_or_exit(TaskSettings).postgres
    logging.configure(f"notify-{asked.command}", "info")
    if asked.command == "migrate":
        asyncio.run(migrate(settings, schema=stores.SCHEMA, folder=stores.MIGRATIONS))
    else:
        asyncio.run(_export(settings, asked.out))
    logging.flush()


async def _export(settings: PostgresSettings, out: Path) -> None:
    encode = msgspec.json.Encoder().encode
    async with database(settings, schema=stores.SCHEMA) as db, db.transaction() as connection:
        with out.open("wb") as file:
            async for row in stores.export(connection):
                file.write(encode(row) + b"\n")


if __name__ == "__main__":
    main()
