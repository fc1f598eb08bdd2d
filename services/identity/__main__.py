"""
`python -m services.identity api|worker|migrate|rewrap|provision|staff|audit-log`.

Reads the command line and hands over to `app`. Long-lived processes go through
`kernel.process`; one-shots run, say one line, and end with 0, or 1 and the reason.
"""

import argparse
import asyncio
import re
import sys
from collections.abc import Coroutine, Sequence
from pathlib import Path

from kernel import log as logging
from kernel.audit import command as audit
from kernel.auth.staff import role_of
from kernel.errors import Retryable
from kernel.migrate import MigrationRefused
from kernel.process import run, settings_or_exit
from kernel.settings import PostgresSettings
from services.identity import app
from services.identity.settings import ProvisionSettings, RewrapSettings
from services.identity.stores.vault import VaultDamaged
from services.identity.use_cases.provision import Crowd, ProvisionRefused
from services.identity.use_cases.staff import StaffRefused

ACCOUNTS_MAX = 1_000_000
REASON_CHARACTERS_MAX = 500


def main(arguments: Sequence[str] | None = None) -> None:
    """
    Run what the command line asks for.
    """
    asked = _parser().parse_args(arguments)
    if asked.command == "api":
        run("identity-api", app.api)
    elif asked.command == "worker":
        run("identity-worker", app.worker)
    elif asked.command == "audit-log":
        sys.exit(audit.run(app.SCHEMA, asked))
    else:
        # A change of roles is told in the log as well.
        logging.configure(f"identity-{asked.command}", "info" if asked.command == "staff" else "warning")
        work = {"migrate": _migrate, "rewrap": _rewrap, "provision": _provision, "staff": _staff}[asked.command]
        sys.exit(_ended(work(asked)))


def _ended(work: Coroutine[None, None, str]) -> int:
    try:
        sys.stdout.write(f"{asyncio.run(work)}\n")
    except (Retryable, MigrationRefused, ProvisionRefused, StaffRefused, VaultDamaged, OSError) as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return 1
    return 0


async def _migrate(_: argparse.Namespace) -> str:
    applied = await app.migrate(settings_or_exit(PostgresSettings))
    return f"identity: {len(applied)} migrations applied"


async def _rewrap(_: argparse.Namespace) -> str:
    values = await app.rewrap_all(settings_or_exit(RewrapSettings))
    return f"identity: {values} values sealed with the current key"


async def _provision(asked: argparse.Namespace) -> str:
    smallest, largest = asked.families
    crowd = Crowd(accounts=asked.accounts, smallest=smallest, largest=largest, seed=asked.seed, roles=tuple(asked.role))
    seconds = await app.provision_to(asked.out, crowd, settings_or_exit(ProvisionSettings))
    return (
        f"identity: {asked.accounts} accounts in {seconds:.1f} s ({asked.accounts / seconds:.0f}/s) to {asked.out};"
        f" their password is {app.SANDBOX_PASSWORD}"
    )


async def _staff(asked: argparse.Namespace) -> str:
    settings = settings_or_exit(PostgresSettings)
    if asked.deed == "list":
        return await app.list_staff(settings)
    work = app.grant_roles if asked.deed == "grant" else app.revoke_roles
    return await work(settings, asked.username, asked.role, reason=asked.reason)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m services.identity", description="Accounts, persons and the vault.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("api", help="serve HTTP")
    commands.add_parser("worker", help="relay the outbox to Kafka, hear of visits, tidy up")
    commands.add_parser("migrate", help="bring the schema up to date")
    commands.add_parser("rewrap", help="seal everything in the vault with the current key")
    bulk = commands.add_parser("provision", help="create sandbox accounts in bulk (SANDBOX=1)")
    bulk.add_argument("--accounts", type=_count, required=True, help=f"how many, 1..{ACCOUNTS_MAX}")
    bulk.add_argument("--families", type=_range, default=(1, 5), help="people per account, such as 1-5")
    bulk.add_argument("--seed", type=int, default=1, help="the same seed finds the same people")
    bulk.add_argument("--out", type=Path, required=True, help="JSON lines with tokens and passes, mode 0600")
    bulk.add_argument("--role", type=_role, action="append", default=[], help="of staff, such as officer:bandung")
    audit.arguments(commands.add_parser("audit-log", help="name every line of the audit log that was touched"))
    staff = commands.add_parser("staff", help="give and take roles of staff")
    deeds = staff.add_subparsers(dest="deed", required=True)
    for deed, help_ in (("grant", "give roles to an account"), ("revoke", "take roles from an account")):
        one = deeds.add_parser(deed, help=help_)
        one.add_argument("username")
        one.add_argument("role", type=_role, nargs="+", help="officer, planner (each also :OFFICE), auditor or sre")
        one.add_argument("--reason", type=_reason, required=True, help="for the audit log, at most 500 characters")
    deeds.add_parser("list", help="everybody with roles")
    return parser


def _role(text: str) -> str:
    try:
        return role_of(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _reason(text: str) -> str:
    if not 1 <= len(text.strip()) <= REASON_CHARACTERS_MAX:
        raise argparse.ArgumentTypeError(f"must have 1..{REASON_CHARACTERS_MAX} characters")
    return text.strip()


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= ACCOUNTS_MAX:
        raise argparse.ArgumentTypeError(f"must be 1..{ACCOUNTS_MAX}")
    return int(text)


def _range(text: str) -> tuple[int, int]:
    parts = re.fullmatch(r"([1-9]|10)(?:-([1-9]|10))?", text)
    smallest, largest = (int(parts[1]), int(parts[2] or parts[1])) if parts else (1, 0)
    if smallest > largest:
        raise argparse.ArgumentTypeError("must be such as 3 or 1-5, at most 10")
    return smallest, largest


if __name__ == "__main__":
    main()
