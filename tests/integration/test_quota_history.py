"""
A Valkey that has started anew, lost writes or been replaced: nobody sells from it before it has been compared.
"""

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from contracts.events import BookingWatermark
from kernel.errors import Retryable
from kernel.kafka.producer import Producer, kafka_producer
from kernel.settings import KafkaSettings, ValkeySettings
from kernel.valkey import valkey_client
from services.quota.domain.decisions import Held
from services.quota.stores.histories import Greeter, Histories
from services.quota.stores.scripts import ApplySlotCode, ClearCode
from services.quota.stores.valkey import Valkey
from services.quota.use_cases.clearing import Clearing, told_last
from services.quota.use_cases.telling import Relay
from tests.integration.own_valkey import Server, own_valkey
from tests.integration.quota_room import PARTITIONS, SLOT, Room, ask, heard, plan

_relays = itertools.count()
NOBODY_KNOWS = [BookingWatermark(partition=partition, epoch=0, seq=0) for partition in range(PARTITIONS)]


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    """A Valkey to be hurt."""
    async with own_valkey(tmp_path / "valkey") as running:
        yield running


@pytest.fixture
def kafka(fresh_broker: Any) -> KafkaSettings:
    """The broker."""
    return KafkaSettings(bootstrap=fresh_broker.bootstrap, call_timeout_seconds=3.0)


@asynccontextmanager
async def gated(server: Server) -> AsyncIterator[tuple[Room, Greeter]]:
    """A worker's stores as `app.py` wires them: every connection is greeted."""
    greeter = Greeter(Room(None).keys)  # type: ignore[arg-type]
    async with valkey_client(ValkeySettings(url=server.url, partitions=PARTITIONS), greeter.greet) as client:
        yield Room(Valkey(client, timeout_seconds=2.0)), greeter


@asynccontextmanager
async def backstage(server: Server, kafka: KafkaSettings) -> AsyncIterator[tuple[Room, Clearing]]:
    """A relay's stores, and its comparing."""
    async with valkey_client(ValkeySettings(url=server.url, partitions=PARTITIONS)) as client:
        valkey = Valkey(client, timeout_seconds=2.0)
        room = Room(valkey)
        yield room, Clearing(Histories(valkey, room.keys), kafka, partitions=PARTITIONS)


async def says(clearing: Clearing, *marks: BookingWatermark) -> None:
    """Booking's word."""
    await clearing.note_recorded([heard(mark) for mark in marks])


async def codes(room: Room) -> set[ClearCode]:
    """How the partitions stand."""
    return {standing.code for standing in (await Histories(room.valkey, room.keys).look()).values()}


async def test_a_new_valkey_sells_nothing_before_booking_has_spoken(server: Server, kafka: KafkaSettings) -> None:
    """
    A connection is refused until every partition has been compared; then the same worker sells.
    """
    async with gated(server) as (worker, greeter), backstage(server, kafka) as (relay, clearing):
        await clearing.turn()
        with pytest.raises(Retryable, match="has not been compared"):
            await worker.decider.decide(ask())
        refused = greeter.refuses
        await says(clearing, *NOBODY_KNOWS[1:])
        await clearing.turn()
        without_one = await codes(relay)
        await says(clearing, *NOBODY_KNOWS)
        await clearing.turn()
        await worker.holds.apply([plan()])

        assert refused
        assert {ClearCode.UNCLEARED} == without_one
        assert {ClearCode.CLEARED} == await codes(relay)
        assert isinstance(await worker.decider.decide(ask()), Held)
        assert not greeter.refuses


async def test_a_restart_with_all_its_files_is_cleared_again_and_loses_nothing(
    server: Server, kafka: KafkaSettings
) -> None:
    """
    Killed and started: refused at first, compared, and the same reservation is still there.
    """
    asked = ask()
    async with gated(server) as (worker, _), backstage(server, kafka) as (relay, clearing):
        await says(clearing, *NOBODY_KNOWS)
        await clearing.turn()
        await worker.holds.apply([plan()])
        first = await worker.decider.decide(asked)
        await clearing.turn()
        server.kill()
        await server.start()
        with pytest.raises(Retryable):
            await worker.decider.decide(asked)
        with pytest.raises(Retryable, match="has not been compared"):
            await worker.decider.decide(asked)
        await hung_up(relay)
        before = await codes(relay)
        await clearing.turn()
        again = await worker.decider.decide(asked)

    assert {ClearCode.UNCLEARED} == before
    assert isinstance(first, Held)
    assert isinstance(again, Held)
    assert (first.seats, True) == (again.seats, again.replayed)


@pytest.mark.parametrize("known_by", ["booking", "kafka", "the relay itself"])
async def test_files_of_a_while_ago_are_found_out_before_anything_is_sold(
    server: Server, kafka: KafkaSettings, tmp_path: Path, known_by: str
) -> None:
    """
    Whoever knows of a decision that is missing is enough, and only its partition is stopped.
    """
    async with gated(server) as (worker, _), backstage(server, kafka) as (relay, clearing):
        await says(clearing, *NOBODY_KNOWS)
        await clearing.turn()
        await worker.holds.apply([plan(), plan("batam.20261130.morning.regular.online")])
        server.copy_files(tmp_path / "aside")
        lost = ask()
        await worker.decider.decide(lost)
        partition = worker.keys.partition_of(SLOT)
        if known_by == "booking":
            await says(clearing, BookingWatermark(partition=partition, epoch=1, seq=2))
        elif known_by == "kafka":
            await tell(relay, kafka)
        else:
            await clearing.turn()
        server.kill()
        server.put_files(tmp_path / "aside")
        await server.start()
        with pytest.raises(Retryable):
            await worker.decider.decide(ask())
        with pytest.raises(Retryable, match="has not been compared"):
            await worker.decider.decide(ask())
        await hung_up(relay)
        await clearing.turn()
        here, elsewhere = (
            await worker.decider.decide(ask()),
            await worker.decider.decide(ask("batam.20261130.morning.regular.online")),
        )
        planned = await worker.holds.apply([plan(version=2)])

    assert "stopped" == getattr(here, "why", None)
    assert isinstance(elsewhere, Held)
    assert [(ApplySlotCode.STOPPED, 0)] == planned


async def hung_up(room: Room) -> None:
    """Whoever calls over an old connection finds that the server has gone, if he has not seen it hang up."""
    with suppress(Retryable):
        await room.valkey.call("PING")


async def tell(room: Room, kafka: KafkaSettings) -> None:
    """One turn of the relay."""
    producer: Producer
    async with kafka_producer(kafka, name="test-history") as producer:
        tenure = room.tenure(f"relay_{next(_relays)}")
        await tenure.turn()
        await Relay(room.outbox, producer, kafka, tenure, partitions=PARTITIONS).turn()
        await tenure.leave()


async def test_an_emptied_valkey_takes_no_plan_and_sells_nothing(server: Server, kafka: KafkaSettings) -> None:
    """
    FLUSHALL hangs up on nobody: what is open stays open, and still a new plan is not applied to nothing.
    """
    async with gated(server) as (worker, greeter), backstage(server, kafka) as (relay, clearing):
        await says(clearing, *NOBODY_KNOWS)
        await clearing.turn()
        follower = worker.holds.__class__(worker.valkey, worker.keys, cleared_only=True)
        await follower.apply([plan()])
        catalogue = worker.catalogue().__class__(worker.valkey, worker.keys, lambda: 0, greeter)
        await worker.decider.decide(ask())
        await catalogue.load()
        known = len(catalogue.slots)
        await relay.valkey.call("FLUSHALL")
        applied = await follower.apply([plan(version=2)])
        refused = await worker.decider.decide(ask())
        await catalogue.load()
        await says(clearing, BookingWatermark(partition=worker.keys.partition_of(SLOT), epoch=1, seq=1))
        await clearing.turn()

        assert 1 == known
        assert [(ApplySlotCode.STOPPED, 0)] == applied
        assert "unknown_slot" == getattr(refused, "why", None)
        assert catalogue.empty
        assert frozenset(range(PARTITIONS)) == catalogue.stopped
        assert {ClearCode.STOPPED, ClearCode.CLEARED} == await codes(relay)


async def test_a_promoted_replica_is_another_history_and_decides_nothing_while_it_follows(
    server: Server, kafka: KafkaSettings, tmp_path: Path, eventually: Any
) -> None:
    """
    A replica refuses connections; promoted it carries its master's mark, and is compared all the same.
    """
    async with own_valkey(tmp_path / "replica") as replica, replica.client() as plain:
        async with gated(server) as (worker, _), backstage(server, kafka) as (_, clearing):
            await says(clearing, *NOBODY_KNOWS)
            await clearing.turn()
            await worker.holds.apply([plan()])
            await plain.replicaof("127.0.0.1", str(server.port))

            async def follows() -> bool:
                return (await plain.info("replication")).get("master_link_status") == "up"

            await eventually(follows, within_seconds=15)
        async with gated(replica) as (worker, _), backstage(replica, kafka) as (relay, clearing):
            with pytest.raises(Retryable, match="is a replica"):
                await worker.decider.decide(ask())
            await plain.replicaof("NO", "ONE")
            with pytest.raises(Retryable, match="has not been compared"):
                await worker.decider.decide(ask())
            await says(clearing, *NOBODY_KNOWS)
            await clearing.turn()

            assert {ClearCode.CLEARED} == await codes(relay)
            assert isinstance(await worker.decider.decide(ask()), Held)


async def test_without_kafka_nothing_is_cleared(server: Server) -> None:
    """
    What cannot be compared stays closed: Kafka may know of decisions that booking has not recorded.
    """
    nowhere = KafkaSettings(bootstrap="127.0.0.1:1", call_timeout_seconds=0.5)
    async with backstage(server, nowhere) as (relay, clearing):
        await says(clearing, *NOBODY_KNOWS)
        with pytest.raises(Retryable, match="Kafka"):
            await clearing.turn()

        assert {ClearCode.UNCLEARED} == await codes(relay)


async def test_the_newest_decision_told_is_the_highest_not_the_last(kafka: KafkaSettings, valkey: Any) -> None:
    """
    A relay that tells again does not make Kafka forget how far it was.
    """
    room = Room(Valkey(valkey, timeout_seconds=5.0))
    await room.holds.apply([plan()])
    for _ in range(3):
        await room.decider.decide(ask())
    await tell(room, kafka)
    await room.valkey.call("XTRIM", room.keys.outbox(room.keys.partition_of(SLOT)), "MAXLEN", 4)
    entries = await room.outbox.after({room.keys.partition_of(SLOT): (0, 0)})  # type: ignore[dict-item]
    await tell(room, kafka)
    last = await told_last(kafka, PARTITIONS)

    assert entries[-1].position == last[room.keys.partition_of(SLOT)]


async def test_a_server_that_does_not_say_how_it_stands_is_not_used(server: Server, kafka: KafkaSettings) -> None:
    """
    An error in the place of a mark is no mark.
    """
    async with backstage(server, kafka) as (relay, clearing):
        await says(clearing, *NOBODY_KNOWS)
        await clearing.turn()
        await relay.valkey.call("ACL", "SETUSER", "default", "-mget")
        async with gated(server) as (worker, _):
            with pytest.raises(Retryable, match="does not say"):
                await worker.decider.decide(ask())
