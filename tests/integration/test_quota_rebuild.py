"""
Valkey rebuilt from booking's snapshot: the same places to the same people, again and again, and nothing sold twice.
"""

import asyncio
import gc
import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from redis.exceptions import OutOfMemoryError

from contracts.events import BookingConfirmed, BookingExpired, ReservationHeld, SlotApplied
from kernel.errors import Retryable
from services.booking.use_cases import cancelling, snapshotting
from services.quota.domain.decisions import Held
from services.quota.rebuild import chunks_of
from services.quota.stores.outbox import Position
from services.quota.stores.restores import KEYS_PER_WRITE, Restores
from services.quota.use_cases.comparing import compare
from services.quota.use_cases.following import Following
from services.quota.use_cases.restoring import RebuildRefused, Restoring
from tests.integration.quota_room import ask, said
from tests.integration.rebuild_room import ALL, MARK, House, house


@pytest.fixture(params=["one_server", "cluster"])
async def home(request: pytest.FixtureRequest, tmp_path: Path, database: str) -> AsyncIterator[House]:
    """Quota and booking."""
    cluster = request.getfixturevalue("valkey_cluster").url if request.param == "cluster" else ""
    async with house(tmp_path, database, cluster=cluster) as both:
        yield both


async def wiped(home: House) -> None:
    """Nothing is left in Valkey."""
    await home.quota.valkey.call("FLUSHALL")


async def one_by_one(lines: list[str]) -> AsyncIterator[str]:
    """Every line a chunk of its own."""
    for line in lines:
        yield line


async def test_an_emptied_valkey_comes_back_as_it_was(home: House) -> None:
    """
    Books, seats and claims are as before; every reservation is answered again, and the next one gets the next number.
    """
    [slot_id, other] = (await home.public_slots())[:2]
    told = await home.take(3, slot_id) | await home.take(2, other, persons=1)
    await home.record(await home.untold())
    [gone, *_] = told
    async with home.booking.db.transaction() as connection:
        await cancelling.cancel(connection, gone.reservation_id, account_id=gone.account_id, reason="change_of_plans")
    await home.quota.valkey.run(home.quota.holds.release_call(slot_id, gone.reservation_id, reason="cancelled"))
    before = await home.books()
    await wiped(home)
    report = await home.rebuild()
    after = await home.books()
    answers = {asked: await home.quota.decider.decide(asked) for asked in told}
    next_one = await home.quota.decider.decide(ask(slot_id, persons=2))

    assert (0, 0, len(before)) == (len(report.differences), len(report.affected), report.slots)
    assert before == after
    assert [answers[asked].seats for asked in told if asked is not gone] == [
        seats for asked, seats in told.items() if asked is not gone
    ]
    assert "ended" == getattr(answers[gone], "why", None)
    assert isinstance(next_one, Held)
    assert (1, 2) == next_one.seats


async def test_the_books_after_a_rebuild_are_the_books_before(home: House) -> None:
    """
    Counters of every slot are equal, whichever way the places went.
    """
    slot_id = (await home.public_slots())[0]
    await home.take(4, slot_id)
    await home.record(await home.untold())
    before, seats = await home.books(), await home.seats_in_valkey()
    await wiped(home)
    await home.rebuild()

    assert before == await home.books()
    assert seats == await home.seats_in_valkey() == await home.seats_in_postgres()


async def test_a_rebuild_twice_is_a_rebuild_once_in_a_later_epoch(home: House) -> None:
    """
    Doing it again changes nothing but the epoch.
    """
    slot_id = (await home.public_slots())[0]
    await home.take(2, slot_id)
    await home.record(await home.untold())
    await wiped(home)
    await home.rebuild()
    once, first = await home.books(), await home.untold()
    await home.rebuild()
    twice, second = await home.books(), await home.untold()

    assert once == twice
    assert {2} == {envelope.event.epoch for envelope in first}
    assert {3} == {envelope.event.epoch for envelope in second}
    assert {SlotApplied} == {type(envelope.event) for envelope in second}


async def test_what_was_acknowledged_and_never_recorded_is_told_again_and_honoured_or_displaced(home: House) -> None:
    """
    A hold booking never heard of keeps its places while they are free; where they are another's it is named.
    """
    slot_id = (await home.public_slots())[0]
    first = await home.take(1, slot_id)
    await home.record(await home.untold())
    unheard = await home.take(1, slot_id)
    [late] = (await home.take(1, slot_id)).keys()
    # Somebody else has the late one's places by what booking knows.
    partition = home.quota.keys.partition_of(slot_id)
    await home.record([home.booking.held("rival", seats=(5, 6), slot_id=slot_id, partition=partition, epoch=9, seq=1)])
    report = await home.rebuild()
    await home.record(await home.untold())
    [kept] = unheard

    assert {kept.reservation_id: True, late.reservation_id: False} == {
        one.reservation_id: one.honoured for one in report.affected
    }
    assert ["held", "held", "displaced"] == [await home.state_of(one) for one in (*first, kept, late)]
    assert await home.seats_in_valkey() == await home.seats_in_postgres()
    again = await home.quota.decider.decide(kept)
    assert isinstance(again, Held)
    assert again.replayed


async def test_a_rebuild_that_breaks_off_sells_nothing_and_is_taken_up_again(home: House) -> None:
    """
    Half a snapshot is refused, the partitions stay stopped, and what nobody has recorded is still found.
    """
    slot_id = (await home.public_slots())[0]
    await home.take(2, slot_id)
    await home.record(await home.untold())
    [unheard] = await home.take(1, slot_id)
    whole = await home.snapshot()
    half = b"\n".join(whole.split(b"\n")[:-2])
    with pytest.raises(RebuildRefused, match="not whole"):
        await home.rebuild(half)
    refused = await home.quota.decider.decide(ask(slot_id))
    report = await home.rebuild(whole)

    assert "stopped" == getattr(refused, "why", None)
    assert [unheard.reservation_id] == [one.reservation_id for one in report.affected]
    assert isinstance(await home.quota.decider.decide(ask(slot_id)), Held)


async def test_the_second_of_two_rebuilds_at_once_wins(home: House) -> None:
    """
    Whoever stopped last may open; the other is refused before it writes a slot.
    """
    snapshot = await home.snapshot()
    restores = home.restores
    await restores.stop(ALL, MARK)
    await home.restores.stop(ALL, "rebuild:another")
    with pytest.raises(RebuildRefused, match="not stopped for this rebuild"):
        await Restoring(restores, home.quota.keys, list(ALL), mark=MARK, told={}, say=print).run(
            chunks_of(io.BytesIO(snapshot))
        )

    assert {"rebuild:another"} == set((await restores.marks(ALL)).values())


async def test_a_rebuild_that_cannot_write_says_so_once_and_leaves_nothing_behind(home: House) -> None:
    """
    The first write that fails ends it; those under way beside it are not left for nobody to hear of.
    """
    await home.take(4, (await home.public_slots())[0], persons=1)
    await home.record(await home.untold())
    lines = (await home.snapshot()).decode().splitlines()
    unheard: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unheard.append(context))
    await home.restores.stop(ALL, MARK)
    whole = Restoring(home.restores, home.quota.keys, list(ALL), mark=MARK, told={}, say=print)
    await home.quota.valkey.everywhere("CONFIG", "SET", "maxmemory", "1")
    try:
        with pytest.raises(OutOfMemoryError):
            await whole.run(one_by_one(lines))
    finally:
        await home.quota.valkey.everywhere("CONFIG", "SET", "maxmemory", "0")
    gc.collect()

    assert ([], {MARK}) == (unheard, set((await home.restores.marks(ALL)).values()))


async def test_one_partition_is_rebuilt_while_the_others_sell(home: House) -> None:
    """
    Only its slots are stopped and written; holds elsewhere are not touched.
    """
    here, there = (await home.public_slots())[0], (await home.public_slots(office_id="jayapura"))[0]
    told = await home.take(2, here)
    elsewhere = await home.take(2, there)
    await home.record(await home.untold())
    partition = home.quota.keys.partition_of(here)
    keys = home.quota.keys
    await home.quota.valkey.call("DEL", keys.slot(here), *(keys.hold(here, one.reservation_id) for one in told))
    restores = home.restores
    await restores.stop([partition], MARK)
    sold_there = await home.quota.decider.decide(ask(there))
    snapshot = io.BytesIO(await home.snapshot())
    report = await Restoring(restores, keys, [partition], mark=MARK, told={}, say=print).run(chunks_of(snapshot))

    assert isinstance(sold_there, Held)
    assert (1, []) == (report.partitions, report.differences)
    for asked, seats in (told | elsewhere).items():
        answer = await home.quota.decider.decide(asked)
        assert isinstance(answer, Held)
        assert (seats, True) == (answer.seats, answer.replayed)


async def test_a_wish_to_give_back_that_was_never_told_is_told_after_the_rebuild(home: House) -> None:
    """
    The mark is on the hold, and its event goes on in the new epoch.
    """
    slot_id = (await home.public_slots())[0]
    [asked] = await home.take(1, slot_id)
    await home.record(await home.untold())
    await home.quota.holds.ask_give_back(asked.account_id, asked.reservation_id)
    await home.rebuild()
    before = await home.state_of(asked)
    await home.record(await home.untold())

    assert ("held", "cancelled") == (before, await home.state_of(asked))


async def test_the_dry_run_finds_every_difference_and_writes_nothing(home: House) -> None:
    """
    A lost hold, a hold nobody recorded and a wrong counter are named.
    """
    slot_id = (await home.public_slots())[0]
    [lost] = await home.take(1, slot_id)
    await home.record(await home.untold())
    [unheard] = await home.take(1, slot_id)
    keys = home.quota.keys
    await home.quota.valkey.call("DEL", keys.hold(slot_id, lost.reservation_id))
    await home.quota.tamper(slot_id, held=3)
    before = await home.books()
    report = await compare(home.restores, keys, list(ALL), chunks_of(io.BytesIO(await home.snapshot())))

    assert {keys.hold(slot_id, lost.reservation_id), slot_id} == set(report.differences)
    assert [unheard.reservation_id] == [one.reservation_id for one in report.affected]
    assert before == await home.books()


async def test_a_difference_that_is_left_keeps_everything_closed(home: House, monkeypatch: Any) -> None:
    """
    A value that does not stand as written is named, and the partitions stay stopped.
    """
    slot_id = (await home.public_slots())[0]
    [asked] = await home.take(1, slot_id)
    await home.record(await home.untold())
    key = home.quota.keys.hold(slot_id, asked.reservation_id)
    slots = Restores.slots

    async def and_spoil(self: Restores, *args: Any) -> Any:
        await home.quota.valkey.call("APPEND", key, "x")
        return await slots(self, *args)

    monkeypatch.setattr(Restores, "slots", and_spoil)
    report = await home.rebuild()
    refused = await home.quota.decider.decide(ask(slot_id))

    assert [key] == report.differences
    assert "stopped" == getattr(refused, "why", None)


async def test_no_snapshot_before_everything_told_is_recorded(home: House) -> None:
    """
    Kafka may hold what booking has not recorded: the snapshot waits for it, and says which.
    """
    with pytest.raises(Retryable, match="7:1:5"):
        await snapshotting.wait_until_recorded(home.booking.db, {(7, 1): 5}, patience_seconds=0)
    await home.record([home.booking.held(f"one{seq}", seats=(seq,), seq=seq) for seq in range(1, 6)])
    await snapshotting.wait_until_recorded(home.booking.db, {(7, 1): 5}, patience_seconds=0)


async def test_an_older_snapshot_is_refused_and_a_newer_one_taken(home: House) -> None:
    """
    Places sold after it was taken would be sold again: nothing is written, nothing is sold, and it says what to do.
    """
    slot_id = (await home.public_slots())[0]
    await home.take(1, slot_id)
    await home.record(await home.untold())
    older = await home.snapshot()
    sold = await home.take(2, slot_id)
    events = await home.untold()
    await home.record(events)
    told = {one.event.partition: Position(one.event.epoch, one.event.seq) for one in events}
    partition = home.quota.keys.partition_of(slot_id)
    at = told[partition]
    await wiped(home)

    with pytest.raises(RebuildRefused, match=f"--recorded {partition}:{at.epoch}:{at.seq}$"):
        await home.rebuild(older, told=told)
    assert [] == await home.seats_in_valkey()
    assert "stopped" == getattr(await home.quota.decider.decide(ask(slot_id)), "why", None)

    await home.rebuild(told=told)
    assert await home.seats_in_postgres() == await home.seats_in_valkey()
    assert list(sold.values()) == [(await home.quota.decider.decide(asked)).seats for asked in sold]


async def test_late_events_of_the_old_epoch_are_recorded_where_the_place_is_free(home: House) -> None:
    """
    What Kafka brings after the rebuild is honoured, or displaced when the new epoch was quicker.
    """
    slot_id = (await home.public_slots())[0]
    early = await home.take(1, slot_id)
    late = await home.take(2, slot_id)
    events = await home.untold()
    await home.record([one for one in events if not is_late(one, late)])
    await wiped(home)
    await home.rebuild()
    sold = await home.take(1, slot_id)
    await home.record(await home.untold())
    await home.record(events)

    assert ["held", "held"] == [await home.state_of(one) for one in (*early, *sold)]
    assert ["displaced", "held"] == [await home.state_of(one) for one in late]


def is_late(envelope: Any, late: Any) -> bool:
    """Of a hold among these."""
    event = envelope.event
    return isinstance(event, ReservationHeld) and event.reservation_id in {one.reservation_id for one in late}


async def test_what_booking_says_meanwhile_waits_and_takes_effect_afterwards(home: House) -> None:
    """
    An end and a payment that are heard while a partition is stopped change nothing, and nothing is forgotten.
    """
    slot_id = (await home.public_slots())[0]
    [ended, paid] = await home.take(2, slot_id)
    await home.record(await home.untold())
    snapshot, following = await home.snapshot(), Following(home.quota.holds, home.quota.claims)
    news = [said(BookingExpired, ended), said(BookingConfirmed, paid, ntpn="1", amount_rupiah=1, paid_at_ms=1)]
    await home.restores.stop(ALL, MARK)
    with pytest.raises(Retryable, match="are stopped"):
        await following.bookings(news)
    with pytest.raises(Retryable, match="waits for its rebuild"):
        await home.quota.holds.ask_give_back(paid.account_id, paid.reservation_id)
    await home.rebuild(snapshot)
    await following.bookings(news)
    books = (await home.books())[slot_id]

    assert (0, 2) == (books["held"], books["confirmed"])
    assert [(slot_id, 3), (slot_id, 4)] == await home.seats_in_valkey()


async def test_what_takes_many_commands_to_write_is_there_to_the_last_key(home: House) -> None:
    """
    Of two partitions, and one key more than a write has room for; what is changed behind its back is named.
    """
    prefixes = [home.quota.keys.claims_prefix(tag) for tag in (1, 2)]
    everything = [f"{prefix}acc_{n}" for prefix in prefixes for n in range(KEYS_PER_WRITE + 1)]
    restores = home.restores
    await restores.write([part for key in everything for part in (key, key.encode())])
    there = await restores.read(everything)
    unharmed = await restores.differing()
    await home.quota.valkey.call("SET", everything[-1], "another's")

    assert {key: key.encode() for key in everything} == there
    assert ([], [everything[-1]]) == (unharmed, await restores.differing())
