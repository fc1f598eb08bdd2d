"""
Which process of payment this is: `python -m services.payment api|worker|migrate|seed|export`.

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
from services.payment import app, stores, use_cases
from services.payment.settings import TaskSettings

SEED = Path(__file__).parents[2] / "deploy" / "seed"
TARIFFS = SEED / "tariffs.csv"
SERVICES = SEED / "services.csv"
log = logging.get_logger(__name__)


def main() -> None:
    """
    Read the command line and do it.
    """
    parser = argparse.ArgumentParser(prog="python -m services.payment", description="Billing codes and bank callbacks.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("api", help="answer citizens and banks")
    commands.add_parser("worker", help="follow bookings, tell of invoices and payments")
    commands.add_parser("migrate", help="bring the schema up to date and load the fees")
    seed = commands.add_parser("seed", help="load fees; again changes nothing")
    seed.add_argument("--tariffs", type=Path, default=TARIFFS)
    seed.add_argument("--services", type=Path, default=SERVICES)
    export = commands.add_parser("export", help="write invoices, payments and exceptions as JSON lines")
    export.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    if asked.command in {"api", "worker"}:
        run(f"payment-{asked.command}", app.api if asked.command == "api" else app.worker)
        return
    settings = settings_or_exit(TaskSettings).postgres
    logging.configure(f"payment-{asked.command}", "info")
    if asked.command == "migrate":
        asyncio.run(_migrate(settings))
    elif asked.command == "seed":
        asyncio.run(_seed(settings, asked.tariffs, asked.services))
    else:
        asyncio.run(_export(settings, asked.out))
    logging.flush()


async def _migrate(settings: PostgresSettings) -> None:
    await migrate(settings, schema=stores.SCHEMA, folder=stores.MIGRATIONS)
    if TARIFFS.exists() and SERVICES.exists():
        await _seed(settings, TARIFFS, SERVICES)
    else:
        log.warning("tariffs_not_loaded", path=str(TARIFFS), next="python -m services.payment seed --tariffs FILE")


async def _seed(settings: PostgresSettings, tariffs: Path, services: Path) -> None:
    async with database(settings, schema=stores.SCHEMA) as db, db.transaction() as connection:
        added = await use_cases.load_tariffs(connection, tariffs)
        parts = await use_cases.load_services(connection, services)
    log.info("tariffs_loaded", added=added, service_items=parts, path=str(tariffs))


async def _export(settings: PostgresSettings, out: Path) -> None:
    encode = msgspec.json.Encoder().encode
    async with database(settings, schema=stores.SCHEMA) as db, db.transaction() as connection:
        with out.open("wb") as file:
            async for row in stores.export(connection):
                file.write(encode(row) + b"\n")


if __name__ == "__main__":
    main()
