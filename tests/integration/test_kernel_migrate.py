"""
Migrations on real Postgres: each once, in order, all or nothing, whoever else runs them.
"""

import asyncio
from pathlib import Path

import asyncpg
import pytest

from kernel.migrate import MigrationRefused, migrate
from tests.integration.kernel_stores import postgres

KERNEL_FILES = [
    "kernel/0001_pre_outbox.sql",
    "kernel/0002_pre_inbox.sql",
    "kernel/0003_pre_idempotency.sql",
    "kernel/0004_pre_outbox_bundles.sql",
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "0001_pre_office.sql").write_text("CREATE TABLE office (id text PRIMARY KEY);")
    (tmp_path / "0002_pre_office_name.sql").write_text("ALTER TABLE office ADD COLUMN name text;")
    return tmp_path


async def _ask(url: str, query: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


async def test_kernels_files_come_first_then_the_rooms_in_order(database: str, folder: Path) -> None:
    """
    The names returned are what was applied now.
    """
    applied = await migrate(postgres(database), schema="booking", folder=folder)

    assert [*KERNEL_FILES, "room/0001_pre_office.sql", "room/0002_pre_office_name.sql"] == applied
    assert 0 == await _ask(database, "SELECT count(name) FROM booking.office")


async def test_a_second_run_does_nothing(database: str, folder: Path) -> None:
    """
    Every start of a stack may call it.
    """
    await migrate(postgres(database), schema="booking", folder=folder)

    assert [] == await migrate(postgres(database), schema="booking", folder=folder)


async def test_schemas_do_not_see_each_other(database: str, folder: Path) -> None:
    """
    One database, a schema per room.
    """
    await migrate(postgres(database), schema="booking", folder=folder)
    await migrate(postgres(database), schema="payment", folder=folder)

    schemas = await _ask(database, "SELECT count(*) FROM information_schema.tables WHERE table_name = 'office'")
    assert 2 == schemas


async def test_a_changed_file_is_refused_and_nothing_else_is_applied(database: str, folder: Path) -> None:
    """
    History is not edited: two databases of one version must be the same.
    """
    await migrate(postgres(database), schema="booking", folder=folder)
    (folder / "0002_pre_office_name.sql").write_text("ALTER TABLE office ADD COLUMN title text;")
    (folder / "0000_pre_early.sql").write_text("CREATE TABLE early ();")

    with pytest.raises(MigrationRefused, match=r"room/0002_pre_office_name\.sql was applied and has changed"):
        await migrate(postgres(database), schema="booking", folder=folder)
    assert await _ask(database, "SELECT to_regclass('booking.early')") is None


async def test_older_code_runs_on_a_newer_schema(database: str, folder: Path) -> None:
    """
    Going back to yesterday's release must not be stopped by today's `pre` migration.
    """
    await migrate(postgres(database), schema="booking", folder=folder)
    (folder / "0002_pre_office_name.sql").unlink()

    assert [] == await migrate(postgres(database), schema="booking", folder=folder)


async def test_a_file_with_a_wrong_name_is_refused_before_anything(database: str, folder: Path) -> None:
    """
    A file that is neither pre nor post has no place in a roll-out.
    """
    (folder / "03_late.sql").write_text("SELECT 1;")

    with pytest.raises(MigrationRefused, match="name must be NNNN_pre_what"):
        await migrate(postgres(database), schema="booking", folder=folder)
    assert await _ask(database, "SELECT to_regclass('booking.office')") is None


async def test_a_failing_file_leaves_nothing_of_itself(database: str, folder: Path) -> None:
    """
    What came before stays; the file runs again, whole, once it is right.
    """
    broken = folder / "0003_pre_broken.sql"
    broken.write_text("CREATE TABLE half (); SELECT 1 / 0;")

    with pytest.raises(asyncpg.DivisionByZeroError):
        await migrate(postgres(database), schema="booking", folder=folder)
    assert await _ask(database, "SELECT to_regclass('booking.half')") is None

    broken.write_text("CREATE TABLE half ();")
    assert ["room/0003_pre_broken.sql"] == await migrate(postgres(database), schema="booking", folder=folder)


async def test_runners_at_once_apply_each_file_once(database: str, folder: Path) -> None:
    """
    Several containers start together; one does the work, the others wait for it.
    """
    (folder / "0003_pre_slow.sql").write_text("SELECT pg_sleep(0.2); INSERT INTO office (id) VALUES ('one');")
    runs = await asyncio.gather(
        *(migrate(postgres(database), schema=schema, folder=folder) for schema in ("booking",) * 4)
    )

    assert [len(KERNEL_FILES) + 3, 0, 0, 0] == sorted((len(applied) for applied in runs), reverse=True)
    assert 1 == await _ask(database, "SELECT count(*) FROM booking.office")
