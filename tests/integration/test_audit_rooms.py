"""
Every room whose staff do unsafe things keeps the same audit log: sealed, and whoever touches a line is found out.
"""

import asyncio
import base64
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import msgspec
import pytest

from kernel.audit import entries, sealing
from kernel.audit.chain import SealingKey
from kernel.audit.entries import Deed
from kernel.metrics import REGISTRY
from kernel.migrate import migrate
from kernel.postgres import Database
from kernel.postgres import database as open_database
from kernel.settings import PostgresSettings

ROOT = Path(__file__).parents[2]
SEED = base64.b64encode(bytes(range(32))).decode()
ROOMS = ("booking", "payment", "identity")


@pytest.fixture(params=ROOMS)
async def db(request: pytest.FixtureRequest, database: str) -> AsyncIterator[Database]:
    settings = PostgresSettings(url=database)
    await migrate(settings, schema=request.param, folder=ROOT / "services" / request.param / "sql" / "migrations")
    async with open_database(settings, schema=request.param) as opened:
        yield opened


async def _write(db: Database, count: int) -> None:
    async with db.transaction() as connection:
        for number in range(count):
            deed = Deed(actor="acc_x", action="try_seal", subject=str(number), reason="test", details={"n": number})
            await entries.write(connection, deed)


async def _verify(room: str, database: str) -> tuple[int | None, dict[str, object], str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", f"services.{room}", "audit-log", "verify"),
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": database, "AUDIT_SIGNING_KEY": SEED},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), timeout=60)
    return process.returncode, msgspec.json.decode(out.splitlines()[-1]), err.decode()


async def test_a_line_that_was_touched_is_named(request: pytest.FixtureRequest, db: Database, database: str) -> None:
    """
    By `python -m services.<room> audit-log verify`, which is how `antrean audit-log verify` asks each room.
    """
    room = request.node.callspec.params["db"]
    await _write(db, 5)
    sealed = await sealing.seal_lines(db, SealingKey(SEED))
    untouched = await _verify(room, database)
    async with db.transaction() as connection:
        await connection.execute("SET LOCAL session_replication_role = replica")
        await connection.execute("UPDATE audit_entry SET reason = 'another' WHERE entry_id = 3")
        await connection.execute("DELETE FROM audit_entry WHERE entry_id = 4")
    code, said, told = await _verify(room, database)

    assert (5, 0, {"entries": 5, "heads": 1, "waiting": 0, "tampered": []}) == (sealed, *untouched[:2])
    assert (1, [{"entry_id": 3, "how": "changed"}, {"entry_id": 4, "how": "removed"}]) == (code, said["tampered"])
    assert f"{room}: line 3: changed" in told


async def test_seals_only_grow(db: Database) -> None:
    """
    Whoever asks, and whatever for.
    """
    await _write(db, 1)
    await sealing.seal_lines(db, SealingKey(SEED))
    async with db.connection() as connection:
        for table in ("audit_entry", "audit_seal", "audit_head"):
            for verb in ("DELETE FROM", "TRUNCATE"):
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await connection.execute(f"{verb} {table}")


async def test_a_line_without_a_seal_is_as_old_as_the_oldest(db: Database) -> None:
    """
    Whoever writes more lines does not make the first one younger.
    """
    await _write(db, 2)
    async with db.transaction() as connection:
        await connection.execute("SET LOCAL session_replication_role = replica")
        await connection.execute("UPDATE audit_entry SET at = at - interval '1 hour' WHERE entry_id = 1")
    await sealing.watch(db)
    waited = REGISTRY.get_sample_value("audit_unsealed_seconds")
    await sealing.seal_lines(db, SealingKey(SEED))
    await sealing.watch(db)

    assert 3600 <= (waited or 0) < 3660
    assert 0 == REGISTRY.get_sample_value("audit_unsealed_seconds")
