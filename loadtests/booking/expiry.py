"""
Holds that all expire at one moment, through booking's real worker: how late, how many early, how many twice.

Called by `__main__`. The worker is a process of its own, as in the stack: its consumers, its relay and its sweep share
what it has. Late is `changed_at - pay_by` by Postgres' clock; when all could see it is measured from here.
"""

import asyncio
import base64
import os
import secrets
import sys
import time
from collections import Counter
from typing import Any, Final

from contracts.envelope import Envelope
from kernel.outbox import messages_of
from kernel.settings import KafkaSettings
from loadtests.booking.stand import LOOK_SECONDS, Stand
from ops.state import PROJECT
from services.booking.stores.visits import Visits
from services.booking.use_cases import recording

RECORD_AT_ONCE: Final = 2000
RECORD_SECONDS_PER_HOLD: Final = 0.0004
"""Bounds how long recording them takes; a slower machine finds some overdue at the start, and the bench says so."""
READY_SECONDS: Final = 12.0
PATIENCE_SECONDS: Final = 120.0
OUTBOX_ROWS_AT_ONCE: Final = 500
EXPIRED: Final = b"booking.expired.v1"


async def expire(stand: Stand, kafka: KafkaSettings, *, holds: int) -> dict[str, Any]:
    """
    Record, start the worker, wait for the moment, and read what happened.
    """
    pay_by = time.time() + READY_SECONDS + holds * RECORD_SECONDS_PER_HOLD
    await _record(stand, holds, pay_by_ms=int(pay_by * 1000))
    await stand.execute("VACUUM ANALYZE", "CHECKPOINT")
    print(f"  {holds:,} holds recorded, {pay_by - time.time():.1f} s before their deadline", flush=True)
    worker = await _start(stand, kafka)
    try:
        seen_seconds = await _wait(stand, pay_by)
    finally:
        worker.terminate()
        await asyncio.wait_for(worker.wait(), timeout=30)
    return {**await _read(stand), "expired": holds, "expiry_all_visible_seconds": round(seen_seconds, 2)}


async def _record(stand: Stand, holds: int, *, pay_by_ms: int) -> None:
    visits = Visits()
    for start in range(0, holds, RECORD_AT_ONCE):
        some = stand.holds(min(RECORD_AT_ONCE, holds - start), pay_by_ms=pay_by_ms)
        envelopes = [Envelope(event_id=f"q{hold.partition}:{hold.epoch}:{hold.seq}", event=hold) for hold in some]
        await recording.record(stand.db, visits, envelopes)
    # What is told of the holds is told before.
    await stand.execute("UPDATE outbox SET published_at = now()")


async def _start(stand: Stand, kafka: KafkaSettings) -> asyncio.subprocess.Process:
    given = {
        "DATABASE_URL": stand.url,
        "KAFKA_BOOTSTRAP": kafka.bootstrap,
        "ADMIN_PORT": "0",
        "LOG_LEVEL": "warning",
        "AUDIT_SIGNING_KEY": base64.b64encode(secrets.token_bytes(32)).decode(),
    }
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services.booking", "worker"),
        cwd=PROJECT,
        env={**os.environ, **given},
        stdout=asyncio.subprocess.DEVNULL,
    )


async def _wait(stand: Stand, pay_by: float) -> float:
    """
    Until all are seen expired. Returns how long after the deadline that was.
    """
    await asyncio.sleep(max(0.0, pay_by - time.time()))
    async with stand.db.connection() as connection, asyncio.timeout(PATIENCE_SECONDS):
        while await connection.fetchval("SELECT EXISTS (SELECT 1 FROM booking WHERE state = 'held')"):  # noqa: ASYNC110
            await asyncio.sleep(10 * LOOK_SECONDS)
        return time.time() - pay_by


async def _read(stand: Stand) -> dict[str, Any]:
    async with stand.db.connection() as connection:
        row = await connection.fetchrow(
            """
            SELECT count(*) FILTER (WHERE state = 'expired') AS expired,
                count(*) FILTER (WHERE changed_at < pay_by) AS early,
                percentile_disc(ARRAY[0.5, 0.99, 1.0]) WITHIN GROUP (
                    ORDER BY extract(epoch FROM changed_at - pay_by)::float8) AS lags,
                count(*) FILTER (WHERE version <> 2) AS strange
            FROM booking
            """
        )
    median, p99, slowest = row["lags"]
    said = await _said(stand)
    twice = sum(times - 1 for times in said.values()) + row["strange"]
    print(f"  late: median {median:.2f} s, p99 {p99:.2f} s, latest {slowest:.2f} s", flush=True)
    return {
        "expiry_p99_seconds": round(p99, 3),
        "expired_early": row["early"],
        "expired_twice": twice,
        "expiry_told": len(said),
    }


async def _said(stand: Stand) -> Counter[str]:
    """
    How often the end of each booking was told.
    """
    said: Counter[str] = Counter()
    async with stand.db.transaction() as connection:
        async for row in connection.cursor("SELECT * FROM outbox ORDER BY id", prefetch=OUTBOX_ROWS_AT_ONCE):
            said.update(m.key for m in messages_of(row) if dict(m.headers)["ce_type"] == EXPIRED)
    return said
