"""
Many asks in one write: the answers of one by one, and nobody pays for another's trouble.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec
import pytest
import redis.asyncio
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from kernel.errors import Permanent, Retryable
from services.quota.domain.decisions import Ask, Decision, Held, Refusal, Refused
from services.quota.domain.limit import Limit
from services.quota.stores.batching import CROWD
from services.quota.stores.outbox import START
from services.quota.stores.passes import Decided, Whole
from services.quota.use_cases.reservations import Decides, ask_of
from tests.integration.quota_room import HOUR_MS, SLOT, Room, ask, plan, room_of

FAR = "makassar.20261130.morning.regular.online"
FULL = "bandung.20261130.midday.regular.online"
CLOSED = "makassar.20261130.midday.regular.online"
COMING = "makassar.20261201.midday.regular.online"
NOWHERE = "medan.20261130.morning.regular.online"
SLOTS = (SLOT, FAR, FULL, CLOSED, COMING, NOWHERE)
PLANS = [
    plan(SLOT, capacity=6),
    plan(FAR, capacity=3),
    plan(FULL, capacity=0),
    plan(CLOSED, closed=True),
    plan(COMING, opens_at_ms=plan().opens_at_ms + 2 * HOUR_MS),
]


@pytest.fixture
async def room(valkey: Any) -> Room:
    """
    The slots above.
    """
    opened = room_of(valkey)
    await opened.holds.apply(PLANS)
    return opened


def _drawn(account: int, key: int, slot_id: str, persons: Sequence[int]) -> Ask:
    account_id = f"acc_{account}"
    return ask_of(account_id, f"key-{key}", slot_id, tuple(f"per_{account}{person}" for person in persons))


def _in_turn(asks: Sequence[Ask]) -> list[int]:
    """Everybody's first, then everybody's second: positions in the order in which a batch decides."""
    accounts = list(dict.fromkeys(one.account_id for one in asks))
    before: dict[str, int] = dict.fromkeys(accounts, 0)
    turns = []
    for position, one in enumerate(asks):
        turns.append((before[one.account_id], accounts.index(one.account_id), position))
        before[one.account_id] += 1
    return [position for _, _, position in sorted(turns)]


async def _history(room: Room, rounds: Sequence[Sequence[Ask]], decider: Decides, *, together: bool) -> list[Any]:
    """Rounds of asks, after each of which the first family's places go back; then everything Valkey holds and tells."""
    await room.valkey.call("FLUSHALL")
    await room.holds.apply(PLANS)
    told: list[Any] = []
    for asks in rounds:
        if together:
            decisions = await asyncio.gather(*(decider.decide(one) for one in asks))
        else:
            answers = {position: await decider.decide(asks[position]) for position in _in_turn(asks)}
            decisions = [answers[position] for position in range(len(asks))]
        told.append([_timeless(one) for one in decisions])
        for one in asks:
            if one.account_id == "acc_0":
                call = room.holds.release_call(one.slot_id, one.reservation_id, reason="expired")
                await room.holds.resolve([call])
    # How many entries tell it is the one thing that is not the same.
    same = {"pay_by_ms": 0, "at_ms": 0, "stream_entries": 0}
    records = [record | same async for record in room.ledger.everything()]
    entries = await room.outbox.after(dict.fromkeys(range(room.keys.partitions), START))
    facts = [(entry.partition, entry.position, entry.fields.get(b"held")) for entry in entries]
    return [*told, sorted(str(sorted(record.items())) for record in records), facts]


def _timeless(decision: Decision) -> Decision:
    return msgspec.structs.replace(decision, pay_by_ms=0) if isinstance(decision, Held) else decision


ASKS = st.builds(
    _drawn,
    st.integers(0, 3),
    st.integers(0, 1),
    st.sampled_from([SLOT, SLOT, *SLOTS]),
    st.permutations(range(3)).flatmap(lambda persons: st.integers(1, 3).map(lambda count: persons[:count])),
)


@example(rounds=[[_drawn(1, 0, FULL, [0]), _drawn(1, 1, SLOT, [0])]], batch_max=8)
@example(rounds=[[_drawn(0, 0, SLOT, [0])], [_drawn(0, 0, SLOT, [0])]], batch_max=8)
@example(rounds=[[_drawn(1, 0, SLOT, [0])], [_drawn(1, 1, FAR, [0]), _drawn(2, 0, SLOT, [0])]], batch_max=8)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(rounds=st.lists(st.lists(ASKS, max_size=12), min_size=1, max_size=2), batch_max=st.integers(1, 8))
def test_a_batch_answers_as_one_by_one(stores: Any, rounds: list[list[Ask]], batch_max: int) -> None:
    """
    Whatever is asked together, answers, books, holds and claims are those of asking in turn.
    """

    async def both() -> tuple[list[Any], list[Any]]:
        client = redis.asyncio.from_url(stores.valkey_url)
        try:
            room = room_of(client)
            batching = room.batching(lanes=1, batch_max=batch_max)
            return (
                await _history(room, rounds, room.decider, together=False),
                await _history(room, rounds, batching, together=True),
            )
        finally:
            await client.aclose()

    in_turn, together = asyncio.run(both())

    assert in_turn == together


@pytest.mark.cluster
async def test_two_asks_of_an_account_at_once_are_decided_one_after_the_other(room: Room) -> None:
    """
    Two clicks on two slots: the first is sold out, so the second gets its places; a double click gets the same ones.
    """
    sold_out, other = ask(FULL, account_id="acc_1", key="key-1"), ask(SLOT, account_id="acc_1", key="key-2")
    asked = ask(persons=3)
    decider = room.batching()

    decisions = await asyncio.gather(*(decider.decide(one) for one in (sold_out, other, *[asked] * 5)))

    assert Refused(why=Refusal.SOLD_OUT) == decisions[0]
    assert isinstance(decisions[1], Held)
    assert [False, True, True, True, True] == [one.replayed for one in decisions[2:] if isinstance(one, Held)]
    assert 1 == len({one.seats for one in decisions[2:] if isinstance(one, Held)})


@pytest.mark.cluster
async def test_one_bad_ask_does_not_spoil_a_batch(room: Room) -> None:
    """
    An ask that cannot be spelled fails alone; so does one whose claims or hold cannot be read or are of another kind.
    """
    good, unspelled = [ask(SLOT) for _ in range(5)], msgspec.structs.replace(ask(SLOT), person_ids=("per_\ud800",))
    no_claims, no_hold, other_claims, other_hold = (ask(SLOT) for _ in range(4))
    await room.valkey.call("SET", room.keys.claims(no_claims.account_id), "text")
    await room.valkey.call("SET", room.keys.hold(SLOT, no_hold.reservation_id), "text")
    await room.valkey.call("HSET", room.keys.claims(other_claims.account_id), "of", "another kind")
    await room.valkey.call("HSET", room.keys.hold(SLOT, other_hold.reservation_id), "of", "another kind")
    decider = room.batching(lanes=1)

    *bad, first, second, third, fourth, fifth = await asyncio.gather(
        *(decider.decide(one) for one in (unspelled, no_claims, no_hold, other_claims, other_hold, *good)),
        return_exceptions=True,
    )

    assert [UnicodeEncodeError, *[Permanent] * 4] == [type(one) for one in bad]
    seats = [one.seats for one in (first, second, third, fourth, fifth) if isinstance(one, Held)]
    assert [(1,), (2,), (3,), (4,), (5,)] == seats


@pytest.mark.cluster
@pytest.mark.parametrize(
    "spoil",
    [lambda text: b"x" * len(text), lambda text: text[:-1], lambda text: text[:-3]],
    ids=["another text", "a byte short", "a value short"],
)
async def test_books_that_cannot_be_read_refuse_their_own_slot_alone(
    room: Room, spoil: Callable[[bytes], bytes]
) -> None:
    """
    Whether they are another text, which read as msgpack would be numbers, or end too soon: not a byte of them changes.
    """
    key = room.keys.books(SLOT)
    await room.valkey.call("SET", key, spoil(await room.valkey.call("GET", key)))
    spoiled = await room.valkey.call("GET", key)
    decider = room.batching(lanes=1)

    bad, good = await asyncio.gather(*(decider.decide(ask(slot)) for slot in (SLOT, FAR)), return_exceptions=True)

    assert Permanent is type(bad)
    assert "no books can be read" in str(bad)
    assert isinstance(good, Held)
    assert spoiled == await room.valkey.call("GET", key)


class _Watched(Whole):
    """
    Passes that note how many asks went in each, and how many passes were under way.
    """

    sizes: list[int]
    underway = 0
    underway_most = 0

    def decide(self, asks: Sequence[Ask]) -> Awaitable[Decided]:
        self.sizes.append(len(asks))
        self.underway += 1
        self.underway_most = max(self.underway, self.underway_most)
        return self._watched(super().decide(asks))

    async def _watched(self, decided: Awaitable[Decided]) -> Decided:
        try:
            return await decided
        finally:
            self.underway -= 1


async def test_a_batch_is_bounded_and_so_are_the_writes_under_way(valkey: Any) -> None:
    """
    A hundred asks at once go in passes of at most eight, two under way at most, and none goes alone for nothing.
    """
    room = room_of(valkey)
    watched = _Watched(room.valkey, room.keys)
    watched.sizes = []
    await room.holds.apply([plan(SLOT, capacity=200)])
    decider = room.batching(batch_max=8, lanes=2, passes=watched)

    decisions = await asyncio.gather(*(decider.decide(ask()) for _ in range(100)))

    assert 100 == len({one.seats for one in decisions if isinstance(one, Held)})
    assert (8, 2) == (max(watched.sizes), watched.underway_most)
    assert len(watched.sizes) <= 100 // 8 + 4
    assert 100 == sum(watched.sizes)


class _Stayed(Whole):
    """
    Passes that do not leave before they are let go.
    """

    sizes: list[int]
    let_go: asyncio.Event

    def decide(self, asks: Sequence[Ask]) -> Awaitable[Decided]:
        self.sizes.append(len(asks))
        return self._let_go(asks)

    async def _let_go(self, asks: Sequence[Ask]) -> Decided:
        await self.let_go.wait()
        return await super().decide(asks)


@pytest.mark.parametrize(
    ("first", "then", "passes"),
    [(CROWD, 1, [CROWD]), (CROWD, CROWD, [CROWD, CROWD]), (CROWD - 1, 1, [CROWD - 1, 1])],
    ids=["few wait beside a crowd", "a crowd leaves beside a crowd", "few leave beside few"],
)
async def test_beside_a_crowd_a_pass_waits_until_it_is_one_itself(
    valkey: Any, first: int, then: int, passes: list[int]
) -> None:
    """
    With a lane free. When the crowd is back whoever waits leaves, however few, and everybody is answered.
    """
    room = room_of(valkey)
    stayed = _Stayed(room.valkey, room.keys)
    stayed.sizes, stayed.let_go = [], asyncio.Event()
    await room.holds.apply([plan(SLOT, capacity=200)])
    decider = room.batching(lanes=2, passes=stayed)

    early = [decider.decide(ask()) for _ in range(first)]
    await asyncio.sleep(0)
    late = [decider.decide(ask()) for _ in range(then)]
    await asyncio.sleep(0)
    began = list(stayed.sizes)
    stayed.let_go.set()
    decisions = await asyncio.gather(*early, *late)

    assert passes == began
    assert first + then == len({one.seats for one in decisions if isinstance(one, Held)})


async def test_a_crowd_leaves_before_the_turn_of_the_loop_is_over(valkey: Any) -> None:
    """
    When everybody is read in one turn the store begins with the first of them meanwhile, and with the next.
    """
    room = room_of(valkey)
    stayed = _Stayed(room.valkey, room.keys)
    stayed.sizes, stayed.let_go = [], asyncio.Event()
    await room.holds.apply([plan(SLOT, capacity=200)])
    decider = room.batching(lanes=2, passes=stayed)

    answers = [decider.decide(ask()) for _ in range(2 * CROWD + 1)]
    began = list(stayed.sizes)
    stayed.let_go.set()
    decisions = await asyncio.gather(*answers)

    assert [CROWD, CROWD] == began
    assert [CROWD, CROWD, 1] == stayed.sizes
    assert 2 * CROWD + 1 == len({one.seats for one in decisions if isinstance(one, Held)})


async def test_who_has_waited_too_long_for_a_turn_is_turned_away_with_nothing_asked(room: Room, valkey: Any) -> None:
    """
    While Valkey stands still nobody begins what nobody waits for any more; the one under way is seen through.
    """
    first, second = ask(), ask()
    decider = room.batching(batch_max=1, lanes=1, wait_max_seconds=0.1)
    await valkey.execute_command("CLIENT", "PAUSE", 300, "WRITE")

    begun, late = await asyncio.gather(decider.decide(first), decider.decide(second), return_exceptions=True)
    await decider.settle()

    assert [Retryable, Retryable] == [type(begun), type(late)]
    assert [first.account_id] == [record["account_id"] for record in await room.records("claim")]


@pytest.mark.cluster
async def test_a_batch_is_decided_after_valkey_has_forgotten_the_scripts(room: Room) -> None:
    """
    A restarted node knows no script: each is loaded and what it could not run is run.
    """
    await room.valkey.call("SCRIPT", "FLUSH")
    decider = room.batching(lanes=1)

    decisions = await asyncio.gather(*(decider.decide(one) for one in (ask(), ask(FULL), ask())))

    assert [Held, Refused, Held] == [type(one) for one in decisions]
    assert [False, False] == [one.replayed for one in decisions if isinstance(one, Held)]


@pytest.mark.cluster
async def test_askers_cancelled_at_any_moment_change_nothing_for_the_others(room: Room) -> None:
    """
    Every third asker leaves in the middle: the others get their own places, and those of the leavers are held too.
    """
    await room.holds.apply([plan(SLOT, version=2, capacity=90)])
    decider = room.batching(batch_max=8)
    asks = [ask() for _ in range(90)]
    tasks = [asyncio.ensure_future(decider.decide(one)) for one in asks]
    for number, task in enumerate(tasks[::3]):
        if number % 4 == 0:
            await asyncio.sleep(0)
        task.cancel()
    decisions = await asyncio.gather(*tasks, return_exceptions=True)
    again = await asyncio.gather(*(decider.decide(one) for one in asks))

    for before, after in zip(decisions, again, strict=True):
        assert isinstance(after, Held)
        assert isinstance(before, asyncio.CancelledError) or (isinstance(before, Held) and before.seats == after.seats)
    assert 90 == len(await room.records("hold"))


class _Silent(Whole):
    """
    Passes whose answer does not come.
    """

    async def decide(self, asks: Sequence[Ask]) -> Decided:
        raise Retryable(f"no answer for {len(asks)}")


async def test_a_pass_without_an_answer_lets_fewer_in_and_good_ones_let_them_in_again(valkey: Any) -> None:
    """
    The limit hears of every pass: of the one that failed, and of those that went well.
    """
    room, limit = room_of(valkey), Limit(floor=8, ceiling=100, target_seconds=5)
    await room.holds.apply([plan(SLOT, capacity=200)])
    silent = room.batching(passes=_Silent(room.valkey, room.keys), limit=limit)
    with pytest.raises(Retryable):
        await silent.decide(ask())
    assert 8 == limit.asks_max

    decider = room.batching(limit=limit)
    await asyncio.gather(*(decider.decide(ask()) for _ in range(50)))

    assert 13 == limit.asks_max
    assert not decider.full
