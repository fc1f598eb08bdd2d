"""
A producer that either has every acknowledgement in time or is thrown away.

Called by relays and, for dead messages, by the consumer loop. aiokafka's idempotent
producer never expires a batch, so `send` and `stop` can hang for ever while the broker
is away; after a blip it may refuse to number on. Both end the same way here: abandon it,
make a new one, and let the caller publish the same ids again.
"""

import asyncio
import zlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from aiokafka.producer.message_accumulator import BatchBuilder

from kernel.deadline import abandoned_after
from kernel.errors import DeadlineExceeded, Retryable
from kernel.kafka.message import Message
from kernel.log import get_logger
from kernel.settings import KafkaSettings

log = get_logger(__name__)
BATCH_BYTES_MAX = 256 * 1024
"""A quarter of what a broker takes in one message set by default."""


class Producer:
    """
    Publishes batches: `acks=all`, idempotent, in order per partition.
    """

    def __init__(self, settings: KafkaSettings, *, name: str) -> None:
        self._settings = settings
        self._name = name
        self._producer: AIOKafkaProducer | None = None
        self._lock = asyncio.Lock()

    async def publish(self, messages: Sequence[Message]) -> None:
        """
        Return when the broker has acknowledged all. Raises `Retryable` when that is not known.
        """
        if not messages:
            return
        async with self._lock:
            try:
                producer = await self._connected()
                await abandoned_after(self._settings.call_timeout_seconds, _send(producer, messages), what="Kafka")
            except (KafkaError, DeadlineExceeded, OSError) as error:
                await self._abandon()
                raise Retryable(f"Kafka did not acknowledge: {type(error).__name__}: {error}") from error
            except asyncio.CancelledError:
                # Batches of a cancelled call may still be on their way and would overtake the next ones.
                await self._abandon()
                raise

    async def close(self) -> None:
        """
        Stop, or give up stopping after the deadline.
        """
        async with self._lock:
            await self._abandon()

    async def _connected(self) -> AIOKafkaProducer:
        if self._producer is None:
            producer = AIOKafkaProducer(
                bootstrap_servers=self._settings.bootstrap,
                client_id=self._name,
                acks="all",
                enable_idempotence=True,
                linger_ms=0,  # batches come complete
                max_batch_size=BATCH_BYTES_MAX,
                request_timeout_ms=int(self._settings.call_timeout_seconds * 1000),
            )
            self._producer = producer
            await abandoned_after(self._settings.call_timeout_seconds, producer.start(), what="Kafka")
        return self._producer

    async def _abandon(self) -> None:
        producer, self._producer = self._producer, None
        if producer is None:
            return
        try:
            await abandoned_after(1.0, producer.stop(), what="Kafka producer stop")
        except (KafkaError, DeadlineExceeded, OSError) as error:
            log.warning("producer_abandoned", producer=self._name, error=repr(error))


async def _send(producer: AIOKafkaProducer, messages: Sequence[Message]) -> None:
    """
    Whole batches per partition: one acknowledgement to wait for instead of one per message.
    """
    lines: dict[tuple[str, int], list[Message]] = {}
    partitions = {topic: len(await producer.partitions_for(topic)) for topic in {each.topic for each in messages}}
    for message in messages:
        partition = message.partition
        if partition is None:
            partition = partition_of(message.key, partitions[message.topic])
        lines.setdefault((message.topic, partition), []).append(message)
    await asyncio.gather(*(_send_line(producer, *line, said) for line, said in lines.items()))


async def _send_line(producer: AIOKafkaProducer, topic: str, partition: int, messages: Sequence[Message]) -> None:
    # One batch after the other: an idempotent producer has no second one of a partition under way anyway.
    batch = producer.create_batch()
    for message in messages:
        if not _added(batch, message):
            await (await producer.send_batch(batch, topic, partition=partition))
            batch = producer.create_batch()
            _added(batch, message)  # the first of a batch fits whatever its size
    await (await producer.send_batch(batch, topic, partition=partition))


def _added(batch: BatchBuilder, message: Message) -> bool:
    added = batch.append(timestamp=None, key=message.key.encode(), value=message.body, headers=list(message.headers))
    return added is not None


def partition_of(key: str, partitions: int) -> int:
    """
    Where messages of a key go for ever, as librdkafka's own partitioner has it.
    """
    return zlib.crc32(key.encode()) % partitions


@asynccontextmanager
async def kafka_producer(settings: KafkaSettings, *, name: str) -> AsyncIterator[Producer]:
    """
    A producer for the life of a process. Connects at the first publish.
    """
    producer = Producer(settings, name=name)
    try:
        yield producer
    finally:
        await producer.close()


async def cluster_id(settings: KafkaSettings) -> str:
    """
    Which cluster answers. Another id means another history. Raises `Retryable`.
    """
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.bootstrap, request_timeout_ms=5000)
    try:
        return await abandoned_after(settings.call_timeout_seconds, _asked(admin), what="Kafka")
    except (KafkaError, DeadlineExceeded, OSError) as error:
        raise Retryable(f"Kafka does not say who it is: {error!r}") from error


async def _asked(admin: AIOKafkaAdminClient) -> str:
    try:
        await admin.start()
        return str((await admin.describe_cluster())["cluster_id"])
    finally:
        await admin.close()
