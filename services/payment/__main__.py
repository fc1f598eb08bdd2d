"""
Which process of payment this is: `python -m services.payment api|worker|migrate|…`.

Called by the supervisor and by people. Long-lived processes are handed to `kernel.process`;
the others do their work and end.
"""

import argparse
import asyncio
import datetime as dt
import sys
from pathlib import Path

import msgspec

from kernel import log as logging
from kernel.audit import command as audit
from kernel.migrate import migrate
from kernel.postgres import database
from kernel.process import run, settings_or_exit
from kernel.settings import PostgresSettings
from services.payment import app, stores, use_cases
from services.payment import commands as money
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
    _money_commands(commands)
    audit.arguments(commands.add_parser("audit-log", help="name every line of the audit log that was touched"))
    asked = parser.parse_args()
    if asked.command == "audit-log":
        sys.exit(audit.run(stores.SCHEMA, asked))
    if asked.command in {"api", "worker"}:
        run(f"payment-{asked.command}", app.api if asked.command == "api" else app.worker)
        return
    settings = settings_or_exit(TaskSettings).postgres
    if asked.command in {"settle", "refunds"}:
        logging.configure(f"payment-{asked.command}", "warning")
        code = asyncio.run(_money(settings, asked))
        logging.flush()
        sys.exit(code)
    logging.configure(f"payment-{asked.command}", "info")
    if asked.command == "migrate":
        asyncio.run(_migrate(settings))
    elif asked.command == "seed":
        asyncio.run(_seed(settings, asked.tariffs, asked.services))
    else:
        asyncio.run(_export(settings, asked.out))
    logging.flush()


def _money_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    settle = commands.add_parser("settle", help="reconcile a bank's report of a day; again changes nothing")
    settle.add_argument("file", type=Path, help="CSV; the columns stand in the room's README")
    settle.add_argument("--bank", help="whose report it is, where it holds no payment that says so")
    settle.add_argument("--day", type=dt.date.fromisoformat, metavar="YYYY-MM-DD", help="of which day, likewise")
    refunds = commands.add_parser("refunds", help="what is approved, for the treasury")
    export = refunds.add_subparsers(dest="step", required=True).add_parser("export", help="write a CSV file")
    export.add_argument("--out", type=Path, required=True, help="a file that does not exist yet")
    export.add_argument("--batch", help="write this batch again instead of what is newly approved")


async def _money(settings: PostgresSettings, asked: argparse.Namespace) -> int:
    if asked.command == "settle":
        return await money.settle(settings, asked.file, bank=asked.bank, day=asked.day)
    return await money.export_refunds(settings, asked.out, batch_id=asked.batch)


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
