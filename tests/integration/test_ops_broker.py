"""
The broker of the stack: its topics, and what happens when it goes away. Embedded or Apache Kafka alike.
"""

import asyncio
import uuid
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from contracts.topics import QUOTA_EVENTS, TOPICS
from ops import topics
from ops.background import BackgroundBroker
from ops.errors import StackError

pytestmark = pytest.mark.kafka
DEADLINE_SECONDS = 40


async def send(bootstrap: str, *values: bytes, partition: int = 31) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", enable_idempotence=True)
    await asyncio.wait_for(producer.start(), DEADLINE_SECONDS)
    try:
        for value in values:
            sent = producer.send_and_wait(QUOTA_EVENTS.name, value, partition=partition)
            await asyncio.wait_for(sent, DEADLINE_SECONDS)
    finally:
        await producer.stop()


async def read(bootstrap: str, *, count: int, group: str, topic: str = QUOTA_EVENTS.name) -> list[Any]:
    consumer = AIOKafkaConsumer(
        topic,
        bootstrap_servers=bootstrap,
        group_id=group,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        # The embedded broker makes the second member wait nearly as long as this, though the first has left.
        session_timeout_ms=6000,
        heartbeat_interval_ms=1000,
    )
    await asyncio.wait_for(consumer.start(), DEADLINE_SECONDS)
    try:
        messages = [await asyncio.wait_for(consumer.getone(), DEADLINE_SECONDS) for _ in range(count)]
        await consumer.commit()
        return messages
    finally:
        await consumer.stop()


async def test_every_topic_has_its_true_partition_count(fresh_broker: BackgroundBroker) -> None:
    """
    As in production: an event of partition 31 has somewhere to go.
    """
    assert {topic.name: topic.partitions for topic in TOPICS} == await topics.partition_counts(fresh_broker.bootstrap)


async def test_a_message_keeps_its_partition_and_the_group_its_place(fresh_broker: BackgroundBroker) -> None:
    """
    Produced to the last partition, read once per group.
    """
    group = uuid.uuid4().hex
    await send(fresh_broker.bootstrap, b"one", b"two")
    first = await read(fresh_broker.bootstrap, count=1, group=group)
    second = await read(fresh_broker.bootstrap, count=1, group=group)

    assert [(31, b"one"), (31, b"two")] == [(message.partition, message.value) for message in first + second]


async def test_a_broker_that_vanishes_and_returns_kept_what_it_acknowledged(fresh_broker: BackgroundBroker) -> None:
    """
    Gone means refused connections; back means the same messages at the same address.
    """
    await send(fresh_broker.bootstrap, b"before")
    await fresh_broker.vanish()
    with pytest.raises(StackError, match="no Kafka broker answers"):
        await topics.partition_counts(fresh_broker.bootstrap)
    await fresh_broker.come_back()
    await send(fresh_broker.bootstrap, b"after")
    messages = await read(fresh_broker.bootstrap, count=2, group=uuid.uuid4().hex)

    assert [b"before", b"after"] == [message.value for message in messages]


async def test_a_forgetful_broker_starts_over(fresh_broker: BackgroundBroker) -> None:
    """
    No test reads another's messages: offsets begin at nothing again.
    """
    await send(fresh_broker.bootstrap, b"old")
    await fresh_broker.forget()
    await send(fresh_broker.bootstrap, b"new")
    messages = await read(fresh_broker.bootstrap, count=1, group=uuid.uuid4().hex)

    assert [(0, b"new")] == [(message.offset, message.value) for message in messages]


async def test_topics_are_made_once(fresh_broker: BackgroundBroker) -> None:
    """
    A deployment may ask at every start.
    """
    await topics.ensure(fresh_broker.bootstrap)
    await topics.ensure(fresh_broker.bootstrap)

    assert {topic.name: topic.partitions for topic in TOPICS} == await topics.partition_counts(fresh_broker.bootstrap)


async def test_a_wrong_partition_count_is_refused(fresh_broker: BackgroundBroker) -> None:
    """
    It is fixed at installation: going on would put events where nobody looks.
    """
    twice = [type(QUOTA_EVENTS)(name=QUOTA_EVENTS.name, writer="quota", partitions=64, key="explicit partition")]

    with pytest.raises(StackError, match=r"quota\.events has 32 instead of 64"):
        await topics.ensure(fresh_broker.bootstrap, twice)
