"""
What kernel's tests ask a broker: what was said in a topic, and how far a group has come.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition

from contracts.topics import TOPICS
from kernel import deadline
from kernel.kafka.message import Message

DEADLINE_SECONDS = 30


def said(topic: str, key: str, number: int) -> Message:
    """
    A message that says its key and its number.
    """
    event_id = f"{key}.{number}"
    return Message(
        topic=topic,
        key=key,
        event_id=event_id,
        headers=(("ce_id", event_id.encode()),),
        body=event_id.encode(),
    )


async def send(bootstrap: str, topic: str, *records: tuple[bytes, bytes]) -> None:
    """
    Put raw keys and values into partition 0, so that their order is known.
    """
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all")
    await asyncio.wait_for(producer.start(), DEADLINE_SECONDS)
    try:
        for key, value in records:
            sent = producer.send_and_wait(topic, value, key=key, partition=0, headers=[("ce_id", value)])
            await asyncio.wait_for(sent, DEADLINE_SECONDS)
    finally:
        await producer.stop()


class Heard:
    """
    Everything a topic holds, as it comes; a reader without a group.
    """

    def __init__(self) -> None:
        self.records: list[ConsumerRecord[Any, Any]] = []

    def bodies(self, key: str | None = None) -> list[str]:
        """
        What was said, with repeats; of one key, in order.
        """
        return [r.value.decode() for r in self.records if key is None or (r.key or b"").decode() == key]

    def once(self, key: str | None = None) -> list[str]:
        """
        What was said, each at its first time.
        """
        return list(dict.fromkeys(self.bodies(key)))


@asynccontextmanager
async def listening(bootstrap: str, topic: str) -> AsyncIterator[Heard]:
    """
    Listen to a topic from its beginning.
    """
    heard = Heard()
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False, metadata_max_age_ms=1000)
    await asyncio.wait_for(consumer.start(), DEADLINE_SECONDS)
    partitions = [
        TopicPartition(topic, number) for known in TOPICS if known.name == topic for number in range(known.partitions)
    ]
    consumer.assign(partitions)
    await consumer.seek_to_beginning(*partitions)

    async def listen() -> None:
        while True:
            for records in (await consumer.getmany(timeout_ms=100)).values():
                heard.records += records

    task = asyncio.create_task(listen())
    try:
        yield heard
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await consumer.stop()


async def committed(bootstrap: str, group: str, topic: str, partition: int = 0) -> int | None:
    """
    How far a group says it has come, asked without joining it.
    """
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, group_id=group, enable_auto_commit=False)
    await asyncio.wait_for(consumer.start(), DEADLINE_SECONDS)
    try:
        consumer.assign([TopicPartition(topic, partition)])
        offset: int | None = await asyncio.wait_for(
            consumer.committed(TopicPartition(topic, partition)), DEADLINE_SECONDS
        )
        return offset
    finally:
        await consumer.stop()


@asynccontextmanager
async def running(*works: Any) -> AsyncIterator[list[asyncio.Task[Any]]]:
    """
    Run endless work while the test looks, and end it.
    """
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if deadline._left_behind:
            # A driver left behind closes its sockets while the loop still runs.
            await asyncio.wait(deadline._left_behind, timeout=5)
