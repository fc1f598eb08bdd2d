"""
On a real cluster: a primary dies, a slot moves, a replica lags, and every promise is kept.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import msgspec
import pytest

from kernel.errors import Retryable
from kernel.settings import ValkeySettings
from kernel.topology import slot_of
from ops.valkey_cluster import Node, ValkeyCluster
from services.quota.domain.decisions import Ask, Held
from services.quota.stores.histories import Greeter, Histories
from services.quota.stores.ledger import refuse_forgetful
from services.quota.stores.opening import open_valkey
from tests.integration.conftest import founded
from tests.integration.quota_crowd import Crowd, assert_kept
from tests.integration.quota_room import SLOT, Room, ask, plan

PLACES = 50_000
OFFICES = ("bandung", "makassar", "medan", "ambon", "palu", "manado", "jambi", "padang", "serang", "bogor")

Opened = Callable[..., AbstractAsyncContextManager[Room]]


@pytest.fixture
async def opened(valkey_cluster: ValkeyCluster) -> AsyncIterator[Opened]:
    """
    Rooms over the cluster, which is empty and afterwards well again.
    """

    @asynccontextmanager
    async def room_over(url: str = valkey_cluster.url, *, seconds: float = 2.0, **how: Any) -> Any:
        settings = ValkeySettings(url=url, call_timeout_seconds=seconds)
        async with open_valkey(settings, **how) as store:
            yield Room(store)

    async with room_over() as room:
        await founded(room.valkey)
    yield room_over
    await asyncio.to_thread(valkey_cluster.heal)


def _primary(cluster: ValkeyCluster, room: Room, slot_id: str) -> Node:
    return cluster.primary_of(slot_of(room.keys.slot(slot_id)))


def _elsewhere(cluster: ValkeyCluster, room: Room) -> str:
    """A slot whose places are another node's than those of SLOT."""
    slot_ids = [SLOT.replace("bandung", office) for office in OFFICES]
    return next(one for one in slot_ids if _primary(cluster, room, one) is not _primary(cluster, room, SLOT))


def _claimed_at(cluster: ValkeyCluster, room: Room, one: Ask) -> Node:
    return cluster.primary_of(slot_of(room.keys.claims(one.account_id)))


def _told_until(node: Node) -> int:
    return int(node.says("replication", "master_repl_offset"))


async def test_a_primary_killed_under_load_takes_no_acknowledged_place_with_it(
    opened: Opened, valkey_cluster: ValkeyCluster, eventually: Any
) -> None:
    """
    Where a replica must have heard of each place, what people were told stands, though the promoted one decides.
    """
    async with opened(replicas_min=1) as room:
        await room.holds.apply([plan(SLOT, capacity=PLACES)])
        killed = _primary(valkey_cluster, room, SLOT)
        crowd = Crowd(room.batching(), [SLOT])
        async with crowd.asking():
            await eventually(lambda: crowd.held(SLOT) > 100)
            await asyncio.to_thread(valkey_cluster.kill, killed)
            await eventually(lambda: _primary(valkey_cluster, room, SLOT) is not killed)
            # It comes back as a replica; until then nobody could hear of a place.
            await asyncio.to_thread(valkey_cluster.heal)
            before = crowd.held(SLOT)
            await eventually(lambda: crowd.held(SLOT) > before + 100)

        assert crowd.unknown > 0
        await assert_kept(room, crowd)


async def test_the_promoted_replica_sells_on_and_the_others_never_stop(
    opened: Opened, valkey_cluster: ValkeyCluster, eventually: Any
) -> None:
    """
    While a primary is dead the others sell to families of theirs; then its replica does, which has never seen a script.
    """
    async with opened() as room:
        other = _elsewhere(valkey_cluster, room)
        await room.holds.apply([plan(SLOT, capacity=PLACES), plan(other, capacity=PLACES)])
        killed = _primary(valkey_cluster, room, SLOT)
        for node in valkey_cluster.nodes:
            node.ask("SCRIPT", "FLUSH")
        crowd = Crowd(room.batching(lanes=16), [SLOT, other])
        async with crowd.asking():
            await eventually(lambda: min(crowd.held(SLOT), crowd.held(other)) > 50)
        replica = valkey_cluster.replica_of(killed)
        await eventually(lambda: _told_until(replica) == _told_until(killed))
        at = {tag: valkey_cluster.primary_of(slot_of(room.keys.pending(tag))) for tag in range(room.keys.partitions)}
        valkey_cluster.kill(killed)
        bystanders = Crowd(
            room.batching(), [other], whose=lambda account_id: at[room.keys.account_tag(account_id)] is not killed
        )
        waiting = Crowd(room.batching(), [SLOT])
        async with bystanders.asking(), waiting.asking():
            assert _primary(valkey_cluster, room, SLOT) is killed
            await eventually(lambda: bystanders.held(other) > 50)
            assert 0 == waiting.held(SLOT)
            await eventually(lambda: waiting.held(SLOT) > 50)

        for one in (bystanders, waiting):
            crowd.heard |= one.heard
        await assert_kept(room, crowd)


async def test_a_promoted_replica_decides_when_it_has_been_compared_and_the_others_meanwhile(
    opened: Opened, valkey_cluster: ValkeyCluster, eventually: Any
) -> None:
    """
    Its history is another one until a relay has looked; what the living primaries have is asked for as before.
    """
    async with opened() as relay, opened(greet=Greeter(relay.keys).greet) as room:
        other = _elsewhere(valkey_cluster, relay)
        await relay.holds.apply([plan(SLOT), plan(other)])
        histories = Histories(relay.valkey, relay.keys)
        known = {partition: standing.end for partition, standing in (await histories.look()).items()}
        killed = _primary(valkey_cluster, relay, SLOT)
        replica = valkey_cluster.replica_of(killed)
        await eventually(lambda: _told_until(replica) == _told_until(killed))
        valkey_cluster.kill(killed)
        await eventually(lambda: _primary(valkey_cluster, relay, SLOT) is replica)
        look_at = [("HGET", relay.keys.slot(slot_id), "version") for slot_id in (SLOT, other)]

        async def not_compared() -> None:
            there, elsewhere = await room.valkey.write(look_at)
            assert "has not been compared" in str(there)
            assert b"1" == elsewhere

        await eventually(not_compared)

        async def clear() -> bool:
            # As the relay does: while a node does not answer it tries again.
            with contextlib.suppress(Retryable):
                return bool(await histories.clear(known))
            return False

        await eventually(clear)

        async def compared() -> None:
            assert [b"1", b"1"] == await room.valkey.write(look_at)

        await eventually(compared)


@pytest.mark.parametrize("how", ["at_once", "key_by_key"])
async def test_slots_that_move_under_load_lose_nobody(
    opened: Opened, valkey_cluster: ValkeyCluster, eventually: Any, how: str
) -> None:
    """
    A partition and a share of the accounts go to another primary, which knows no script, while everybody asks.
    """
    async with opened() as room, opened() as stale:
        await room.holds.apply([plan(SLOT, capacity=PLACES)])
        source = _primary(valkey_cluster, room, SLOT)
        target = next(one for one in valkey_cluster.primaries() if one is not source)
        target.ask("SCRIPT", "FLUSH")
        accounts = next(
            slot
            for slot in (slot_of(f"{{c{tag:02d}}}") for tag in range(room.keys.partitions))
            if valkey_cluster.primary_of(slot) is source
        )
        move = valkey_cluster.move if how == "at_once" else valkey_cluster.move_key_by_key
        crowd = Crowd(room.batching(), [SLOT])
        async with crowd.asking():
            await eventually(lambda: crowd.held(SLOT) > 100)
            for slot in (slot_of(room.keys.slot(SLOT)), accounts):
                await asyncio.to_thread(move, slot, source, target)
            before = crowd.held(SLOT)
            await eventually(lambda: crowd.held(SLOT) > before + 100)

        assert _primary(valkey_cluster, room, SLOT) is target
        assert 0 == crowd.unknown or how == "key_by_key"
        # Whoever has not heard of the move yet would find nothing where the places were.
        assert crowd.held(SLOT) == len(await stale.valkey.scan(room.keys.holds_pattern(room.keys.partition_of(SLOT))))
        await assert_kept(room, crowd)


@pytest.mark.parametrize("goes_over", ["the_hold", "all_but_the_hold"])
async def test_a_slot_half_moved_sells_nothing_twice(
    opened: Opened, valkey_cluster: ValkeyCluster, goes_over: str
) -> None:
    """
    While a hold is on one node and its books are on the other it is not known; afterwards it is the same hold.
    """
    async with opened(seconds=0.4) as room:
        await room.holds.apply([plan(SLOT)])
        one, slot = ask(), slot_of(room.keys.slot(SLOT))
        held = await room.batching().decide(one)
        source = valkey_cluster.primary_of(slot)
        target = next(node for node in valkey_cluster.primaries() if node is not source)
        hold = room.keys.hold(SLOT, one.reservation_id)
        others = [key for key in source.ask("CLUSTER", "GETKEYSINSLOT", slot, 100) if key != hold]
        valkey_cluster.begin_move(slot, source, target)
        valkey_cluster.move_keys(source, target, [hold] if goes_over == "the_hold" else others)
        halfway = await asyncio.gather(
            *(room.batching().decide(asked) for asked in (one, ask())), return_exceptions=True
        )
        valkey_cluster.end_move(slot, source, target)
        again = await room.batching().decide(one)

    assert [Retryable, Retryable] == [type(told) for told in halfway]
    assert isinstance(held, Held)
    assert msgspec.structs.replace(held, replayed=True) == again


async def test_a_place_is_acknowledged_only_when_a_replica_has_heard_of_it(
    opened: Opened, valkey_cluster: ValkeyCluster
) -> None:
    """
    While the replica stands still it is not known, however often and over whichever connection one asks; then it is.
    """
    async with opened(replicas_min=1, seconds=0.4) as room, opened(replicas_min=1, seconds=0.4) as another:
        await room.holds.apply([plan(SLOT)])
        primary = _primary(valkey_cluster, room, SLOT)
        replica = valkey_cluster.replica_of(primary)
        # Claimed elsewhere, or the claim would not be known and nobody would ask for the place.
        one = next(one for one in iter(ask, None) if _claimed_at(valkey_cluster, room, one) is not primary)
        replica.pause()
        try:
            first, again = [
                (await asyncio.gather(of.batching().decide(one), return_exceptions=True))[0] for of in (room, another)
            ]
        finally:
            replica.go_on()
        assert [Retryable, Retryable] == [type(first), type(again)]

        later = await another.batching().decide(one)

        assert isinstance(later, Held)
        assert later.replayed


async def test_a_node_that_may_forget_is_found_wherever_it_is(opened: Opened, valkey_cluster: ValkeyCluster) -> None:
    """
    A replica is asked too: tomorrow it decides.
    """
    forgetful = valkey_cluster.replica_of(valkey_cluster.primary_of(0))
    async with opened() as room:
        await refuse_forgetful(room.valkey)
        forgetful.ask("CONFIG", "SET", "appendfsync", "everysec")
        try:
            with pytest.raises(Retryable, match="appendfsync is 'everysec', not 'always'"):
                await refuse_forgetful(room.valkey)
        finally:
            forgetful.ask("CONFIG", "SET", "appendfsync", "always")


async def test_many_keys_at_once_are_found_wherever_they_are(opened: Opened) -> None:
    """
    Keys of all tags in one command, in the order asked for; a key that is not there is nothing.
    """
    async with opened() as room:
        keys = [room.keys.claims(f"acc_{number}") for number in range(40)]
        await room.valkey.many([("SET", key, key) for key in keys])
        first, second, removed = await room.valkey.many(
            [("MGET", *keys, "{c99}:absent"), ("GET", keys[7]), ("UNLINK", *keys[:30], "{c99}:absent")]
        )

        assert [*(key.encode() for key in keys), None] == first
        assert (keys[7].encode(), 30) == (second, removed)
        assert sorted(keys[30:]) == await room.valkey.scan("{c*}:claims:*")


async def test_any_node_that_answers_will_do_to_begin_with(opened: Opened, valkey_cluster: ValkeyCluster) -> None:
    """
    The first address is nobody's any more, the second a replica's.
    """
    replica = valkey_cluster.replica_of(valkey_cluster.primary_of(0))
    async with opened(f"redis://127.0.0.1:1/0,{replica.url}") as room:
        await room.holds.apply([plan(SLOT)])

        assert isinstance(await room.batching().decide(ask()), Held)


async def test_a_silent_node_keeps_nobody_waiting_who_wants_another(
    opened: Opened, valkey_cluster: ValkeyCluster
) -> None:
    """
    Asked once it is left alone for a moment: who asks it meanwhile hears so at once, and the others are served.
    """
    async with opened(seconds=0.3) as room:
        other = _elsewhere(valkey_cluster, room)
        await room.holds.apply([plan(SLOT), plan(other)])
        silent, well = room.keys.slot(SLOT), room.keys.slot(other)
        node = _primary(valkey_cluster, room, SLOT)
        node.pause()
        try:
            unknown = await asyncio.gather(room.valkey.call("HGET", silent, "version"), return_exceptions=True)
            begun = asyncio.get_running_loop().time()
            both = await room.valkey.write([("HGET", silent, "version"), ("HGET", well, "version")])
            took_seconds = asyncio.get_running_loop().time() - begun
        finally:
            node.go_on()

    assert [Retryable, Retryable] == [type(unknown[0]), type(both[0])]
    assert b"1" == both[1]
    assert took_seconds < 0.2
