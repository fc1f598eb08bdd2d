"""
Every decision is told, in order, and kept until booking has recorded it, whatever the broker does.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from contracts.events import ReservationHeld, SlotApplied
from kernel.kafka.producer import Producer, kafka_producer
from kernel.settings import KafkaSettings
from services.quota import metrics
from services.quota.domain.decisions import Held
from services.quota.stores.outbox import START, Position
from services.quota.use_cases.telling import Relay
from tests.integration.quota_relays import FAR, numbers, recorded, told
from tests.integration.quota_room import PARTITIONS, SLOT, Room, ask, plan, room_of

pytestmark = [pytest.mark.kafka, pytest.mark.cluster]


@pytest.fixture
async def room(valkey: Any) -> Room:
    """
    Two slots in two partitions.
    """
    opened = room_of(valkey)
    await opened.holds.apply([plan(SLOT, capacity=500), plan(FAR, capacity=500)])
    assert opened.keys.partition_of(SLOT) != opened.keys.partition_of(FAR)
    return opened


@pytest.fixture
async def kafka(fresh_broker: Any) -> KafkaSettings:
    """
    An empty broker, and half the patience a relay has with it: an emptied one is slow at first on a busy machine.
    """
    return KafkaSettings(bootstrap=fresh_broker.bootstrap, call_timeout_seconds=5.0, stall_seconds=5.0)


@pytest.fixture
async def producer(kafka: KafkaSettings) -> AsyncIterator[Producer]:
    """
    The relay's own.
    """
    async with kafka_producer(kafka, name="test-quota-relay") as opened:
        yield opened


async def _relay(room: Room, producer: Producer, kafka: KafkaSettings, *, relay_id: str = "relay_1") -> Relay:
    """
    The only one there is: all partitions are its own.
    """
    tenure = room.tenure(relay_id)
    await tenure.turn()
    assert PARTITIONS == len(tenure.held)
    return Relay(room.outbox, producer, kafka, tenure, partitions=PARTITIONS)


@contextlib.asynccontextmanager
async def _running(relay: Relay) -> AsyncIterator[None]:
    task = asyncio.ensure_future(relay.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _kept(room: Room, slot_id: str) -> list[Position]:
    partition = room.keys.partition_of(slot_id)
    return [entry.position for entry in await room.outbox.after({partition: START})]


async def test_every_decision_is_told_in_its_partition_in_order(
    room: Room, producer: Producer, kafka: KafkaSettings
) -> None:
    """
    A load and two holds are three events with the ids, keys and numbers booking relies on.
    """
    asked = ask(persons=2)
    decision = await room.decider.decide(asked)
    await room.decider.decide(ask())
    entries = await (await _relay(room, producer, kafka)).turn()
    messages = await told(kafka, SLOT, room)
    partition = room.keys.partition_of(SLOT)
    _, held = messages[1]

    assert isinstance(decision, Held)
    assert (4, [partition] * 3) == (entries, [key for key, _ in messages])
    assert [f"q{partition}:1:{seq}" for seq in (1, 2, 3)] == [envelope.event_id for _, envelope in messages]
    assert isinstance(messages[0][1].event, SlotApplied)
    assert isinstance(held.event, ReservationHeld)
    assert (asked.reservation_id, asked.account_id, asked.person_ids, (1, 2), decision.pay_by_ms) == (
        held.event.reservation_id,
        held.event.account_id,
        held.event.person_ids,
        held.event.seats,
        held.event.pay_by_ms,
    )


async def test_the_stream_is_trimmed_to_the_watermark_and_no_further(
    room: Room, producer: Producer, kafka: KafkaSettings
) -> None:
    """
    Told is not recorded: only what booking has recorded may go.
    """
    for _ in range(4):
        await room.decider.decide(ask())
    relay = await _relay(room, producer, kafka)
    await relay.turn()
    after_telling = await _kept(room, SLOT)
    await relay.note_recorded([recorded(room, SLOT, 3), recorded(room, SLOT, 2)])
    await relay.turn()

    assert [Position(1, seq) for seq in (1, 2, 3, 4, 5)] == after_telling
    assert [Position(1, 4), Position(1, 5)] == await _kept(room, SLOT)
    assert [Position(1, 1)] == await _kept(room, FAR)


async def test_a_broker_that_vanishes_and_returns_loses_nothing(
    room: Room, producer: Producer, kafka: KafkaSettings, fresh_broker: Any, eventually: Any
) -> None:
    """
    Reservations go on without a broker; when it is back all of them are told, none out of order.
    """
    before = _told_count()
    async with _running(await _relay(room, producer, kafka)):
        for _ in range(20):
            await room.decider.decide(ask())
        await eventually(lambda: _told_count() >= before + 22)
        await fresh_broker.vanish()
        decisions = [await room.decider.decide(ask()) for _ in range(30)]
        await fresh_broker.come_back()

        async def _all_there() -> bool:
            return set(range(1, 52)) == set(await numbers(kafka, SLOT, room))

        await eventually(_all_there, within_seconds=60.0, every_seconds=0.5)
    heard = await numbers(kafka, SLOT, room)

    assert all(isinstance(decision, Held) for decision in decisions)
    assert list(range(1, 52)) == list(dict.fromkeys(heard))
    assert 51 == len(await _kept(room, SLOT))


def _told_count() -> float:
    value: float = metrics.relay_published._value.get()
    return value


async def test_a_new_relay_tells_all_that_is_kept(room: Room, producer: Producer, kafka: KafkaSettings) -> None:
    """
    Gone after telling and before anything was recorded, its successor begins at the oldest kept entry.
    """
    first = await _relay(room, producer, kafka)
    await first.turn()
    await first._tenure.leave()
    await room.decider.decide(ask())
    await (await _relay(room, producer, kafka, relay_id="relay_2")).turn()

    assert [1, 1, 2] == await numbers(kafka, SLOT, room)


async def test_a_watermark_that_stands_still_is_told_again_from_there(
    room: Room, producer: Producer, kafka: KafkaSettings
) -> None:
    """
    What got lost between broker and booking comes again, after the recorded part, and less and less often.
    """
    for _ in range(3):
        await room.decider.decide(ask())
    relay = await _relay(room, producer, kafka)
    await relay.turn()
    await relay.note_recorded([recorded(room, SLOT, 2)])
    await relay.turn()
    first = await numbers(kafka, SLOT, room)
    standing = relay._standing[room.keys.partition_of(SLOT)]
    patience = []
    for _ in range(2):
        standing.still_since -= standing.patience_seconds + 1
        await relay.turn()
        await relay.turn()
        patience.append(standing.patience_seconds)

    assert [1, 2, 3, 4] == first
    assert [1, 2, 3, 4, 3, 4, 3, 4] == await numbers(kafka, SLOT, room)
    assert [10.0, 20.0] == patience


async def test_another_cluster_is_told_everything_not_recorded(
    room: Room, producer: Producer, kafka: KafkaSettings
) -> None:
    """
    A new cluster id means that the old one's messages are gone.
    """
    relay = await _relay(room, producer, kafka)
    await relay.turn()
    relay._cluster, relay._cluster_asked_at = "another", None
    await relay.turn()

    assert [1, 1] == await numbers(kafka, SLOT, room)


async def test_a_valkey_behind_booking_is_stopped_and_not_trimmed(
    room: Room, producer: Producer, kafka: KafkaSettings
) -> None:
    """
    Booking has recorded more than this Valkey ever decided: it sells nothing, and nothing is thrown away.
    """
    relay = await _relay(room, producer, kafka)
    await relay.note_recorded([recorded(room, SLOT, 5000), recorded(room, FAR, 1)])
    await relay.turn()
    refused, elsewhere = await room.decider.decide(ask()), await room.decider.decide(ask(FAR))
    catalogue = room.catalogue()
    await catalogue.load()

    assert "stopped" == getattr(refused, "why", None)
    assert isinstance(elsewhere, Held)
    assert frozenset({room.keys.partition_of(SLOT)}) == catalogue.stopped
    assert [Position(1, 1)] == await _kept(room, SLOT)
