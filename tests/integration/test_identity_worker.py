"""
The worker process tells what has happened, and the broom sweeps.
"""

import asyncio
import signal
from typing import Any

import pytest

from tests.integration.identity_room import Eventually, environment, opened_room, running

STOP_SECONDS = 15


@pytest.mark.kafka
async def test_the_worker_tells_kafka_and_erases_what_was_never_activated(
    stores: Any, database: str, eventually: Eventually
) -> None:
    """
    The real process on a real broker; it ends on SIGTERM with 0.
    """
    async with opened_room(database) as room:
        await room.activated("sari")
        await room.register("budi")
        await room.fetch("UPDATE account SET created_at = now() - interval '8 days'")
        environ = environment(database, KAFKA_BOOTSTRAP=stores.kafka_bootstrap)

        async def told() -> bool:
            return await room.count("outbox WHERE published_at IS NULL") == 0

        async def swept() -> bool:
            return await room.count("account") == 1

        async with running("worker", environ, eventually) as (process, _):
            await eventually(told)
            await eventually(swept)
            process.send_signal(signal.SIGTERM)
            async with asyncio.timeout(STOP_SECONDS):
                await process.communicate()

        assert process.returncode == 0
        assert await room.count("outbox WHERE published_at IS NOT NULL") == 3
        assert [("sari",)] == [tuple(row) for row in await room.fetch("SELECT username FROM account")]
