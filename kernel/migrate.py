"""
Migrations: numbered SQL files, applied once each, in order, under an advisory lock.

Called by `python -m services.<room> migrate`. Kernel's own tables (outbox, inbox,
idempotency) come first into every room's schema. `NNNN_pre_*.sql` runs before new
code, `NNNN_post_*.sql` after the last old process is gone. A file that was applied
and has changed since stops the run: history is not edited.
"""

import hashlib
import re
from pathlib import Path

import asyncpg

from kernel.log import get_logger
from kernel.postgres import Connection
from kernel.settings import PostgresSettings

KERNEL_MIGRATIONS = Path(__file__).parent / "sql" / "migrations"
_NAME = re.compile(r"^\d{4}_(pre|post)_[a-z0-9_]+\.sql$")
_LOCK_KEY = 0x616E7472
"""Any number, the same for every runner: 'antr' in ASCII."""
_LOCK_WAIT_SECONDS = 300
"""How long one runner waits for another; then it gives up, and whoever started it tries again."""
log = get_logger(__name__)


class MigrationRefused(Exception):
    """
    The files and the database do not agree. Nothing was changed.
    """


async def migrate(settings: PostgresSettings, *, schema: str, folder: Path) -> list[str]:
    """
    Bring `schema` up to date with kernel's files and those of `folder`. Returns what was applied now.
    """
    connection = await asyncpg.connect(
        settings.url, timeout=settings.acquire_timeout_seconds, server_settings={"search_path": schema}
    )
    try:
        await connection.execute(f"SET lock_timeout = '{_LOCK_WAIT_SECONDS}s'")
        await connection.execute("SELECT pg_advisory_lock($1)", _LOCK_KEY)
        await connection.execute(
            f"CREATE SCHEMA IF NOT EXISTS {schema};"
            "CREATE TABLE IF NOT EXISTS schema_migrations ("
            " name text PRIMARY KEY, sha256 text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())"
        )
        files = await _not_applied(connection, folder)
        for name, text in files.items():
            await _apply(connection, name, text)
        return list(files)
    finally:
        await connection.close(timeout=5)


def _files(folder: Path) -> list[tuple[str, Path]]:
    files = [("kernel", path) for path in sorted(KERNEL_MIGRATIONS.glob("*.sql"))]
    files += [("room", path) for path in sorted(folder.glob("*.sql"))]
    for _, path in files:
        if not _NAME.match(path.name):
            raise MigrationRefused(f"{path}: name must be NNNN_pre_what.sql or NNNN_post_what.sql")
    return files


async def _not_applied(connection: Connection, folder: Path) -> dict[str, str]:
    """
    Texts by name, in order. Looks at every file before any is applied, so that a refusal changes nothing.
    """
    applied = dict(await connection.fetch("SELECT name, sha256 FROM schema_migrations"))
    waiting = {}
    for origin, path in _files(folder):
        name, text = f"{origin}/{path.name}", path.read_text(encoding="utf-8")
        if name not in applied:
            waiting[name] = text
        elif applied[name] != _sha256(text):
            raise MigrationRefused(f"{name} was applied and has changed since; write a new file instead")
    return waiting


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


async def _apply(connection: Connection, name: str, text: str) -> None:
    async with connection.transaction():
        # A migration that cannot get its lock soon gives way to the people being served.
        await connection.execute("SET LOCAL lock_timeout = '5s'")
        await connection.execute(text)
        await connection.execute("INSERT INTO schema_migrations (name, sha256) VALUES ($1, $2)", name, _sha256(text))
    log.info("migration_applied", migration=name)
