"""
Sealing: lines of the audit log are numbered, chained and signed in batches, soon after they are committed.

Called by the worker as a task; any number of workers may run, one seals. A line that commits
late is sealed late, under a later number: nothing waits for it and nothing is skipped.
"""

import asyncio

import asyncpg
import msgspec

from kernel import metrics
from kernel.audit import seals
from kernel.audit.chain import BEFORE_FIRST, Head, Item, Line, SealingKey, chained, content_of, packed
from kernel.errors import Retryable
from kernel.log import get_logger
from kernel.postgres import Connection, Database

log = get_logger(__name__)
BATCH_LINES_MAX = 1000
PAUSE_SECONDS = 1.0
TROUBLE_SECONDS = 5.0
WATCH_SECONDS = 30.0


async def seal_for_ever(database: Database, key: SealingKey) -> None:
    """
    Seal until cancelled: at once while much waits, else every second.
    """
    while True:
        try:
            pause_seconds = 0.0 if await seal_lines(database, key) == BATCH_LINES_MAX else PAUSE_SECONDS
        except Retryable as error:
            log.warning("sealing_waits", error=str(error))
            pause_seconds = TROUBLE_SECONDS
        except asyncpg.UniqueViolationError as error:
            # A number or a line that is sealed already: a head has been removed. The lines wait for people to look.
            log.exception("audit_log_broken", error=str(error), next_step="antrean audit-log verify")
            pause_seconds = TROUBLE_SECONDS
        await asyncio.sleep(pause_seconds)


async def watch_for_ever(database: Database) -> None:
    """
    Say until cancelled how long the oldest line waits. A task of its own: a sealer that stands still says nothing.
    """
    while True:
        try:
            await watch(database)
        except Retryable as error:
            log.warning("watching_waits", error=str(error))
        await asyncio.sleep(WATCH_SECONDS)


async def watch(database: Database) -> None:
    """
    Put it where Prometheus looks.
    """
    async with database.connection() as connection:
        metrics.audit_unsealed_seconds.set(await seals.oldest_unsealed_seconds(connection))


async def seal_lines(database: Database, key: SealingKey) -> int:
    """
    Seal what waits, a bounded number at a time. Returns how many lines were sealed.
    """
    async with database.transaction() as connection:
        if not await seals.lead(connection):
            return 0
        lines = await seals.take_unsealed(connection, limit=BATCH_LINES_MAX)
        head = await _seal(connection, lines, key) if lines else None
        metrics.audit_unsealed_lines.set(await seals.count_unsealed(connection))
    if head is not None:
        metrics.audit_sealed.inc(len(lines))
        # Logs leave the database: a head told here cannot be cut off unnoticed.
        log.info("audit_log_sealed", head=f"{head.head_id}:{head.chain.hex()}", lines=len(lines), kid=head.kid)
    return len(lines)


async def _seal(connection: Connection, lines: list[Line], key: SealingKey) -> Head:
    before = await seals.last_head(connection) or BEFORE_FIRST
    items = [Item(entry_id=line.entry_id, content=content_of(line)) for line in lines]
    chain = chained(before.chain, items, first_number=before.last_number + 1)
    unsigned = Head(
        head_id=before.head_id + 1,
        first_number=before.last_number + 1,
        last_number=before.last_number + len(items),
        chain=chain[-1],
        manifest=packed(items),
        sealed_at=await seals.now(connection),
        kid=key.kid,
    )
    head = msgspec.structs.replace(unsigned, signature=key.signature(unsigned))
    await seals.put(connection, head, items, chain)
    return head
