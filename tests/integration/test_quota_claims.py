"""
One active reservation per account and person, whatever crashes or comes twice.
"""

import asyncio
from typing import Any

import msgspec
import pytest

from contracts.events import BookingCancelled, BookingConfirmed, BookingDisplaced, BookingExpired
from kernel.errors import Permanent
from services.quota.domain.decisions import Ask, Held, HoldState, Outcome, Refusal, Refused
from services.quota.stores.steps import CLAIM_GOOD_FOR_MS
from services.quota.use_cases.following import Following
from services.quota.use_cases.looking_after import Sweep, Watch
from tests.integration.quota_room import SLOT, Room, ask, heard, plan, room_of, said

pytestmark = pytest.mark.cluster
ELSEWHERE = "makassar.20261130.morning.regular.online"


@pytest.fixture
async def room(valkey: Any) -> Room:
    """
    Two slots in two offices, ten places each.
    """
    opened = room_of(valkey)
    await opened.holds.apply([plan(SLOT), plan(ELSEWHERE)])
    return opened


async def _claimed(room: Room) -> dict[str, str | None]:
    return {record["account_id"]: record["claimed_for"] for record in await room.records("claim")}


async def test_an_account_that_asks_for_two_slots_at_once_gets_one(room: Room) -> None:
    """
    Twenty accounts ask for places in two offices at the same moment: each gets exactly one.
    """
    pairs = [
        (ask(SLOT, account_id=f"acc_{number}", key="key-one-0001"), ask(ELSEWHERE, account_id=f"acc_{number}"))
        for number in range(10)
    ]

    decisions = await asyncio.gather(*(room.decider.decide(one) for pair in pairs for one in pair))

    for first, second in zip(decisions[::2], decisions[1::2], strict=True):
        assert {True, False} == {isinstance(first, Held), isinstance(second, Held)}
        refused = first if isinstance(first, Refused) else second
        assert isinstance(refused, Refused)
        assert Refusal.ACCOUNT_ALREADY_RESERVED is refused.why
    assert len(pairs) == len(await room.records("hold"))


async def test_a_double_click_gets_the_same_places(room: Room) -> None:
    """
    The same request ten times at once takes places once.
    """
    asked = ask(persons=3)

    decisions = await asyncio.gather(*(room.decider.decide(asked) for _ in range(10)))

    assert {(1, 2, 3)} == {decision.seats for decision in decisions if isinstance(decision, Held)}
    assert [False, *[True] * 9] == sorted(decision.replayed for decision in decisions if isinstance(decision, Held))


async def test_the_same_key_for_another_slot_is_refused(room: Room) -> None:
    """
    A key stands for one request, while its reservation is active and after it has ended.
    """
    asked = ask(SLOT, account_id="acc_1")
    other = ask(ELSEWHERE, account_id="acc_1")
    await room.decider.decide(asked)
    active = await room.decider.decide(other)
    await Following(room.holds, room.claims).bookings([said(BookingExpired, asked)])
    ended = await room.decider.decide(other)

    assert [Refused(why=Refusal.KEY_REUSED)] * 2 == [active, ended]


async def test_a_person_of_another_claim_is_not_reserved_twice(room: Room) -> None:
    """
    A person left over in the account's claims by another reservation stands in the way.
    """
    asked = ask(persons=2)
    await room.block(asked, **{asked.person_ids[1]: "rsv_other"})

    decision = await room.decider.decide(asked)

    assert Refused(why=Refusal.PERSON_ALREADY_RESERVED, who=asked.person_ids[1]) == decision
    assert [] == await room.records("hold")


async def test_a_no_show_block_ends_by_itself(room: Room) -> None:
    """
    A block with an end date refuses until then, and not a moment longer.
    """
    asked = ask()
    (person,) = asked.person_ids
    await room.block(asked, **{person: "block:99999999999999"})
    blocked = await room.decider.decide(asked)
    await room.block(asked, **{person: "block:1000"})
    free_again = await room.decider.decide(asked)

    assert Refused(why=Refusal.NO_SHOW_BLOCK, who=asked.person_ids[0], at_ms=99999999999999) == blocked
    assert isinstance(free_again, Held)


async def test_a_refusal_leaves_no_claim(room: Room) -> None:
    """
    Who was told "sold out" may ask elsewhere at once.
    """
    await room.holds.apply([plan(SLOT, version=2, capacity=0)])
    refused = await room.decider.decide(ask(SLOT, account_id="acc_1"))
    elsewhere = await room.decider.decide(ask(ELSEWHERE, account_id="acc_1", key="key-00000002"))

    assert Refused(why=Refusal.SOLD_OUT) == refused
    assert isinstance(elsewhere, Held)


async def test_a_refused_twin_does_not_undo_a_granted_one(room: Room) -> None:
    """
    Of two entries of one reservation the first is refused, the second granted: the claim stays.
    """
    asked = ask()
    await room.holds.apply([plan(SLOT, version=2, capacity=0)])
    first, second = await room.claim(asked), await room.claim(asked)
    refused = await room.reserve(asked, first)
    await room.holds.apply([plan(SLOT, version=3, capacity=1)])
    granted = await room.reserve(asked, second)
    await room.stepped.unclaim([(asked, first, False)])

    assert (True, True) == (isinstance(refused, Refused), isinstance(granted, Held))
    assert {asked.account_id: asked.reservation_id} == await _claimed(room)


async def test_a_claim_whose_request_died_is_entered_again_or_swept(room: Room) -> None:
    """
    After a crash between claim and reserve the same id goes on; another has to wait for the sweep.
    """
    dead, again = ask(account_id="acc_1"), ask(account_id="acc_2")
    for one in (dead, again):
        await room.claim(one)
    entered_again = await room.decider.decide(again)
    before_sweep = await room.decider.decide(ask(ELSEWHERE, account_id="acc_1", key="key-00000002"))
    await Sweep(room.claims).turn(older_than_ms=60_000)
    too_young = await _claimed(room)
    await Sweep(room.claims).turn(older_than_ms=0)
    after_sweep = await room.decider.decide(ask(ELSEWHERE, account_id="acc_1", key="key-00000002"))

    assert isinstance(entered_again, Held)
    assert Refused(why=Refusal.ACCOUNT_ALREADY_RESERVED, who=dead.reservation_id) == before_sweep
    assert dead.reservation_id == too_young["acc_1"]
    assert isinstance(after_sweep, Held)
    assert again.reservation_id == (await _claimed(room))["acc_2"]


async def test_a_sweep_settles_what_has_a_hold(room: Room) -> None:
    """
    A claim with its hold is looked after once and stays; one whose hold has ended goes.
    """
    kept, ended = ask(), ask()
    await room.stepped.decide([kept, ended])
    await room.holds.resolve([room.holds.release_call(ended.slot_id, ended.reservation_id, reason="expired")])
    await Sweep(room.claims).turn(older_than_ms=0)
    _, left = await room.claims.left_pending(0)

    assert {} == left
    assert {kept.account_id: kept.reservation_id, ended.account_id: None} == await _claimed(room)


@pytest.mark.parametrize("decides", ["decider", "stepped"])
async def test_what_ended_before_the_last_one_is_still_said_to_have_ended(room: Room, decides: str) -> None:
    """
    An account on its third reservation asks for its first again, with the same body and another; a fourth is refused.
    """

    async def decided(asked: Ask) -> Outcome:
        if decides == "decider":
            return await room.decider.decide(asked)
        [outcome], _ = await room.stepped.decide([asked])
        return outcome

    first, second, third, fourth = (ask(SLOT, account_id="acc_1", key=f"key-{n}-0001") for n in range(4))
    for gone in (first, second):
        await decided(gone)
        await Following(room.holds, room.claims).bookings([said(BookingExpired, gone)])
    await decided(third)
    other_body = msgspec.structs.replace(first, person_ids=("per_other",))

    assert [
        Refused(why=Refusal.ENDED),
        Refused(why=Refusal.KEY_REUSED),
        Refused(why=Refusal.ACCOUNT_ALREADY_RESERVED, who=third.reservation_id),
    ] == [await decided(one) for one in (first, other_body, fourth)]
    assert {"acc_1": third.reservation_id} == await _claimed(room)


async def test_a_reservation_too_late_for_its_claim_takes_nothing(room: Room) -> None:
    """
    A call that was stuck until the sweep may have come by is refused, not granted without a claim.
    """
    asked = ask()
    claimed = await room.claim(asked)
    late = claimed._replace(at_ms=claimed.at_ms - CLAIM_GOOD_FOR_MS - 1)

    decision = await room.reserve(asked, late)

    assert Refused(why=Refusal.CLAIM_TOO_OLD) == decision
    assert [] == await room.records("hold")


async def test_booking_is_followed_in_order_and_twice_is_once(room: Room) -> None:
    """
    Confirmed, expired and cancelled take effect once however often they are told, and free the family.
    """
    paid, late, sorry = ask(persons=2), ask(persons=2), ask(persons=1)
    for one in (paid, late, sorry):
        await room.decider.decide(one)
    told = [
        said(BookingConfirmed, paid, ntpn="N", amount_rupiah=1, paid_at_ms=1),
        said(BookingExpired, late),
        said(BookingConfirmed, sorry, ntpn="N", amount_rupiah=1, paid_at_ms=1),
        said(BookingCancelled, sorry, reason="illness"),
        said(BookingExpired, ask()),
    ]
    for _ in range(2):
        await Following(room.holds, room.claims).bookings(told)

    holds = {record["reservation_id"]: record["state"] for record in await room.records("hold")}
    (books,) = [record for record in await room.records("slot") if record["slot_id"] == SLOT]
    assert {
        paid.reservation_id: HoldState.CONFIRMED,
        late.reservation_id: HoldState.RELEASED,
        sorry.reservation_id: HoldState.RELEASED,
    } == holds
    assert (8, 0, 2) == (books["free"], books["held"], books["confirmed"])
    assert [paid.reservation_id] == [claimed for claimed in (await _claimed(room)).values() if claimed]


async def test_numbers_that_are_anothers_are_not_offered_again(room: Room) -> None:
    """
    A hold displaced because its numbers are taken keeps them; one displaced for its people gives them back.
    """
    taken, busy = ask(), ask()
    for one in (taken, busy):
        await room.decider.decide(one)

    await Following(room.holds, room.claims).bookings(
        [said(BookingDisplaced, taken, reason="seat_taken"), said(BookingDisplaced, busy, reason="person_busy")]
    )

    states = {record["reservation_id"]: record["state"] for record in await room.records("hold")}
    assert {taken.reservation_id: "held", busy.reservation_id: "released"} == states
    assert {None} == set((await _claimed(room)).values())


async def test_books_that_do_not_add_up_are_never_written_to(room: Room) -> None:
    """
    A tampered slot sells nothing, follows nothing and is counted; its neighbour goes on.
    """
    held = ask()
    await room.decider.decide(held)
    await room.tamper(SLOT, free=10)
    before = await room.valkey.call("GET", room.keys.books(SLOT))

    refused = await room.decider.decide(ask())
    with pytest.raises(Permanent, match=SLOT):
        await Following(room.holds, room.claims).bookings([said(BookingExpired, held)])
    with pytest.raises(Permanent, match=SLOT):
        await Following(room.holds, room.claims).plans(
            [heard(plan(SLOT, version=9)), heard(plan(ELSEWHERE, version=2))]
        )
    await Watch(room.ledger, room.untold).turn()

    assert Refused(why=Refusal.UNBALANCED) == refused
    assert before == await room.valkey.call("GET", room.keys.books(SLOT))
    assert b"2" == await room.valkey.call("HGET", room.keys.slot(ELSEWHERE), "version")
    assert isinstance(await room.decider.decide(ask(ELSEWHERE)), Held)


async def test_plans_are_applied_after_valkey_has_forgotten_the_scripts(room: Room) -> None:
    """
    A restarted node knows no script: the batch is applied all the same.
    """
    await room.valkey.call("SCRIPT", "FLUSH")
    await room.holds.apply([plan(SLOT, version=2, capacity=3), plan(ELSEWHERE, version=2, capacity=4)])

    capacities = {record["slot_id"]: record["capacity"] for record in await room.records("slot")}
    assert {SLOT: 3, ELSEWHERE: 4} == capacities
