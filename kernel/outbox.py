"""
The outbox: a message is written with the fact it tells, and told to Kafka after the commit.

`append` and `append_bundles` are called by use cases inside their transaction. `OutboxRelay.run` is a task of a
room's worker; an advisory lock lets one relay per schema be active, any number stand by.
Rows are read by transaction snapshot, because sequence order is not commit order, and kept
for a while: a broker with another history (a new cluster id) is told everything again.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import msgspec

from kernel import metrics
from kernel.errors import Retryable
from kernel.kafka.message import Message, pack_headers, unpack_headers
from kernel.kafka.producer import Producer, cluster_id
from kernel.log import get_logger
from kernel.postgres import Connection, Database
from kernel.settings import KafkaSettings
from kernel.sql import load_queries

log = get_logger(__name__)
SQL = load_queries(Path(__file__).parent / "sql" / "queries.sql")

BATCH_MESSAGES = 2000
"""What is told at a time; the last row of a batch may hold a bundle more."""
BUNDLE_MESSAGES_MAX = 50
"""About 50 kB: a row of the outbox stays small enough to be read in a batch of many."""
ANNOUNCE_ROWS_MAX = 10_000
POLL_SECONDS = 0.05
"""An idle relay looks this often: NOTIFY would serialise commits of the whole database."""
KEEP = timedelta(days=3)
CLUSTER_CHECK_SECONDS = 5.0
TIDY_SECONDS = 1.0
_LOCK_CLASS = 0x6F7574
_encoder = msgspec.msgpack.Encoder()
_bundle = msgspec.msgpack.Decoder(list[Message])


async def append(connection: Connection, messages: Sequence[Message]) -> None:
    """
    Say messages in the caller's transaction. The same event id again changes nothing.
    """
    if messages:
        await connection.execute(
            SQL.append_outbox,
            [message.event_id for message in messages],
            [message.topic for message in messages],
            [message.key for message in messages],
            [pack_headers(message.headers) for message in messages],
            [message.body for message in messages],
        )


async def append_bundles(connection: Connection, messages: Sequence[Message]) -> None:
    """
    Say messages of one topic about facts that are new in the caller's transaction, many to a row.

    A row costs Postgres the same for one message and for fifty. In return an id already said is not looked for:
    the first of a bundle said again ends the transaction, the others are up to the caller.
    """
    groups = [messages[at : at + BUNDLE_MESSAGES_MAX] for at in range(0, len(messages), BUNDLE_MESSAGES_MAX)]
    bundles = [group for group in groups if len(group) > 1]
    if bundles:
        await connection.execute(
            SQL.append_bundles,
            [bundle[0].event_id for bundle in bundles],
            [bundle[0].topic for bundle in bundles],
            [pack_headers(())] * len(bundles),
            [_encoder.encode(bundle) for bundle in bundles],
            [len(bundle) for bundle in bundles],
        )
    if len(bundles) < len(groups):
        await append(connection, groups[-1])


def messages_of(row: Mapping[str, Any]) -> list[Message]:
    """
    What a row of the outbox says.
    """
    if row["messages"] > 1:
        return _bundle.decode(row["body"])
    return [
        Message(
            topic=row["topic"],
            key=row["key"],
            event_id=row["event_id"],
            headers=unpack_headers(row["headers"]),
            body=row["body"],
        )
    ]


class OutboxRelay:
    """
    Carries one schema's outbox to Kafka.
    """

    def __init__(self, database: Database, producer: Producer, settings: KafkaSettings) -> None:
        self._database = database
        self._producer = producer
        self._settings = settings
        self._published = metrics.outbox_published.labels(database.schema)
        self._unpublished = metrics.outbox_unpublished.labels(database.schema)
        self._checked_at = 0.0
        self._tidied_at = 0.0

    async def run(self) -> None:
        """
        Relay until cancelled. Trouble is logged and tried again; nothing is skipped.
        """
        while True:
            try:
                await self._lead()
            except Retryable as error:
                log.warning("outbox_waits", schema=self._database.schema, error=str(error))
                await asyncio.sleep(1.0)

    async def _lead(self) -> None:
        async with self._database.connection() as leader:
            while not await self._elected(leader):  # noqa: ASYNC110 - the other end is another process
                await asyncio.sleep(1.0)
            self._checked_at = self._tidied_at = 0.0
            try:
                while True:
                    await self._greet_cluster(leader)
                    if await self._publish_some(leader) < BATCH_MESSAGES:
                        await self._tidy(leader)
                        await asyncio.sleep(POLL_SECONDS)
            finally:
                await asyncio.shield(self._step_down(leader))

    async def _step_down(self, leader: Connection) -> None:
        # The pool does not reset sessions, so the lock is given back by name, or goes with its session.
        try:
            await leader.execute("SELECT pg_advisory_unlock($1, hashtext($2))", _LOCK_CLASS, self._database.schema)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError, OSError) as error:
            log.warning("outbox_lock_left", schema=self._database.schema, error=repr(error))
            leader.terminate()

    async def _elected(self, leader: Connection) -> bool:
        won: bool = await leader.fetchval(
            "SELECT pg_try_advisory_lock($1, hashtext($2))", _LOCK_CLASS, self._database.schema
        )
        return won

    async def _publish_some(self, leader: Connection) -> int:
        rows = await leader.fetch(SQL.read_outbox, BATCH_MESSAGES)
        if not rows:
            return 0
        messages = [message for row in rows for message in messages_of(row)]
        await self._producer.publish(messages)
        await leader.execute(SQL.mark_published, [row["id"] for row in rows])
        self._published.inc(len(messages))
        return len(messages)

    async def _greet_cluster(self, leader: Connection) -> None:
        now = asyncio.get_running_loop().time()
        if self._checked_at and now - self._checked_at < CLUSTER_CHECK_SECONDS:
            return
        current = await cluster_id(self._settings)
        before = await leader.fetchval(SQL.known_cluster)
        if before != current:
            if before is not None:
                log.warning("outbox_announced_again", schema=self._database.schema, before=before, now=current)
                await self._announce_again(leader)
            # Noted last: a crash on the way begins again, and a repeat is recognised by its event id.
            await leader.execute(SQL.remember_cluster, current)
        self._checked_at = now

    async def _announce_again(self, leader: Connection) -> None:
        last_id: int | None = 0
        while last_id is not None:
            last_id = await leader.fetchval(SQL.announce_again, last_id, ANNOUNCE_ROWS_MAX)

    async def _tidy(self, leader: Connection) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._tidied_at < TIDY_SECONDS:
            return
        self._unpublished.set(await leader.fetchval(SQL.count_unpublished))
        await leader.execute(SQL.delete_published, KEEP, 1000)
        self._tidied_at = now
