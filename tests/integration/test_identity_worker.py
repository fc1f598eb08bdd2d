"""
The worker process tells what has happened, hears who is awaited where, and the broom sweeps.
"""

import asyncio
import signal
from typing import Any

import pytest

from contracts.envelope import seal
from kernel.kafka.producer import kafka_producer
from kernel.settings import KafkaSettings
from tests.integration.identity_room import Eventually, environment, opened_room, running
from tests.integration.name_desk import confirmed, enveloped, visit

STOP_SECONDS = 15


@pytest.mark.kafka
async def test_the_worker_tells_hears_and_erases_what_was_never_activated(
    stores: Any, database: str, eventually: Eventually
) -> None:
    """
    The real process on a real broker; it ends on SIGTERM with 0.
    """
    [told_of] = enveloped(confirmed(visit(database, {1: "per_one"})))
    booking_id = told_of.event_id.split(".")[1]
    async with opened_room(database) as room:
        await room.activated("sari")
        await room.register("budi")
        await room.fetch("UPDATE account SET created_at = now() - interval '8 days'")
        environ = environment(database, KAFKA_BOOTSTRAP=stores.kafka_bootstrap)

        async def told() -> bool:
            return await room.count("outbox WHERE published_at IS NULL") == 0

        async def heard() -> bool:
            return await room.count(f"visit WHERE booking_id = '{booking_id}'") == 1

        async def swept() -> bool:
            return await room.count("account") == 1

        async with running("worker", environ, eventually) as (process, _):
            await eventually(told)
            await eventually(swept)
            async with kafka_producer(KafkaSettings(bootstrap=stores.kafka_bootstrap), name="test-booking") as producer:
                event = told_of.event
                await producer.publish([seal(event, event_id=told_of.event_id, key=booking_id, source="booking")])
                await eventually(heard)
            process.send_signal(signal.SIGTERM)
            async with asyncio.timeout(STOP_SECONDS):
                await process.communicate()

        assert process.returncode == 0
        assert await room.count("outbox WHERE published_at IS NOT NULL") == 3
        assert [("sari",)] == [tuple(row) for row in await room.fetch("SELECT username FROM account")]
