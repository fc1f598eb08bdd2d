"""
`audit-log verify` of a room: reads its audit log from the first line to the last and says what was touched.

Called by the rooms' command lines, and by `antrean audit-log`, which asks every room. Writes nothing.
"""

import argparse
import asyncio
import dataclasses
import sys
from collections.abc import Sequence
from typing import Final

import msgspec

from kernel import log
from kernel.audit import verifying
from kernel.audit.settings import AuditLogSettings
from kernel.errors import Retryable
from kernel.postgres import database
from kernel.process import settings_or_exit

STATEMENT_SECONDS_MAX: Final = 600.0
"""A year's lines are read in one moment."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """
    What the command takes.
    """
    parser.add_argument("what", choices=["verify"])
    parser.add_argument("--database-url", help="another database than DATABASE_URL")
    parser.add_argument(
        "--expect",
        action="append",
        default=[],
        metavar="HEAD:HASH",
        help="a head as the worker's log told it; may be repeated",
    )


def run(schema: str, asked: argparse.Namespace) -> int:
    """
    Do it. Returns the exit code.
    """
    try:
        return verify(schema, database_url=asked.database_url, expect=asked.expect)
    except ValueError as error:
        sys.stderr.write(f"--expect: {error}\n")
        return 2


def verify(schema: str, *, database_url: str | None = None, expect: Sequence[str] = ()) -> int:
    """
    Name every line that was changed, removed or reordered. The last line is JSON. Returns 1 if there is any, else 0.

    Raises `ValueError` for what is no head.
    """
    heads = verifying.heads_of(expect)
    log.configure(f"{schema}-command", "warning")
    settings = settings_or_exit(AuditLogSettings)
    postgres = dataclasses.replace(settings.postgres, command_timeout_seconds=STATEMENT_SECONDS_MAX)
    if database_url is not None:
        postgres = dataclasses.replace(postgres, url=database_url)

    async def read() -> verifying.Report:
        async with database(postgres, schema=schema) as db:
            return await verifying.verify(db, settings.audit.checking_keys(), expected_heads=heads)

    try:
        report = asyncio.run(read())
    except Retryable as error:
        sys.stderr.write(f"{error}\n")
        return 1
    for finding in report.tampered:
        sys.stderr.write(f"{schema}: {finding.sentence()}\n")
    sys.stdout.write(f"{msgspec.json.encode(report).decode()}\n")
    return 1 if report.tampered else 0
