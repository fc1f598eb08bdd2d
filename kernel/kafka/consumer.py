"""
The one consumer loop: at least once, effect once, nothing skipped, nobody's hand needed.

Called by rooms' wiring with a `handle` that takes a batch and makes its effect and its
inbox rows in one transaction; offsets are committed after it. `Retryable` waits with
back-off, and parks only the keys that keep failing; `Permanent` and what is malformed go
to the `.dead` topic with origin, error and attempts. A consumer with lag that does not
move is made anew (aiokafka can stick after a rejoin). Never auto-commits, never gives up.
"""

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError
from prometheus_client import Gauge

from kernel import metrics
from kernel.deadline import abandoned_after
from kernel.errors import DeadlineExceeded, Permanent, Retryable
from kernel.kafka.message import Headers, Message
from kernel.kafka.parking import Delivery, ParkingLot, Slot
from kernel.kafka.producer import Producer
from kernel.log import get_logger
from kernel.settings import KafkaSettings

E = TypeVar("E")
log = get_logger(__name__)

BATCH_MAX = 500
BATCH_MIN = 50
"""A store that cannot do this many in time has another trouble than their number. Also the step by which they grow."""
LANE_WORTH = 250
IDLE_WAIT_MS = 200
FETCH_WAIT_MS_MAX = 100
"""One question at a time is open: while it waits for an empty partition, full ones are not asked for."""
FETCH_PARTITION_BYTES_MAX = 256 * 1024
"""The next part of a partition comes while this one is handled."""
BACKOFF_SECONDS_MIN = 0.2
BACKOFF_SECONDS_MAX = 5.0
BATCH_ATTEMPTS = 3
"""Tries of a whole batch before its keys are tried one by one."""
SURPRISES_MAX = 3
"""Tries of a message whose handler raises neither Retryable nor Permanent."""
WATCH_SECONDS = 2.0
SESSION_TIMEOUT_MS = 6000
"""How long a group waits for a member that was killed; brokers allow no less by default."""
JOIN_TIMEOUT_SECONDS = 20.0
"""Well beyond the session's: who gives up joining earlier leaves one more dead member to wait for."""
SETTLED_SECONDS = 30.0
"""A session that lasted this long starts its successor's back-off anew."""


class Stalled(Retryable):
    """
    There is lag, and the position has not moved for too long.
    """


@dataclasses.dataclass(frozen=True, kw_only=True)  # slots and Generic do not go together when frozen
class Reading(Generic[E]):
    """
    What a consumer reads and what it does with it.
    """

    group: str
    """Consumer group and the name in metrics and logs, such as `booking.quota-events`."""
    topics: tuple[str, ...]
    decode: Callable[[Headers, bytes | None], E]
    """Raises `ValueError` for what is no event of ours."""
    handle: Callable[[Sequence[E]], Awaitable[None]]
    """All of the batch or nothing; order within a key is the topic's."""
    alone: bool = False
    """Every process reads all of it, from the beginning and in no group: for topics that repeat how things stand."""
    batch_max: int = BATCH_MAX
    """How many events one call of `handle` gets at most; while the store struggles it gets fewer."""
    gather_bytes: int = 1
    """The broker waits a little (FETCH_WAIT_MS_MAX) until it has this much: fewer and larger batches under a stream."""
    lanes: int = 1
    """How many calls of `handle` may be under way, each for partitions of its own: one is prepared, one waits."""


class Consumer(Generic[E]):
    """
    Runs one `Reading` until cancelled.
    """

    def __init__(self, settings: KafkaSettings, producer: Producer, reading: Reading[E]) -> None:
        self._settings = settings
        self._producer = producer
        self._reading = reading
        self._parking: ParkingLot[E] = ParkingLot()
        self._lag = metrics.consumer_lag.labels(reading.group)
        self._outcomes = {
            outcome: metrics.consumer_events.labels(reading.group, outcome)
            for outcome in ("done", "retried", "parked", "dead")
        }
        self._batch_size = reading.batch_max
        self.connected = False

    async def run(self) -> None:
        """
        Consume until cancelled; every failure of the broker ends in a new consumer.
        """
        clock = asyncio.get_running_loop().time
        backoff_seconds = BACKOFF_SECONDS_MIN
        while True:
            began = clock()
            try:
                await self._session()
            except (KafkaError, Retryable, OSError) as error:
                self.connected = False
                metrics.consumer_restarts.labels(self._reading.group).inc()
                log.warning("consumer_restarts", consumer=self._reading.group, error=repr(error))
            if clock() - began > SETTLED_SECONDS:
                backoff_seconds = BACKOFF_SECONDS_MIN
            await asyncio.sleep(backoff_seconds)
            backoff_seconds = min(backoff_seconds * 2, BACKOFF_SECONDS_MAX)

    async def _session(self) -> None:
        self._parking = ParkingLot()
        consumer = AIOKafkaConsumer(
            *self._reading.topics,
            bootstrap_servers=self._settings.bootstrap,
            group_id=None if self._reading.alone else self._reading.group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            request_timeout_ms=int(JOIN_TIMEOUT_SECONDS * 1000),
            session_timeout_ms=SESSION_TIMEOUT_MS,
            heartbeat_interval_ms=2000,
            metadata_max_age_ms=10000,
            fetch_min_bytes=self._reading.gather_bytes,
            fetch_max_wait_ms=FETCH_WAIT_MS_MAX,
            max_partition_fetch_bytes=FETCH_PARTITION_BYTES_MAX,
        )
        try:
            await abandoned_after(JOIN_TIMEOUT_SECONDS, consumer.start(), what="Kafka")
            self.connected = True
            watch = Watch(self._settings, self._lag)
            while True:
                await self._turn(consumer)
                await watch.look(consumer, self._parking.partitions())
        finally:
            await self._abandon(consumer)

    async def _turn(self, consumer: AIOKafkaConsumer) -> None:
        fetched: dict[TopicPartition, list[ConsumerRecord]] = {}
        if not self._parking.full:
            fetched = await abandoned_after(
                self._settings.call_timeout_seconds,
                consumer.getmany(timeout_ms=IDLE_WAIT_MS, max_records=self._reading.batch_max * self._reading.lanes),
                what="Kafka",
            )
        elif not self._parking.due(asyncio.get_running_loop().time()):
            await asyncio.sleep(IDLE_WAIT_MS / 1000)
        deliveries = [
            delivery for partition, records in fetched.items() for delivery in await self._decode(partition, records)
        ]
        # A second lane is a second transaction: it pays where there is much to do.
        lanes_wanted = min(self._reading.lanes, 1 + len(deliveries) // LANE_WORTH)
        lanes: list[list[Delivery[E]]] = [[] for _ in range(lanes_wanted)]
        for delivery in deliveries:
            lanes[delivery.slot.partition % len(lanes)].append(delivery)
        await asyncio.gather(*(self._handle_lane(lane) for lane in lanes if lane))
        await self._retry_parked(consumer)
        await self._commit(consumer, fetched)

    async def _decode(self, partition: TopicPartition, records: Sequence[ConsumerRecord]) -> list[Delivery[E]]:
        deliveries: list[Delivery[E]] = []
        decode = self._reading.decode
        origin = Slot(partition.topic, partition.partition, b"")
        for record in records:
            key = record.key or b""
            if key != origin.key:  # neighbours often share theirs
                origin = Slot(partition.topic, partition.partition, key)
            raw: Delivery[E] = Delivery(
                slot=origin, offset=record.offset, headers=tuple(record.headers), body=record.value
            )
            try:
                raw.event = decode(raw.headers, record.value)
            except ValueError as error:
                await self._bury(raw, error, attempts=1)
                continue
            deliveries.append(raw)
        return deliveries

    async def _handle_lane(self, deliveries: list[Delivery[E]]) -> None:
        """
        In order, as many at a time as the store takes.
        """
        done = 0
        while done < len(deliveries):
            some = deliveries[done : done + self._batch_size]
            done += len(some)
            fresh = self._parking.admit(some)
            if fresh:
                await self._handle(fresh)

    async def _handle(self, deliveries: list[Delivery[E]]) -> None:
        """
        The whole batch a few times, in halves if it is too much for its deadline; then key by key, so that only what
        fails waits.
        """
        backoff_seconds = 0.1
        for _ in range(BATCH_ATTEMPTS):
            try:
                await self._reading.handle([delivery.known() for delivery in deliveries])
            except Retryable as error:
                self._outcomes["retried"].inc(len(deliveries))
                log.warning("batch_waits", consumer=self._reading.group, events=len(deliveries), error=str(error))
                if isinstance(error, DeadlineExceeded) and len(deliveries) > BATCH_MIN:
                    await self._handle_in_halves(deliveries)
                    return
                await asyncio.sleep(backoff_seconds)
                backoff_seconds *= 3
            except Exception as error:  # noqa: BLE001 - whose fault it is, trying the keys one by one will tell
                log.warning("batch_split", consumer=self._reading.group, events=len(deliveries), error=repr(error))
                break
            else:
                self._outcomes["done"].inc(len(deliveries))
                if len(deliveries) >= self._batch_size:
                    self._batch_size = min(self._batch_size + BATCH_MIN, self._reading.batch_max)
                return
        for slot, group in self._parking.by_slot(deliveries).items():
            self._parking.park(slot, group, due_at=0.0)

    async def _handle_in_halves(self, deliveries: list[Delivery[E]]) -> None:
        self._batch_size = middle = len(deliveries) // 2
        await self._handle(deliveries[:middle])
        rest = self._parking.admit(deliveries[middle:])
        if rest:
            await self._handle(rest)

    async def _retry_parked(self, consumer: AIOKafkaConsumer) -> None:
        now = asyncio.get_running_loop().time()
        assigned = {(partition.topic, partition.partition) for partition in consumer.assignment()}
        failures_in_a_row = 0
        for slot in self._parking.due(now):
            if (slot.topic, slot.partition) not in assigned:
                self._parking.forget(slot)  # somebody else has the partition now, and these messages
                continue
            failures_in_a_row = 0 if await self._retry(slot) else failures_in_a_row + 1
            if failures_in_a_row == BATCH_ATTEMPTS:
                return  # not the keys are ill but the store: the rest waits for the next turn

    async def _retry(self, slot: Slot) -> bool:
        """
        Try a parked key's messages in order. True when the key is free again.
        """
        parked = self._parking.messages(slot)
        while parked:
            delivery = parked[0]
            try:
                await self._reading.handle([delivery.known()])
            except Permanent as error:
                await self._bury(delivery, error, attempts=delivery.attempts + 1)
            except Exception as error:  # noqa: BLE001 - a surprise is tried again, then buried with its reason
                delivery.attempts += 1
                if not isinstance(error, Retryable) and delivery.attempts >= SURPRISES_MAX:
                    await self._bury(delivery, error, attempts=delivery.attempts)
                else:
                    self._wait_longer(slot, delivery, error)
                    return False
            else:
                self._outcomes["done"].inc()
            parked.pop(0)
        self._parking.forget(slot)
        return True

    def _wait_longer(self, slot: Slot, delivery: Delivery[E], error: Exception) -> None:
        wait_seconds = min(0.1 * 2 ** min(delivery.attempts, 10), BACKOFF_SECONDS_MAX)
        self._parking.postpone(slot, due_at=asyncio.get_running_loop().time() + wait_seconds)
        self._outcomes["parked"].inc()
        log.warning(
            "key_parked", consumer=self._reading.group, key=slot.key.decode(errors="replace"), error=repr(error)
        )

    async def _bury(self, delivery: Delivery[E], error: Exception, *, attempts: int) -> None:
        origin = f"{delivery.slot.topic}/{delivery.slot.partition}/{delivery.offset}"
        headers = (
            *delivery.headers,
            ("x-origin", origin.encode()),
            ("x-consumer", self._reading.group.encode()),
            ("x-error", repr(error)[:1000].encode()),
            ("x-attempts", str(attempts).encode()),
        )
        dead = Message(
            topic=f"{delivery.slot.topic}.dead",
            key=delivery.slot.key.decode(errors="replace"),
            event_id=origin,
            headers=headers,
            body=delivery.body or b"",
        )
        await self._producer.publish([dead])
        self._outcomes["dead"].inc()
        log.error("event_dead", consumer=self._reading.group, origin=origin, error=repr(error))

    async def _commit(self, consumer: AIOKafkaConsumer, fetched: dict[TopicPartition, list[ConsumerRecord]]) -> None:
        moved = set(fetched) | {TopicPartition(*partition) for partition in self._parking.released()}
        if self._reading.alone:
            return
        assigned = consumer.assignment()
        offsets = {}
        for partition in moved & assigned:
            oldest_parked = self._parking.oldest_offset(partition.topic, partition.partition)
            if oldest_parked is not None:
                offsets[partition] = oldest_parked
            elif partition in fetched:
                offsets[partition] = fetched[partition][-1].offset + 1
            else:
                offsets[partition] = await abandoned_after(
                    self._settings.call_timeout_seconds, consumer.position(partition), what="Kafka"
                )
        if offsets:
            await abandoned_after(self._settings.call_timeout_seconds, consumer.commit(offsets), what="Kafka")

    async def _abandon(self, consumer: AIOKafkaConsumer) -> None:
        self.connected = False
        try:
            await abandoned_after(2.0, consumer.stop(), what="Kafka consumer stop")
        except (KafkaError, DeadlineExceeded, OSError) as error:
            log.warning("consumer_abandoned", consumer=self._reading.group, error=repr(error))


class Watch:
    """
    Measures lag now and then, and raises `Stalled` when a lagging partition stands still.
    """

    def __init__(self, settings: KafkaSettings, lag: Gauge) -> None:
        self._settings = settings
        self._lag = lag
        self._looked_at = 0.0
        self._moved: dict[TopicPartition, tuple[int, float]] = {}

    async def look(self, consumer: AIOKafkaConsumer, excused: frozenset[tuple[str, int]]) -> None:
        """
        Compare end and position of every assigned partition. `excused` ones wait for a parked key.
        """
        now = asyncio.get_running_loop().time()
        assigned = sorted(consumer.assignment())
        if now - self._looked_at < WATCH_SECONDS or not assigned:
            return
        self._looked_at = now
        ends = await abandoned_after(self._settings.call_timeout_seconds, consumer.end_offsets(assigned), what="Kafka")
        lag = 0
        for partition in assigned:
            position = await abandoned_after(
                self._settings.call_timeout_seconds, consumer.position(partition), what="Kafka"
            )
            lag += max(0, ends[partition] - position)
            self._judge(partition, position, ends[partition], now, excused)
        self._lag.set(lag)

    def _judge(
        self, partition: TopicPartition, position: int, end: int, now: float, excused: frozenset[tuple[str, int]]
    ) -> None:
        known, since = self._moved.get(partition, (-1, now))
        if position != known or position >= end or (partition.topic, partition.partition) in excused:
            self._moved[partition] = (position, now)
        elif now - since > self._settings.stall_seconds:
            raise Stalled(f"{partition.topic}/{partition.partition} stands at {position} of {end}")
