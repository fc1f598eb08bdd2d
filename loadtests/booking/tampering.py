"""
An audit log with thousands of lines changed, removed and swapped behind its back, and what `audit-log verify` finds.

Called by `__main__`. Planted by a session for which no trigger fires and no grant counts, each line at most once;
found is what the real command names with the right word. A line named without having been touched spoils the run.
"""

import asyncio
import base64
import os
import random
import secrets
import sys
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from kernel.audit.chain import SealingKey
from kernel.audit.sealing import seal_lines
from loadtests.booking.stand import STATEMENT_SECONDS_MAX, Stand
from ops.state import PROJECT

LINES_PER_TAMPERING: Final = 3
COMMAND_SECONDS_MAX: Final = 300.0
EDITS: Final = (
    "at = at + interval '1 microsecond'",
    "actor = 'acc_' || md5(actor)",
    "action = 'pardon_booking'",
    "subject = subject || 'x'",
    "office_id = 'jayapura'",
    "reason = reason || '.'",
    "details = details || '{\"forged\": true}'",
)
"""One of these, drawn for each line."""


async def tamper(stand: Stand, *, plantings: int, rng: random.Random) -> dict[str, Any]:
    """
    Write and seal, plant, verify, count.
    """
    seed = base64.b64encode(secrets.token_bytes(32)).decode()
    lines = plantings * LINES_PER_TAMPERING
    await _write(stand, lines)
    while await seal_lines(stand.db, SealingKey(seed)):
        pass
    print(f"  {lines:,} lines written and sealed", flush=True)
    planted = _drawn(lines, plantings, rng)
    await _plant(stand, planted, rng)
    code, named = await _verify(stand, seed)
    expected = [{(entry_id, how) for entry_id in ids} for how, each in planted.items() for ids in each]
    found = sum(each <= named for each in expected)
    touched = set().union(*expected)
    besides = len(named - touched)
    print(f"  {plantings:,} planted, {found:,} named, {besides:,} named besides, exit code {code}", flush=True)
    return {
        "audit_tampering_planted": plantings,
        "audit_tampering_found": found,
        "audit_named_besides": besides,
    }


def _drawn(lines: int, plantings: int, rng: random.Random) -> dict[str, list[tuple[int, ...]]]:
    """
    Which lines are changed, removed, or swapped in pairs: a third each.
    """
    third = plantings // 3
    swaps = plantings - 2 * third
    ids = rng.sample(range(1, lines + 1), 2 * third + 2 * swaps)
    pairs = ids[2 * third :]
    return {
        "changed": [(each,) for each in ids[:third]],
        "removed": [(each,) for each in ids[third : 2 * third]],
        "reordered": list(zip(pairs[::2], pairs[1::2], strict=True)),
    }


async def _write(stand: Stand, lines: int) -> None:
    async with stand.db.connection() as connection:
        await connection.execute(
            """
            INSERT INTO audit_entry (actor, action, subject, office_id, reason, details)
            SELECT 'acc_' || n % 50, 'check_in_booking', 'rsv_' || md5(n::text), 'bandung', 'reason ' || n % 10,
                jsonb_build_object('from', 'confirmed')
            FROM generate_series(1, $1::integer) AS n
            """,
            lines,
            timeout=STATEMENT_SECONDS_MAX,
        )


async def _plant(stand: Stand, planted: dict[str, list[tuple[int, ...]]], rng: random.Random) -> None:
    edits: dict[str, list[int]] = {edit: [] for edit in EDITS}
    for (entry_id,) in planted["changed"]:
        edits[rng.choice(EDITS)].append(entry_id)
    async with stand.db.transaction() as connection:
        await connection.execute("SET LOCAL session_replication_role = replica")
        for edit, ids in edits.items():
            await connection.execute(f"UPDATE audit_entry SET {edit} WHERE entry_id = ANY ($1::bigint[])", ids)  # noqa: S608
        await connection.execute(
            "DELETE FROM audit_entry WHERE entry_id = ANY ($1::bigint[])", [each for (each,) in planted["removed"]]
        )
        await connection.execute(_SWAP, *_columns(planted["reordered"]))


_SWAP: Final = """
UPDATE audit_entry AS e SET at = o.at, actor = o.actor, action = o.action, subject = o.subject,
    office_id = o.office_id, reason = o.reason, details = o.details
FROM (
    SELECT a, b FROM unnest($1::bigint[], $2::bigint[]) AS s (a, b)
    UNION ALL
    SELECT b, a FROM unnest($1::bigint[], $2::bigint[]) AS s (a, b)
) AS pair
INNER JOIN audit_entry AS o ON o.entry_id = pair.b
WHERE e.entry_id = pair.a
"""


def _columns(pairs: Sequence[tuple[int, ...]]) -> tuple[list[int], list[int]]:
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


async def _verify(stand: Stand, seed: str) -> tuple[int | None, set[tuple[int, str]]]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services.booking", "audit-log", "verify"),
        cwd=PROJECT,
        env={**os.environ, "DATABASE_URL": stand.url, "AUDIT_SIGNING_KEY": seed},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    out, _ = await asyncio.wait_for(process.communicate(), timeout=COMMAND_SECONDS_MAX)
    said = msgspec.json.decode(out.splitlines()[-1])
    return process.returncode, {(each["entry_id"], each["how"]) for each in said["tampered"]}
