"""
The worker as a process, on a real broker: what quota says comes in, what booking says goes out, through a kill.
"""

import asyncio
import base64
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from contracts.envelope import Envelope, seal, unseal
from contracts.events import BookingEvent, BookingWatermark, QuotaEvent
from contracts.topics import BOOKING_EVENTS, BOOKING_WATERMARKS
from kernel.kafka.producer import Producer, kafka_producer
from kernel.settings import KafkaSettings
from ops.background import BackgroundBroker
from tests.conftest import Eventually
from tests.integration.booking_room import Room, booking_id, booking_room

pytestmark = pytest.mark.kafka
ROOT = Path(__file__).parents[2]
FOUND_WITHIN_SECONDS = 40


@pytest.fixture
async def room(database: str) -> AsyncIterator[Room]:
    async with booking_room(database, offices=("bandung",)) as opened:
        yield opened


@pytest.fixture
async def producer(fresh_broker: BackgroundBroker) -> AsyncIterator[Producer]:
    async with kafka_producer(KafkaSettings(bootstrap=fresh_broker.bootstrap), name="test-quota") as opened:
        yield opened


async def _start(database_url: str, bootstrap: str) -> asyncio.subprocess.Process:
    given = {"DATABASE_URL": database_url, "KAFKA_BOOTSTRAP": bootstrap, "ADMIN_PORT": "0"}
    environ = {**os.environ, **given, "AUDIT_SIGNING_KEY": base64.b64encode(bytes(32)).decode()}
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.booking", "worker", cwd=ROOT, env=environ, stdout=asyncio.subprocess.DEVNULL
    )


async def _end(worker: asyncio.subprocess.Process, number: signal.Signals = signal.SIGTERM) -> int:
    worker.send_signal(number)
    return await asyncio.wait_for(worker.wait(), timeout=15)


async def _publish(producer: Producer, *envelopes: Envelope) -> None:
    for envelope in envelopes:
        event = envelope.event
        assert isinstance(event, QuotaEvent)
        sealed = seal(
            event, event_id=envelope.event_id, key=str(event.partition), source="quota", partition=event.partition
        )
        await producer.publish([sealed])


async def _read(bootstrap: str, topic: str, partitions: int) -> list[Any]:
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest", enable_auto_commit=False)
    await consumer.start()
    try:
        assigned = [TopicPartition(topic, partition) for partition in range(partitions)]
        consumer.assign(assigned)
        ends = await consumer.end_offsets(assigned)
        await consumer.seek_to_beginning()
        events = []
        while any([await consumer.position(each) < ends[each] for each in assigned]):
            for records in (await consumer.getmany(timeout_ms=200)).values():
                events += [unseal(record.headers, record.value) for record in records]
        return events
    finally:
        await consumer.stop()


async def test_the_worker_records_expires_tells_and_survives_a_kill(
    database: str, fresh_broker: BackgroundBroker, room: Room, producer: Producer, eventually: Eventually
) -> None:
    """
    Killed in between and given everything again, it has each booking once and tells each step once.
    """
    bootstrap = fresh_broker.bootstrap
    batch = [room.held(f"n{n}", seats=(n,), pay_in_seconds=7200) for n in range(1, 11)]
    short = room.held("short", seats=(11,), pay_in_seconds=0)

    worker = await _start(database, bootstrap)
    try:
        await _publish(producer, *batch)
        await eventually(lambda: _recorded(room, 10), within_seconds=FOUND_WITHIN_SECONDS)
        assert -signal.SIGKILL == await _end(worker, signal.SIGKILL)
        await _publish(producer, *batch, short)

        worker = await _start(database, bootstrap)
        await eventually(lambda: _told(bootstrap, room, 12), within_seconds=FOUND_WITHIN_SECONDS)
        await eventually(lambda: _announced(bootstrap, 11), within_seconds=FOUND_WITHIN_SECONDS)
    finally:
        code = await _end(worker)

    assert 0 == code
    assert "expired" == await room.state("short")
    assert 11 == await room.watermark()


async def _recorded(room: Room, number: int) -> bool:
    return number == await room.count("SELECT count(*) FROM booking")


async def _told(bootstrap: str, room: Room, number: int) -> bool:
    """
    Kafka may hold a message twice after a kill, but never two ids for one step.
    """
    envelopes = await _read(bootstrap, BOOKING_EVENTS.name, BOOKING_EVENTS.partitions)
    steps = {(e.event_id, e.event.TYPE) for e in envelopes if isinstance(e.event, BookingEvent)}
    ids = {event_id for event_id, _ in steps}
    expected = {f"b.{booking_id(f'n{n}')}.1" for n in range(1, 11)}
    expected |= {f"b.{booking_id('short')}.{version}" for version in (1, 2)}
    return ids == expected and number == len(steps)


async def _announced(bootstrap: str, seq: int) -> bool:
    envelopes = await _read(bootstrap, BOOKING_WATERMARKS.name, BOOKING_WATERMARKS.partitions)
    # Partitions nothing is recorded of are announced as well, now and then.
    marks = [e.event for e in envelopes if isinstance(e.event, BookingWatermark) and e.event.partition == 7]
    return bool(marks) and BookingWatermark(partition=7, epoch=1, seq=seq) == marks[-1]
