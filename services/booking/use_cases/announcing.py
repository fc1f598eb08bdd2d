"""
Announcing how far quota's decisions are recorded, so that quota may forget what it kept.

Called by the worker as a task. Goes straight to Kafka: the topic keeps the newest word of
each partition, and saying it again is harmless. Never announces what is not committed.
"""

import asyncio
from collections.abc import Sequence

from contracts.envelope import seal
from contracts.events import BookingWatermark
from kernel.errors import Retryable
from kernel.kafka.producer import Producer
from kernel.log import get_logger
from kernel.postgres import Database
from services.booking.stores import watermarks
from services.booking.use_cases.telling import SOURCE

log = get_logger(__name__)
LOOK_SECONDS = 0.2
REPEAT_SECONDS = 5.0
"""All partitions again this often, so that a broker which knows nothing learns it."""


async def announce_for_ever(database: Database, producer: Producer, *, partitions: int) -> None:
    """
    Announce until cancelled: what moved at once, everything now and then.
    """
    announced: dict[int, BookingWatermark] = {}
    repeat_at = 0.0
    while True:
        try:
            async with database.connection() as connection:
                current = _with_silent(await watermarks.read(connection), partitions)
            now = asyncio.get_running_loop().time()
            if now >= repeat_at:
                announced, repeat_at = {}, now + REPEAT_SECONDS
            await _publish(producer, [mark for mark in current if announced.get(mark.partition) != mark])
            announced = {mark.partition: mark for mark in current}
        except Retryable as error:
            log.warning("watermarks_wait", error=str(error))
        await asyncio.sleep(LOOK_SECONDS)


def _with_silent(recorded: Sequence[BookingWatermark], partitions: int) -> list[BookingWatermark]:
    """
    Of a partition nothing is recorded of that is said as well: quota sells from none it has no word about.
    """
    known = {mark.partition for mark in recorded}
    silent = [partition for partition in range(partitions) if partition not in known]
    return [*recorded, *(BookingWatermark(partition=partition, epoch=0, seq=0) for partition in silent)]


async def _publish(producer: Producer, marks: Sequence[BookingWatermark]) -> None:
    await producer.publish(
        [
            seal(
                mark,
                event_id=f"w.{mark.partition}.{mark.epoch}.{mark.seq}",
                key=str(mark.partition),
                source=SOURCE,
            )
            for mark in marks
        ]
    )
