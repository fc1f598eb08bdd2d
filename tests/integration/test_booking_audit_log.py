"""
The audit log: only ever added to, sealed in batches, and whoever touches a line all the same is found out.
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

from kernel.audit import entries
from kernel.audit.chain import CheckingKeys, SealingKey
from kernel.audit.entries import Deed
from kernel.audit.sealing import BATCH_LINES_MAX, seal_lines
from kernel.audit.verifying import Finding, Report, heads_of, verify
from kernel.migrate import migrate
from kernel.postgres import Database
from kernel.postgres import database as open_database
from kernel.settings import PostgresSettings
from services.booking.stores.statements import MIGRATIONS

ROOT = Path(__file__).parents[2]
SEED = base64.b64encode(bytes(range(32))).decode()
KEY = SealingKey(SEED)
OTHER_KEY = SealingKey(base64.b64encode(bytes(32)).decode())
KEYS = CheckingKeys([KEY.public])


@pytest.fixture
async def db(database: str) -> AsyncIterator[Database]:
    settings = PostgresSettings(url=database)
    await migrate(settings, schema="booking", folder=MIGRATIONS)
    async with open_database(settings, schema="booking") as opened:
        yield opened


def _deed(number: int) -> Deed:
    return Deed(
        actor=f"acc_{number % 7}",
        action="check_in_booking",
        subject=f"rsv_{number}",
        office_id="bandung" if number % 2 else None,
        reason="a reason with ümlauts",
        details={"from": "confirmed", "number": number, "share": 1.5},
    )


async def _write(db: Database, count: int, *, first: int = 1) -> None:
    async with db.transaction() as connection:
        for number in range(first, first + count):
            await entries.write(connection, _deed(number))


async def _seal_all(db: Database, key: SealingKey = KEY) -> None:
    while await seal_lines(db, key):
        pass


async def _tamper(db: Database, *orders: str) -> None:
    """
    As somebody may who owns the whole server: no trigger and no grant is in the way.
    """
    async with db.transaction() as connection:
        await connection.execute("SET LOCAL session_replication_role = replica")
        for order in orders:
            await connection.execute(order)


async def _verify(db: Database, keys: CheckingKeys = KEYS, **expected: str) -> Report:
    return await verify(db, keys, expected_heads=heads_of(expected.values()))


async def test_sealed_lines_are_as_they_were_written(db: Database) -> None:
    """
    Over several batches, and with lines that still wait.
    """
    await _write(db, BATCH_LINES_MAX + 5)
    await _seal_all(db)
    await _write(db, 3, first=2000)

    assert Report(entries=BATCH_LINES_MAX + 8, heads=2, waiting=3, tampered=()) == await _verify(db)


async def test_a_line_that_commits_late_is_sealed_late(db: Database) -> None:
    """
    Its id is lower than that of lines sealed before; it is neither missed nor waited for.
    """
    async with db.connection() as late, db.connection() as early:
        slow = late.transaction()
        await slow.start()
        await entries.write(late, _deed(1))
        await entries.write(early, _deed(2))
        assert 1 == await seal_lines(db, KEY)
        await slow.commit()
    assert 1 == await seal_lines(db, KEY)

    async with db.connection() as connection:
        order = await connection.fetch("SELECT entry_id FROM audit_seal ORDER BY number")
    assert [2, 1] == [row["entry_id"] for row in order]
    assert () == (await _verify(db)).tampered


async def test_two_sealers_at_once_make_one_chain(db: Database) -> None:
    """
    Who comes second leaves it to the first.
    """
    await _write(db, 300)
    await asyncio.gather(*(seal_lines(db, KEY) for _ in range(4)))
    await _seal_all(db)

    assert Report(entries=300, heads=1, waiting=0, tampered=()) == await _verify(db)


@pytest.mark.parametrize("table", ["audit_entry", "audit_seal", "audit_head"])
@pytest.mark.parametrize("order", ["DELETE FROM {}", "TRUNCATE {}", "UPDATE {} SET {}"])
async def test_nobody_changes_the_log_not_even_its_owner(db: Database, table: str, order: str) -> None:
    """
    The trigger refuses whom grants cannot keep out.
    """
    await _write(db, 1)
    await _seal_all(db)
    column = {"audit_entry": "reason = 'x'", "audit_seal": "number = 2", "audit_head": "kid = 'x'"}[table]

    async with db.connection() as connection:
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="only ever added to"):
            await connection.execute(order.format(table, column))


async def test_the_role_a_room_runs_as_has_no_right_to_change_the_log(database: str) -> None:
    """
    A role that is no superuser is refused before any trigger is asked, although the tables are its own.
    """
    owner = await asyncpg.connect(database)
    role = f"room_{database.rpartition('_')[2]}"
    await owner.execute(f"CREATE ROLE {role} LOGIN")
    try:
        await owner.execute(f'GRANT CREATE ON DATABASE "{database.rpartition("/")[2]}" TO {role}')
        address = database.partition("@")[2]
        settings = PostgresSettings(url=f"postgresql://{role}@{address}")
        await migrate(settings, schema="booking", folder=MIGRATIONS)
        async with open_database(settings, schema="booking") as db:
            await _write(db, 2)
            await _seal_all(db)
            assert () == (await _verify(db)).tampered
            async with db.connection() as connection:
                for order in ("UPDATE audit_entry SET reason = 'x'", "DELETE FROM audit_seal", "TRUNCATE audit_head"):
                    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied"):
                        await connection.execute(order)
        await owner.execute(f"DROP OWNED BY {role} CASCADE")
    finally:
        await owner.execute(f"DROP ROLE {role}")
        await owner.close()


@pytest.mark.parametrize(
    "change",
    [
        "at = at + interval '1 microsecond'",
        "actor = 'acc_9'",
        "action = 'pardon_booking'",
        "subject = 'rsv_x'",
        "office_id = coalesce(office_id, '') || 'x'",
        "reason = reason || ' '",
        "details = details || '{\"number\": 17.0}'",
        "details = '{}'",
    ],
)
async def test_a_changed_line_is_named(db: Database, change: str) -> None:
    """
    Whatever of it was changed, and only that one.
    """
    await _write(db, 20)
    await _seal_all(db)
    await _tamper(db, f"UPDATE audit_entry SET {change} WHERE entry_id = 17")  # noqa: S608 - words of our own

    assert (Finding(entry_id=17, how="changed"),) == (await _verify(db)).tampered


async def test_removed_and_added_lines_are_named(db: Database) -> None:
    """
    Also at the very end, and also one that went before it was sealed.
    """
    await _write(db, 20)
    await _seal_all(db)
    await _write(db, 2, first=21)
    await _tamper(
        db,
        "DELETE FROM audit_entry WHERE entry_id IN (1, 20, 21)",
        "INSERT INTO audit_entry (actor, action, subject, reason) VALUES ('a', 'b', 'c', 'd')",
    )

    found = (await _verify(db)).tampered
    assert [(1, "removed"), (20, "removed"), (21, "removed"), (23, "added")] == [(f.entry_id, f.how) for f in found]


async def test_lines_that_changed_places_are_named(db: Database) -> None:
    """
    Two that were swapped, and three that went round.
    """
    await _write(db, 20)
    await _seal_all(db)
    places = "CASE entry_id WHEN 1 THEN 2 WHEN 2 THEN 1 WHEN 5 THEN 6 WHEN 6 THEN 7 WHEN 7 THEN 5 END"
    await _tamper(
        db,
        "ALTER TABLE audit_entry ALTER entry_id DROP IDENTITY, DROP CONSTRAINT audit_entry_pkey",
        f"UPDATE audit_entry SET entry_id = {places} WHERE entry_id IN (1, 2, 5, 6, 7)",  # noqa: S608 - as above
    )

    found = (await _verify(db)).tampered
    assert [(n, "reordered") for n in (1, 2, 5, 6, 7)] == [(f.entry_id, f.how) for f in found]


async def test_a_line_changed_together_with_its_seal_is_named(db: Database) -> None:
    """
    The signed manifest still says what it was.
    """
    await _write(db, 20)
    await _seal_all(db)
    await _tamper(
        db,
        "UPDATE audit_entry SET reason = 'x' WHERE entry_id = 3",
        "UPDATE audit_seal SET content = sha256('x') WHERE entry_id = 3",
        "DELETE FROM audit_seal WHERE entry_id = 4",
    )

    found = (await _verify(db)).tampered
    assert [(3, "changed"), (3, "seal_changed"), (4, "seal_removed")] == [
        (f.entry_id, f.how) for f in found if f.how != "added"
    ]


async def test_a_head_that_was_touched_is_named_and_its_lines_are_still_looked_at(db: Database) -> None:
    """
    In the middle and at the end; what no head vouches for is compared with its seals.
    """
    for first in (1, 11, 21, 31):
        await _write(db, 10, first=first)
        await _seal_all(db)
    await _tamper(
        db,
        "UPDATE audit_head SET sealed_at = sealed_at - interval '1 day' WHERE head_id = 2",
        "DELETE FROM audit_head WHERE head_id = 4",
        "UPDATE audit_entry SET reason = 'x' WHERE entry_id IN (15, 35)",
    )

    found = (await _verify(db)).tampered
    assert [(2, "changed"), (4, "removed")] == [(f.head_id, f.how) for f in found if f.head_id is not None]
    assert [(15, "changed"), (35, "changed")] == [(f.entry_id, f.how) for f in found if f.entry_id is not None]


async def test_a_tail_cut_off_without_a_trace_misses_a_head_the_log_has_told(db: Database) -> None:
    """
    Lines, seals and heads gone alike: only who kept a head from outside can know.
    """
    await _write(db, 10)
    await _seal_all(db)
    await _write(db, 10, first=11)
    await _seal_all(db)
    async with db.connection() as connection:
        told = await connection.fetchval(
            "SELECT head_id || ':' || encode(chain, 'hex') FROM audit_head WHERE head_id = 2"
        )
    assert () == (await _verify(db, told=told)).tampered

    await _tamper(
        db,
        "DELETE FROM audit_head WHERE head_id = 2",
        "DELETE FROM audit_seal WHERE number > 10",
        "DELETE FROM audit_entry WHERE entry_id > 10",
    )
    assert () == (await _verify(db)).tampered
    assert (Finding(head_id=2, how="removed"),) == (await _verify(db, told=told)).tampered


async def test_heads_of_a_retired_key_stay_signed_and_those_of_a_strange_one_are_not(db: Database) -> None:
    """
    A key is replaced without sealing anything again.
    """
    await _write(db, 5)
    await _seal_all(db, OTHER_KEY)
    await _write(db, 5, first=6)
    await _seal_all(db)

    assert () == (await _verify(db, CheckingKeys([KEY.public, OTHER_KEY.public]))).tampered
    assert (Finding(head_id=1, how="changed"),) == (await _verify(db)).tampered


async def test_a_sealer_that_finds_a_head_gone_stops_and_loses_nothing(db: Database) -> None:
    """
    Sealing over the hole would hide it.
    """
    await _write(db, 5)
    await _seal_all(db)
    await _tamper(db, "DELETE FROM audit_head")
    await _write(db, 5, first=6)

    with pytest.raises(asyncpg.UniqueViolationError):
        await seal_lines(db, KEY)
    assert (5, (Finding(head_id=1, how="removed"),)) == ((report := await _verify(db)).waiting, report.tampered)


async def test_the_command_ends_with_one_and_names_the_line(database: str, db: Database) -> None:
    """
    The last line is JSON, whatever stands before it.
    """
    await _write(db, 30)
    await _seal_all(db)
    assert (0, {"entries": 30, "heads": 1, "waiting": 0, "tampered": []}) == await _command(database)

    await _tamper(db, "UPDATE audit_entry SET actor = 'acc_x' WHERE entry_id = 12")
    code, said = await _command(database)
    assert (1, [{"entry_id": 12, "how": "changed"}]) == (code, said["tampered"])


async def _command(database: str) -> tuple[int | None, dict[str, object]]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services.booking", "audit-log", "verify", "--database-url", database),
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none", "AUDIT_SIGNING_KEY": SEED},
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await asyncio.wait_for(process.communicate(), timeout=60)
    said: dict[str, object] = msgspec.json.decode(out.splitlines()[-1])
    return process.returncode, said
