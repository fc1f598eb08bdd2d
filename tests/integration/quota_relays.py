"""
What quota's relays have told the topic, and what booking tells them.
"""

from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from contracts.envelope import Envelope, unseal
from contracts.events import BookingWatermark, QuotaEvent
from contracts.topics import QUOTA_EVENTS
from kernel.settings import KafkaSettings
from tests.integration.quota_room import Room, heard

FAR = "makassar.20261130.morning.regular.online"


async def told(kafka: KafkaSettings, slot_id: str, room: Room) -> list[tuple[int, Envelope]]:
    """
    Everything in the slot's partition of the topic, oldest first.
    """
    partition = TopicPartition(QUOTA_EVENTS.name, room.keys.partition_of(slot_id))
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka.bootstrap, enable_auto_commit=False)
    await consumer.start()
    try:
        consumer.assign([partition])
        await consumer.seek_to_beginning(partition)
        end = (await consumer.end_offsets([partition]))[partition]
        messages: list[Any] = []
        while await consumer.position(partition) < end:
            messages += (await consumer.getmany(timeout_ms=200)).get(partition, [])
    finally:
        await consumer.stop()
    return [(int(message.key), unseal(tuple(message.headers), message.value)) for message in messages]


async def numbers(kafka: KafkaSettings, slot_id: str, room: Room) -> list[int]:
    """
    The seq of each, repeats and all.
    """
    return [
        envelope.event.seq for _, envelope in await told(kafka, slot_id, room) if isinstance(envelope.event, QuotaEvent)
    ]


def recorded(room: Room, slot_id: str, seq: int, epoch: int = 1) -> Envelope:
    """
    Booking's word that it has recorded so far.
    """
    return heard(BookingWatermark(partition=room.keys.partition_of(slot_id), epoch=epoch, seq=seq))
