"""
The one consumer loop on a real broker: at least once, effect once, nothing skipped, nobody's hand needed.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import msgspec
import pytest
from aiokafka import AIOKafkaConsumer

from kernel import inbox
from kernel.errors import DeadlineExceeded, Permanent, Retryable
from kernel.kafka import consumer as loop
from kernel.kafka.consumer import Consumer, Reading
from kernel.kafka.message import Message
from kernel.kafka.producer import Producer, kafka_producer
from kernel.postgres import Database
from ops.background import BackgroundBroker
from tests.integration.kernel_broker import committed, listening, running, send
from tests.integration.kernel_stores import kafka, room

pytestmark = pytest.mark.kafka
Eventually = Callable[..., Awaitable[Any]]
TOPIC, DEAD = "payment.events", "payment.events.dead"


class Said(msgspec.Struct, frozen=True):
    """
    A decoded message.
    """

    event_id: str


def _decode(_: Any, body: bytes | None) -> Said:
    if body is None or body.startswith(b"garbage"):
        raise ValueError("this is no event")
    return Said(body.decode())


def _message(key: str, name: str, *, partition: int) -> Message:
    return Message(topic=TOPIC, key=key, event_id=name, headers=(), body=name.encode(), partition=partition)


class Room:
    """
    Handles what it is given, and fails as it is told.
    """

    def __init__(self) -> None:
        self.group = f"test.{uuid.uuid4().hex}"
        self.handled: list[str] = []
        self.fails: dict[str, list[Exception]] = {}
        self.gate: asyncio.Event | None = None
        self.waiting = False

    async def handle(self, events: Sequence[Said]) -> None:
        """
        All of the batch or nothing.
        """
        if self.gate is not None:
            self.waiting = True
            await self.gate.wait()
        for event in events:
            left = self.fails.get(event.event_id, [])
            if left:
                raise left[0] if len(left) == 1 and left[0].args == ("always",) else left.pop(0)
        self.handled += [event.event_id for event in events]

    def consumer(self, bootstrap: str, producer: Producer, *, stall_seconds: float = 20.0) -> Consumer[Said]:
        """
        A loop that reads for this room.
        """
        reading = Reading(group=self.group, topics=(TOPIC,), decode=_decode, handle=self.handle)
        return Consumer(kafka(bootstrap, stall_seconds=stall_seconds), producer, reading)


@pytest.fixture
def taker() -> Room:
    return Room()


@pytest.fixture
async def producer(fresh_broker: BackgroundBroker) -> AsyncIterator[Producer]:
    async with kafka_producer(kafka(fresh_broker.bootstrap), name="dead-letters") as opened:
        yield opened


async def test_messages_are_handled_in_order_and_committed_after(
    taker: Room, producer: Producer, fresh_broker: BackgroundBroker, eventually: Eventually
) -> None:
    """
    The offset moves when the effect stands, not when the message is read.
    """
    await send(fresh_broker.bootstrap, TOPIC, *((b"a", b"a%d" % number) for number in range(20)))
    taker.gate = asyncio.Event()
    async with running(taker.consumer(fresh_broker.bootstrap, producer).run()):
        await eventually(lambda: taker.waiting)
        assert await committed(fresh_broker.bootstrap, taker.group, TOPIC) in {None, 0}
        taker.gate.set()

        async def all_committed() -> bool:
            return 20 == await committed(fresh_broker.bootstrap, taker.group, TOPIC)

        await eventually(all_committed)
    assert [f"a{number}" for number in range(20)] == taker.handled


async def test_what_is_not_committed_is_delivered_again(
    taker: Room, producer: Producer, fresh_broker: BackgroundBroker, eventually: Eventually
) -> None:
    """
    A process that dies in the middle of a batch leaves it to the next one.
    """
    await send(fresh_broker.bootstrap, TOPIC, (b"a", b"a1"))
    taker.gate = asyncio.Event()
    first = taker.consumer(fresh_broker.bootstrap, producer)
    async with running(first.run()):
        await eventually(lambda: taker.waiting)
    assert [] == taker.handled
    taker.gate = None

    async with running(taker.consumer(fresh_broker.bootstrap, producer).run()):
        await eventually(lambda: taker.handled == ["a1"], within_seconds=40)


async def test_what_is_read_alone_is_heard_by_every_process_from_the_beginning(
    producer: Producer, fresh_broker: BackgroundBroker, eventually: Eventually
) -> None:
    """
    In no group nobody takes a partition away from another, and no offset is kept.
    """
    await send(fresh_broker.bootstrap, TOPIC, (b"a", b"a1"), (b"b", b"b1"))
    first, second = Room(), Room()
    readings = [
        Reading(group="test.alone", topics=(TOPIC,), decode=_decode, handle=room.handle, alone=True)
        for room in (first, second)
    ]
    consumers = [Consumer(kafka(fresh_broker.bootstrap), producer, reading) for reading in readings]
    async with running(*(consumer.run() for consumer in consumers)):
        await eventually(lambda: {"a1", "b1"} == set(first.handled) == set(second.handled))
        await send(fresh_broker.bootstrap, TOPIC, (b"a", b"a2"))
        await eventually(lambda: "a2" in first.handled and "a2" in second.handled)

    assert 3 == len(first.handled) == len(second.handled)


async def test_a_malformed_message_goes_to_the_dead_topic_and_the_rest_goes_on(
    taker: Room, producer: Producer, fresh_broker: BackgroundBroker, eventually: Eventually
) -> None:
    """
    It is kept unchanged, with where it came from and why nobody could read it.
    """
    await send(fresh_broker.bootstrap, TOPIC, (b"a", b"a1"), (b"\xff\xfe", b"garbage"), (b"a", b"a2"))

    async with (
        running(taker.consumer(fresh_broker.bootstrap, producer).run()),
        listening(fresh_broker.bootstrap, DEAD) as dead,
    ):
        await eventually(lambda: taker.handled == ["a1", "a2"])
        await eventually(lambda: len(dead.records) == 1)

    headers = dict(dead.records[0].headers)
    assert b"garbage" == dead.records[0].value
    assert {
        "ce_id": b"garbage",
        "x-origin": f"{TOPIC}/0/1".encode(),
        "x-consumer": taker.group.encode(),
        "x-error": b"ValueError('this is no event')",
        "x-attempts": b"1",
    } == headers


async def test_retryable_parks_only_its_own_key(
    taker: Room, producer: Producer, fresh_broker: BackgroundBroker, eventually: Eventually
) -> None:
    """
    One ill booking does not stop the others; its own messages wait in their order.
    """
    taker.fails["a1"] = [Retryable("always")]
    await send(fresh_broker.bootstrap, TOPIC, (b"a", b"a1"), (b"b", b"b1"), (b"a", b"a2"), (b"\xff", b"c1"))

    async with running(taker.consumer(fresh_broker.bootstrap, producer).run()):
        await eventually(lambda: sorted(taker.handled) == ["b1", "c1"])
        await send(fresh_broker.bootstrap, TOPIC, (b"b", b"b2"), (b"a", b"a3"))
        await eventually(lambda: "b2" in taker.handled)
        assert 0 == (await committed(fresh_broker.bootstrap, taker.group, TOPIC) or 0)
        del taker.fails["a1"]
        await eventually(lambda: [n for n in taker.handled if n[0] == "a"] == ["a1", "a2", "a3"])

        async def all_committed() -> bool:
            return 6 == await committed(fresh_broker.bootstrap, taker.group, TOPIC)

        await eventually(all_committed)


async def test_an_ill_key_whose_name_is_no_text_waits_like_any_other(
    taker: Room, producer: Producer, fresh_broker: BackgroundBroker, eventually: Eventually
) -> None:
    """
    Keys are bytes; saying one in the log must not kill the loop.
    """
    taker.fails["x1"] = [Retryable("one"), Retryable("two"), Retryable("three"), Retryable("four"), Retryable("five")]
    await send(fresh_broker.bootstrap, TOPIC, (b"\xff\xfe", b"x1"), (b"b", b"b1"))

    async with running(taker.consumer(fresh_broker.bootstrap, producer).run()):
        await eventually(lambda: sorted(taker.handled) == ["b1", "x1"])


@pytest.mark.parametrize(
    "ill",
    [([Permanent("never"), Permanent("never")], b"1"), ([RuntimeError("always")], b"3")],
    ids=["permanent", "surprise"],
)
async def test_what_can_never_be_handled_is_dead_and_its_key_goes_on(
    taker: Room,
    producer: Producer,
    fresh_broker: BackgroundBroker,
    eventually: Eventually,
    ill: tuple[list[Exception], bytes],
) -> None:
    """
    Permanent at once, a surprise after three tries; nothing behind it is lost.
    """
    taker.fails["a1"], attempts = ill
    await send(fresh_broker.bootstrap, TOPIC, (b"a", b"a0"), (b"a", b"a1"), (b"a", b"a2"), (b"b", b"b1"))

    async with (
        running(taker.consumer(fresh_broker.bootstrap, producer).run()),
        listening(fresh_broker.bootstrap, DEAD) as dead,
    ):
        await eventually(lambda: sorted(taker.handled) == ["a0", "a2", "b1"])
        await eventually(lambda: len(dead.records) == 1)

    assert (b"a1", b"a", attempts) == (
        dead.records[0].value,
        dead.records[0].key,
        dict(dead.records[0].headers)["x-attempts"],
    )


async def test_an_effect_happens_once_however_often_it_is_delivered(
    taker: Room, producer: Producer, fresh_broker: BackgroundBroker, database: str, eventually: Eventually
) -> None:
    """
    The inbox is written in the transaction of the effect.
    """
    async with room(database) as db:
        async with db.connection() as connection:
            await connection.execute("CREATE TABLE effect (name text)")

        async def handle(events: Sequence[Said]) -> None:
            async with db.transaction() as connection:
                for event in await inbox.fresh(connection, taker.group, events):
                    await connection.execute("INSERT INTO effect VALUES ($1)", event.event_id)
            taker.handled += [event.event_id for event in events]
            if len(taker.handled) < 12:
                raise Retryable("the reply of the commit is lost")

        taker.handle = handle  # type: ignore[method-assign]
        await send(fresh_broker.bootstrap, TOPIC, (b"a", b"a1"), (b"a", b"a1"), (b"b", b"b1"), (b"a", b"a2"))
        async with running(taker.consumer(fresh_broker.bootstrap, producer).run()):
            await eventually(lambda: len(taker.handled) >= 12)

            async def each_once() -> bool:
                return ["a1", "a2", "b1"] == await _effects(db)

            await eventually(each_once)


async def _effects(db: Database) -> list[str]:
    async with db.connection() as connection:
        return [row["name"] for row in await connection.fetch("SELECT name FROM effect ORDER BY name")]


async def test_a_broker_that_vanishes_and_returns_loses_nothing(
    taker: Room, producer: Producer, fresh_broker: BackgroundBroker, eventually: Eventually
) -> None:
    """
    The loop makes a new consumer by itself, and goes on where its group had come to.
    """
    await send(fresh_broker.bootstrap, TOPIC, (b"a", b"a1"))
    consumer = taker.consumer(fresh_broker.bootstrap, producer)
    async with running(consumer.run()):
        await eventually(lambda: taker.handled == ["a1"])
        await fresh_broker.vanish()
        await eventually(lambda: not consumer.connected, within_seconds=30)
        await fresh_broker.come_back()
        await send(fresh_broker.bootstrap, TOPIC, (b"a", b"a2"))

        await eventually(lambda: list(dict.fromkeys(taker.handled)) == ["a1", "a2"], within_seconds=60)
        await eventually(lambda: consumer.connected)


async def test_a_consumer_that_stands_still_before_a_lag_is_made_anew(
    taker: Room,
    producer: Producer,
    fresh_broker: BackgroundBroker,
    eventually: Eventually,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    The driver can stick after a rejoin: assigned, healthy, and fetching nothing.
    """
    stuck: list[AIOKafkaConsumer] = []
    fetch = AIOKafkaConsumer.getmany

    async def sticks(self: AIOKafkaConsumer, **arguments: Any) -> Any:
        if not stuck or self is stuck[0]:
            stuck[:] = [self]
            await asyncio.sleep(0.05)
            return {}
        return await fetch(self, **arguments)

    monkeypatch.setattr(AIOKafkaConsumer, "getmany", sticks)
    monkeypatch.setattr(loop, "WATCH_SECONDS", 0.1)
    await send(fresh_broker.bootstrap, TOPIC, (b"a", b"a1"))

    async with running(taker.consumer(fresh_broker.bootstrap, producer, stall_seconds=0.5).run()):
        await eventually(lambda: taker.handled == ["a1"], within_seconds=40)
    assert 1 == len(stuck)


async def test_a_store_that_cannot_take_many_gets_fewer_and_then_more_again(
    taker: Room, producer: Producer, fresh_broker: BackgroundBroker, eventually: Eventually
) -> None:
    """
    A batch too large for its deadline must not stand still: it comes in halves, in order, and nothing is parked.
    """
    sizes: list[int] = []
    able = 60

    async def handle(events: Sequence[Said]) -> None:
        sizes.append(len(events))
        if len(events) > able:
            raise DeadlineExceeded("too many")
        taker.handled += [event.event_id for event in events]

    names = [f"a{number}" for number in range(400)]
    await producer.publish([_message("a", name, partition=0) for name in names])
    reading = Reading(group=taker.group, topics=(TOPIC,), decode=_decode, handle=handle, batch_max=200)
    consumer = Consumer(kafka(fresh_broker.bootstrap), producer, reading)
    async with running(consumer.run()):
        await eventually(lambda: len(taker.handled) == 400, within_seconds=40)

    assert names == taker.handled
    assert (200, True) == (max(sizes), 50 <= sizes[-1] <= able)
    assert not consumer._parking.partitions()


async def test_partitions_on_two_lanes_do_not_wait_for_each_other(
    taker: Room,
    producer: Producer,
    fresh_broker: BackgroundBroker,
    eventually: Eventually,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    One batch is prepared while the other is written; each partition stays on its lane and in its order.
    """
    monkeypatch.setattr(loop, "LANE_WORTH", 1)
    underway: list[list[str]] = []
    both = asyncio.Event()

    async def handle(events: Sequence[Said]) -> None:
        underway.append([event.event_id for event in events])
        if len(underway) == 2:
            both.set()
        await both.wait()
        taker.handled += [event.event_id for event in events]

    messages = [
        _message(f"k{partition}", f"{partition}.{n}", partition=partition) for n in range(10) for partition in range(4)
    ]
    await producer.publish(messages)
    reading = Reading(group=taker.group, topics=(TOPIC,), decode=_decode, handle=handle, lanes=2)
    async with running(Consumer(kafka(fresh_broker.bootstrap), producer, reading).run()):
        await eventually(lambda: len(taker.handled) == 40)

    assert [{"0", "2"}, {"1", "3"}] == sorted(({name[0] for name in batch} for batch in underway[:2]), key=min)
    for partition in range(4):
        assert [f"{partition}.{n}" for n in range(10)] == [n for n in taker.handled if n.startswith(f"{partition}.")]
