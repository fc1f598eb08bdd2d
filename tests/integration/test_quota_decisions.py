"""
What a decision must hold to when it is made twice, when nothing is left, and when its history is not what it was.

Each of these is fast and wants Valkey alone: the planted bugs of `tests/mutations` are caught by them.
"""

from typing import Any

import msgspec
import pytest

from contracts.events import BookingExpired
from kernel.errors import Permanent
from services.quota.domain.decisions import Ask, Held, HoldState, Outcome, Refusal, Refused
from services.quota.domain.gate import Gate
from services.quota.domain.returning import Offer
from services.quota.stores.outbox import START, Position
from services.quota.stores.passes import Passes
from services.quota.stores.scripts import SCRIPTS
from services.quota.stores.valkey import ScriptCall
from services.quota.use_cases.following import Following
from tests.integration.quota_room import SLOT, Room, ask, plan, room_of, said

FULL = "bandung.20261130.midday.regular.online"


@pytest.fixture
async def room(valkey: Any) -> Room:
    """
    One slot of two places and one of none.
    """
    opened = room_of(valkey)
    await opened.holds.apply([plan(SLOT, capacity=2), plan(FULL, capacity=0)])
    return opened


@pytest.fixture(params=["whole", "stepped"])
def passes(request: pytest.FixtureRequest, room: Room) -> Passes:
    """
    One call, and three steps.
    """
    return room.whole if request.param == "whole" else room.stepped


async def _decided(passes: Passes, *asks: Ask) -> list[Outcome]:
    outcomes, _ = await passes.decide(asks)
    return outcomes


async def _books(room: Room, slot_id: str = SLOT) -> dict[str, Any]:
    (books,) = [record for record in await room.records("slot") if record["slot_id"] == slot_id]
    return books


async def test_a_repeat_is_answered_from_its_hold_when_nothing_is_left(room: Room, passes: Passes) -> None:
    """
    Whoever has the last places is told so again, never "sold out".
    """
    asked = ask(persons=2)
    first, again = [*await _decided(passes, asked), *await _decided(passes, asked)]

    assert isinstance(first, Held)
    assert isinstance(again, Held)
    assert (first.seats, True) == (again.seats, again.replayed)


async def test_the_same_request_with_another_body_is_refused(room: Room, passes: Passes) -> None:
    """
    The hold says for whom it was: the same id for other people is another request.
    """
    asked = ask()
    other = msgspec.structs.replace(asked, person_ids=("per_somebody_else",))
    await _decided(passes, asked)

    assert [Refused(why=Refusal.KEY_REUSED)] == await _decided(passes, other)
    assert [asked.reservation_id] == [record["claimed_for"] for record in await room.records("claim")]


async def test_an_account_has_one_reservation_of_a_pass_however_often_it_is_in_it(room: Room) -> None:
    """
    The same ask twice is to be asked again; another of the account's is refused as in the next pass.
    """
    asked = ask()
    other = ask(account_id=asked.account_id, key="key-00000002")

    first, again, another = await _decided(room.whole, asked, asked, other)

    assert isinstance(first, Held)
    assert Refused(why=Refusal.CLAIM_TOO_OLD) == again
    assert Refused(why=Refusal.ACCOUNT_ALREADY_RESERVED, who=asked.reservation_id) == another
    assert (1, 1) == ((await _books(room))["held"], len(await room.records("hold")))


async def test_what_cannot_be_told_is_not_held(room: Room, passes: Passes) -> None:
    """
    A stream that is ahead of the counter takes no event, so there is no hold and the books stay.
    """
    await room.valkey.call("XADD", room.keys.outbox(room.keys.partition_of(SLOT)), "1-9999", "type", "strange")
    before = await _books(room)

    (outcome,) = await _decided(passes, ask())

    assert isinstance(outcome, Permanent)
    assert ([], before) == (await room.records("hold"), await _books(room))


async def test_decisions_of_a_partition_are_numbered_one_after_the_other(room: Room, passes: Passes) -> None:
    """
    Two in one pass, one in the next: a number each, without a gap, in the order of the asks.
    """
    asked = [ask(), ask(), ask()]
    held = [*await _decided(passes, *asked[:2])]
    await room.holds.apply([plan(SLOT, version=2, capacity=3)])
    held += await _decided(passes, asked[2])

    entries = await room.outbox.after({room.keys.partition_of(SLOT): START})
    assert [Held] * 3 == [type(one) for one in held]
    assert list(range(1, 7)) == [entry.position.seq for entry in entries]
    told = [entry.fields[b"held"].decode() for entry in entries if b"type" not in entry.fields]
    assert [one.reservation_id for one in asked] == told
    # Whoever has been told the first of an entry is told the others.
    rest = await room.outbox.after({room.keys.partition_of(SLOT): Position(1, 3)})
    assert entries[3:] == rest


async def test_a_place_that_came_back_is_sold_once(room: Room, passes: Passes) -> None:
    """
    Both came back; each is had by one family, and then there is nothing.
    """
    first, second = ask(), ask()
    await _decided(passes, first, second)
    for one in (first, second):
        await room.holds.resolve([room.holds.release_call(one.slot_id, one.reservation_id, reason="expired")])
    for seat in (1, 2):
        await room.valkey.call("ZADD", room.keys.returned(SLOT), 1, seat)

    sold = [outcome for _ in range(3) for outcome in await _decided(passes, ask())]

    assert [(1,), (2,)] == [one.seats for one in sold if isinstance(one, Held)]
    assert Refused(why=Refusal.SOLD_OUT) == sold[2]


async def test_an_expiry_told_twice_gives_back_once_and_ends_the_reservation(room: Room, passes: Passes) -> None:
    """
    The second telling frees nothing more, and the ended reservation is not held again.
    """
    asked, other = ask(), ask()
    await _decided(passes, asked, other)
    for _ in range(2):
        await Following(room.holds, room.claims).bookings([said(BookingExpired, asked)])
    (again,) = await _decided(passes, asked)

    books = await _books(room)
    assert (1, 1, 0) == (books["free"], books["held"], books["confirmed"])
    assert Refused(why=Refusal.ENDED) == again
    states = {record["reservation_id"]: record["state"] for record in await room.records("hold")}
    assert {asked.reservation_id: HoldState.RELEASED, other.reservation_id: HoldState.HELD} == states


@pytest.mark.parametrize("counter", ["held", "confirmed", "withheld"])
async def test_a_place_too_many_in_the_books_sells_nothing(room: Room, passes: Passes, counter: str) -> None:
    """
    More places in use than there are: whichever counter it is, nothing is sold.
    """
    await room.tamper(SLOT, **{counter: 1})

    assert [Refused(why=Refusal.UNBALANCED)] == await _decided(passes, ask())
    assert [] == await room.records("hold")


async def test_a_returned_number_that_is_missing_stops_every_write_to_its_slot(room: Room, passes: Passes) -> None:
    """
    Fewer numbers came back than the books say: nothing more is booked there until somebody has looked.
    """
    first, second = ask(), ask()
    await _decided(passes, first, second)
    await room.holds.resolve([room.holds.release_call(SLOT, first.reservation_id, reason="expired")])
    await room.valkey.call("DEL", room.keys.returned(SLOT))
    before = await _books(room)

    with pytest.raises(Permanent, match=SLOT):
        await Following(room.holds, room.claims).bookings([said(BookingExpired, second)])

    assert before == await _books(room)


async def test_a_number_too_many_among_the_returned_sells_nothing(room: Room, passes: Passes) -> None:
    """
    More numbers came back than the books say, so one of them may be in use: none is sold, and nothing is written.
    """
    first, second = ask(), ask()
    await _decided(passes, first, second)
    await room.holds.resolve([room.holds.release_call(SLOT, first.reservation_id, reason="expired")])
    for seat in (1, 2):
        await room.valkey.call("ZADD", room.keys.returned(SLOT), 1, seat)
    before = await _books(room), await room.records("hold")

    assert [Refused(why=Refusal.UNBALANCED)] * 2 == await _decided(passes, ask(), ask())
    assert before == (await _books(room), await room.records("hold"))


async def test_an_older_plan_changes_nothing(room: Room) -> None:
    """
    Plans may arrive twice and out of order: the newest stands.
    """
    await room.holds.apply([plan(SLOT, version=5, capacity=7), plan(SLOT, version=3, capacity=1)])

    assert 7 == (await _books(room))["capacity"]


async def test_a_rebuild_that_another_has_overtaken_opens_nothing(room: Room) -> None:
    """
    The partition waits for the rebuild whose mark it bears.
    """
    partition = room.keys.partition_of(SLOT)
    own = room.keys.outbox, room.keys.position, room.keys.stopped, room.keys.cleared
    keys = [spell(partition) for spell in own]
    await room.valkey.call("SET", room.keys.stopped(partition), "newer")

    call = ScriptCall(SCRIPTS["reopen"], keys, ["older", 1, msgspec.msgpack.encode([])])
    code, *_ = await room.valkey.run(call)

    assert (-1, b"newer") == (code, await room.valkey.call("GET", room.keys.stopped(partition)))


async def test_a_refusal_in_three_steps_takes_its_claim_back(room: Room) -> None:
    """
    Nothing of a family that was told "sold out" is left behind.
    """
    outcomes = await _decided(room.stepped, ask(FULL), ask(FULL))

    assert [Refused(why=Refusal.SOLD_OUT)] * 2 == outcomes
    assert [] == [record["claimed_for"] for record in await room.records("claim")]


async def test_the_word_of_a_sold_out_slot_names_who_has_places_and_lasts_a_second_at_most(
    room: Room, passes: Passes
) -> None:
    """
    A worker that refuses by itself lets holders through, and asks again before a place may be had.
    """
    holder, late = ask(persons=2), ask()
    await _decided(passes, holder)
    _, (full,) = await passes.decide([late])
    gate = Gate()
    gate.close(full.slot_id, full.offered, full.takers, until=full.for_seconds)

    assert (0, True) == (full.offered, 0 < full.for_seconds <= 1)
    assert (True, False) == (gate.refuses(late, 0), gate.refuses(holder, 0))


async def test_the_word_of_a_sold_out_slot_ends_when_a_place_may_be_had(room: Room, passes: Passes) -> None:
    """
    A place that waits for less than the word would last ends it.
    """
    holder = ask(persons=2)
    await _decided(passes, holder)
    soon = Offer(after_ms=900)
    await room.holds.resolve([room.holds.release_call(SLOT, holder.reservation_id, reason="expired", offer=soon)])

    _, (full,) = await passes.decide([ask()])

    assert (0, True) == (full.offered, full.for_seconds <= 0.9)
