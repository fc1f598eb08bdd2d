"""
The newest messages of a topic, read without a group and without moving anybody.

Called where a process must know what has been told, whoever told it. Connects for one look.
"""

from typing import NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from kernel.deadline import abandoned_after
from kernel.errors import DeadlineExceeded, Retryable
from kernel.kafka.message import Headers
from kernel.settings import KafkaSettings


class Told(NamedTuple):
    """
    A message as the broker keeps it.
    """

    partition: int
    headers: Headers
    body: bytes | None


async def newest(settings: KafkaSettings, topic: str, *, partitions: int, each_max: int) -> list[Told]:
    """
    Up to `each_max` of the last messages of every partition. Raises `Retryable` when the broker does not answer.
    """
    # A client id of its own: the broker must not take it for a member of anything.
    consumer = AIOKafkaConsumer(
        bootstrap_servers=settings.bootstrap,
        client_id="antrean-tail",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        request_timeout_ms=int(settings.call_timeout_seconds * 1000),
    )
    try:
        await abandoned_after(settings.call_timeout_seconds, consumer.start(), what="Kafka")
        look = _look(consumer, [TopicPartition(topic, number) for number in range(partitions)], each_max)
        return await abandoned_after(settings.call_timeout_seconds, look, what="Kafka")
    except (KafkaError, DeadlineExceeded, OSError) as error:
        raise Retryable(f"Kafka does not say what was told last: {error!r}") from error
    finally:
        try:
            await abandoned_after(1.0, consumer.stop(), what="Kafka consumer stop")
        except (KafkaError, DeadlineExceeded, OSError) as error:
            raise Retryable(f"Kafka does not hang up: {error!r}") from error


async def _look(consumer: AIOKafkaConsumer, partitions: list[TopicPartition], each_max: int) -> list[Told]:
    consumer.assign(partitions)
    begins, ends = await consumer.beginning_offsets(partitions), await consumer.end_offsets(partitions)
    waiting = {partition for partition in partitions if begins[partition] < ends[partition]}
    for partition in partitions:
        consumer.seek(partition, max(begins[partition], ends[partition] - each_max))
    found: list[Told] = []
    while waiting:
        for partition, records in (await consumer.getmany(timeout_ms=100)).items():
            found += [Told(partition.partition, tuple(record.headers), record.value) for record in records]
        waiting = {partition for partition in waiting if await consumer.position(partition) < ends[partition]}
    return found
