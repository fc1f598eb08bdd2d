"""
What kernel's integration tests share: settings for the stores of this run, and a migrated schema.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from kernel.migrate import migrate
from kernel.postgres import Database, database
from kernel.settings import KafkaSettings, PostgresSettings

SCHEMA = "room"
NO_FILES = Path(__file__).parent / "no-migrations"


def postgres(url: str) -> PostgresSettings:
    """
    Settings for the database of this test.
    """
    return PostgresSettings(url=url, connections_max=8)


def kafka(bootstrap: str, *, stall_seconds: float = 20.0) -> KafkaSettings:
    """
    Settings with deadlines short enough for a test to see them pass.
    """
    return KafkaSettings(bootstrap=bootstrap, call_timeout_seconds=3.0, stall_seconds=stall_seconds)


@asynccontextmanager
async def room(url: str) -> AsyncIterator[Database]:
    """
    A database with kernel's own tables in schema `room`.
    """
    settings = postgres(url)
    await migrate(settings, schema=SCHEMA, folder=NO_FILES)
    async with database(settings, schema=SCHEMA) as opened:
        yield opened
