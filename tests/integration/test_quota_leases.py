"""
Relays share the partitions, take a dead one's over, and a former holder throws nothing away.
"""

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from kernel.kafka.producer import Producer, kafka_producer
from kernel.settings import KafkaSettings, ValkeySettings
from services.quota import metrics
from services.quota.domain.decisions import Held
from services.quota.stores.opening import open_valkey
from services.quota.stores.outbox import START, Position
from services.quota.stores.valkey import Valkey
from services.quota.use_cases.leases import Tenure, tenure
from services.quota.use_cases.telling import Relay
from tests.integration.quota_relays import FAR, numbers, recorded
from tests.integration.quota_room import PARTITIONS, SLOT, Room, ask, plan

pytestmark = pytest.mark.cluster
Eventually = Callable[..., Awaitable[Any]]
LEASE_SECONDS = 0.6
"""Short, so that nobody waits long for a dead relay's."""


@pytest.fixture
async def room(valkey: Any, stores: Any) -> AsyncIterator[Room]:
    """
    Two slots in two partitions, over a client as `app.py` opens it: relays that die are cancelled amid a call.
    """
    one_server = open_valkey(ValkeySettings(url=stores.valkey_url))
    async with contextlib.nullcontext(valkey) if isinstance(valkey, Valkey) else one_server as store:
        opened = Room(store)
        await opened.holds.apply([plan(SLOT, capacity=500), plan(FAR, capacity=500)])
        yield opened


def _all_once(*relays: Tenure) -> bool:
    told = [partition for one in relays for partition in one.held]
    return list(range(PARTITIONS)) == sorted(told)


async def test_a_relay_alone_has_all_and_gives_half_to_the_second(room: Room) -> None:
    """
    At no moment do two have the same partition, and after a round of each all are told again.
    """
    first, second = room.tenure("relay_1"), room.tenure("relay_2")
    await first.turn()
    alone = set(first.held)
    await second.turn()
    between = (set(first.held), set(second.held))
    await first.turn()
    given_up = set(first.held)
    await second.turn()

    assert set(range(PARTITIONS)) == alone
    assert (alone, set()) == between
    assert PARTITIONS / 2 == len(given_up) == len(second.held)
    assert _all_once(first, second)
    assert [] == await room.untold()


async def test_three_relays_that_start_together_share_fairly(room: Room) -> None:
    """
    The first takes all and gives up what is too much; where two want the same, one has another a round later. Five
    rounds on, whatever met on the nodes, it is 11, 11 and 10.
    """
    relays = [room.tenure(f"relay_{number}") for number in range(3)]
    for _ in range(5):
        await asyncio.gather(*(relay.turn() for relay in relays))

    assert [10, 11, 11] == sorted(len(relay.held) for relay in relays)
    assert _all_once(*relays)


async def test_who_leaves_is_missed_at_once(room: Room) -> None:
    """
    A drained relay's partitions wait for nobody's lease to run out.
    """
    first, second = room.tenure("relay_1"), room.tenure("relay_2")
    await first.turn()
    leases = second._leases
    async with tenure(leases, partitions=PARTITIONS) as passing:
        await passing.turn()
        await first.turn()
        await passing.turn()
        shared = len(passing.held)
    nobodys = await room.untold()
    await first.turn()

    assert PARTITIONS / 2 == shared == len(nobodys)
    assert {} == passing.held
    assert PARTITIONS == len(first.held)


async def test_every_new_holder_gets_a_higher_token_and_renewing_keeps_it(room: Room) -> None:
    """
    The token is what tells a former holder from the present one.
    """
    first, second = room.tenure("relay_1"), room.tenure("relay_2")
    await first.turn()
    one = dict(first.held)
    await first.turn()
    same = dict(first.held)
    await first.leave()
    await second.turn()

    assert one == same
    assert {partition: lease.token + 1 for partition, lease in one.items()} == {
        partition: lease.token for partition, lease in second.held.items()
    }


async def test_a_lease_ends_here_before_it_ends_in_valkey(room: Room, eventually: Eventually) -> None:
    """
    A relay that cannot renew stops telling by its own clock, and others may take over.
    """
    first, second = room.tenure("relay_1", lease_seconds=LEASE_SECONDS), room.tenure("relay_2")
    await first.turn()
    nobodys: list[int] = []

    async def ended() -> bool:
        seen = await room.untold()
        nobodys.extend(seen if first.held else [])
        return not first.held

    await eventually(ended, within_seconds=5, every_seconds=0)

    async def taken_over() -> bool:
        await second.turn()
        return PARTITIONS == len(second.held)

    assert [] == nobodys
    await eventually(taken_over, within_seconds=5)


async def test_a_former_holder_is_refused_what_throws_away_or_stops(room: Room, eventually: Eventually) -> None:
    """
    It has slept through its lease and does not know it yet: its token says so.
    """
    partition = room.keys.partition_of(SLOT)
    first, second = room.tenure("relay_1", lease_seconds=0.05), room.tenure("relay_2")
    await first.turn()
    stale = dict(first._held)

    async def taken_over() -> bool:
        await second.turn()
        return partition in second.held

    await eventually(taken_over)
    refused = await room.outbox.trim({partition: Position(1, 1)}, stale)
    stopped = await room.outbox.stop_selling(partition, stale[partition])
    kept = await room.outbox.after({partition: START})

    assert [partition] == refused
    assert not stopped
    assert [Position(1, 1)] == [entry.position for entry in kept]
    assert isinstance(await room.decider.decide(ask()), Held)
    assert [] == await room.outbox.trim({partition: Position(1, 1)}, second.held)
    assert await room.outbox.stop_selling(partition, second.held[partition])


@dataclasses.dataclass(slots=True)
class Live:
    """
    A relay as `app.py` wires it, and a way to let it die.
    """

    relay: Relay
    tenure: Tenure
    tasks: list[asyncio.Task[None]]

    async def die(self) -> None:
        """
        Without a word: nothing is given up.
        """
        for task in self.tasks:
            task.cancel()
        await asyncio.wait(self.tasks)


@dataclasses.dataclass(slots=True)
class Crowd:
    """
    Relays over one Valkey and one broker.
    """

    room: Room
    kafka: KafkaSettings
    producer: Producer
    relays: list[Live] = dataclasses.field(default_factory=list)

    def join(self) -> Live:
        """
        One more.
        """
        kept = self.room.tenure(f"relay_{len(self.relays)}", lease_seconds=LEASE_SECONDS)
        relay = Relay(self.room.outbox, self.producer, self.kafka, kept, partitions=PARTITIONS)
        live = Live(relay, kept, [asyncio.ensure_future(kept.keep()), asyncio.ensure_future(relay.run())])
        self.relays.append(live)
        return live

    def share(self, *relays: Live) -> Callable[[], bool]:
        """
        Whether these tell every partition, each a fair part.
        """
        return lambda: (
            _all_once(*(live.tenure for live in relays))
            and min(len(live.tenure.held) for live in relays) == PARTITIONS // len(relays)
        )


@pytest.fixture
async def crowd(room: Room, fresh_broker: Any) -> AsyncIterator[Crowd]:
    """
    Nobody yet.
    """
    kafka = KafkaSettings(bootstrap=fresh_broker.bootstrap, call_timeout_seconds=2.0, stall_seconds=5.0)
    async with kafka_producer(kafka, name="test-quota-relays") as producer:
        opened = Crowd(room, kafka, producer)
        try:
            yield opened
        finally:
            for live in opened.relays:
                await live.die()


@contextlib.asynccontextmanager
async def _selling(room: Room) -> AsyncIterator[list[Any]]:
    """
    Places are taken in both partitions all the while.
    """
    decisions: list[Any] = []

    async def sell() -> None:
        while len(decisions) < 600:
            decisions.append(await room.decider.decide(ask((SLOT, FAR)[len(decisions) % 2])))
            await asyncio.sleep(0.005)

    task = asyncio.ensure_future(sell())
    try:
        yield decisions
    finally:
        task.cancel()
        await asyncio.wait([task])


@pytest.mark.kafka
async def test_relays_join_and_die_and_every_decision_is_told_in_order(crowd: Crowd, eventually: Eventually) -> None:
    """
    One, two, three, and two die without a word while places go: each first telling follows the one before it.
    """
    room = crowd.room
    taken_before = metrics.relay_moves.labels("taken")._value.get()
    async with _selling(room) as decisions:
        first = crowd.join()
        await eventually(crowd.share(first))
        second = crowd.join()
        await eventually(crowd.share(first, second))
        third = crowd.join()
        await eventually(crowd.share(first, second, third))
        await first.die()
        await eventually(crowd.share(second, third))
        await third.die()
        await eventually(crowd.share(second))
        sold = len(decisions)
        await eventually(lambda: len(decisions) > sold + 10)
    ends = await room.outbox.ends([room.keys.partition_of(slot_id) for slot_id in (SLOT, FAR)])

    async def all_told() -> bool:
        told = [set(await numbers(crowd.kafka, slot_id, room)) for slot_id in (SLOT, FAR)]
        return [end.seq for end in ends.values()] == [max(seqs) for seqs in told]

    await eventually(all_told, every_seconds=0.2)
    assert all(isinstance(decision, Held) for decision in decisions)
    for slot_id, end in zip((SLOT, FAR), ends.values(), strict=True):
        first_tellings = list(dict.fromkeys(await numbers(crowd.kafka, slot_id, room)))
        assert list(range(1, end.seq + 1)) == first_tellings
    assert metrics.relay_moves.labels("taken")._value.get() >= taken_before + PARTITIONS * 2


@pytest.mark.kafka
async def test_a_relay_whose_lease_is_lost_tells_and_trims_no_more(crowd: Crowd) -> None:
    """
    It hears of it at its next trim, or when its lease runs out by its own clock: whichever is first.
    """
    room = crowd.room
    late, present = room.tenure("relay_late"), room.tenure("relay_present")
    relay = Relay(room.outbox, crowd.producer, crowd.kafka, late, partitions=PARTITIONS)
    await late.turn()
    await relay.turn()
    # Asleep for longer than its lease, with a clock that stood still meanwhile.
    await late._leases.give_up(late.held)
    await late._leases.leave()
    await present.turn()
    await room.decider.decide(ask())
    await relay.note_recorded([recorded(room, SLOT, 1), recorded(room, FAR, 1)])
    await relay.turn()
    heard = await numbers(crowd.kafka, SLOT, room)
    await room.decider.decide(ask())
    told = await relay.turn()
    kept = await room.outbox.after({room.keys.partition_of(SLOT): START})

    assert not {room.keys.partition_of(SLOT), room.keys.partition_of(FAR)} & set(late.held)
    assert (0, [1, 2]) == (told, heard)
    assert [1, 2, 3] == [entry.position.seq for entry in kept]
    assert PARTITIONS == len(present.held)


@pytest.mark.kafka
async def test_what_comes_back_is_told_again_from_the_watermark(crowd: Crowd) -> None:
    """
    In between the cluster may have become another one, and its then holder dead before it told it everything.
    """
    room = crowd.room
    kept = room.tenure("relay_1")
    relay = Relay(room.outbox, crowd.producer, crowd.kafka, kept, partitions=PARTITIONS)
    for _ in range(2):
        await kept.turn()
        await relay.turn()
        await kept.leave()
        await relay.turn()
    heard = await numbers(crowd.kafka, SLOT, room)

    assert [1, 1] == heard
