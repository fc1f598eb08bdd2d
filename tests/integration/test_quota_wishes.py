"""
Places booking wants: all or none, in its order, once, and a refusal that stays one.
"""

from typing import Any

import pytest

from contracts.events import (
    PlacesRefused,
    ReservationHeld,
)
from kernel.clock import now_ms
from kernel.errors import Permanent, Retryable
from services.quota.domain.decisions import Held, Refusal, Refused
from services.quota.domain.returning import Offer
from services.quota.domain.wishes import Became
from tests.integration.quota_room import HOUR_MS, SLOT, Room, ask, plan, room_of, wish
from tests.integration.quota_wishes import (
    ELSEWHERE,
    FULL,
    LATER,
    books_of,
    claims_on,
    decide,
    reserved,
    tell,
    told_of,
)

pytestmark = pytest.mark.cluster


@pytest.fixture
async def room(valkey: Any) -> Room:
    """
    Three slots of ten places in two offices, and one of none.
    """
    opened = room_of(valkey)
    await opened.holds.apply([plan(SLOT), plan(LATER), plan(ELSEWHERE), plan(FULL, capacity=0)])
    return opened


async def test_a_wish_is_a_hold_like_any_other(room: Room) -> None:
    """
    The places are neighbours, the stream tells the hold, the deadline is the wish's, the account is taken.
    """
    one = wish(SLOT, persons=3, pay_by_ms=1234)
    await tell(room, one)
    (told,) = await told_of(room, one.booking_id, SLOT)

    assert isinstance(told, ReservationHeld)
    assert (one.account_id, one.person_ids, SLOT) == (told.account_id, told.person_ids, told.slot_id)
    assert ((1, 2, 3), 1234) == (told.seats, told.pay_by_ms)
    assert (7, 3, 0) == await books_of(room, SLOT)
    assert (one.booking_id, None) == await claims_on(room, one.account_id)
    shown = await room.holds.of_account(one.account_id, one.booking_id)
    assert shown is not None
    assert (1, 2, 3) == shown.seats


async def test_a_wish_told_again_takes_nothing_and_says_nothing(room: Room) -> None:
    """
    In one batch, in another, and after its time: one hold, one event, the same account.
    """
    one = wish(SLOT, persons=2)
    await room.wishes.decide([one, one])
    await tell(room, one, one)
    late = await decide(room, wish(account_id=one.account_id, booking_id=one.booking_id, persons=2, good_until_ms=1))

    assert (Became.HELD_BEFORE, SLOT) == (late.became, late.slot_id)
    assert 1 == len(await told_of(room, one.booking_id, SLOT))
    assert (8, 2, 0) == await books_of(room, SLOT)
    assert (one.booking_id, None) == await claims_on(room, one.account_id)


async def test_slots_are_tried_in_their_order_across_offices(room: Room) -> None:
    """
    A family too large for the first goes on, whole, and to no third.
    """
    await room.holds.apply([plan(SLOT, version=2, capacity=2)])
    one = wish(FULL, SLOT, LATER, ELSEWHERE, persons=3)
    answer = await decide(room, one)

    assert (Became.HELD, LATER) == (answer.became, answer.slot_id)
    assert (2, 0, 0) == await books_of(room, SLOT)
    assert (10, 0, 0) == await books_of(room, ELSEWHERE)
    assert [ReservationHeld] == [type(event) for event in await told_of(room, one.booking_id, SLOT, FULL)]


async def test_what_a_partition_has_passed_over_stays_passed_over(room: Room) -> None:
    """
    Room that comes in the first office between two tellings does not give a second place.
    """
    one = wish(FULL, SLOT)
    first = await decide(room, one)
    await room.holds.apply([plan(FULL, version=2, capacity=5)])
    again = await decide(room, one)

    assert [(Became.HELD, SLOT), (Became.HELD_BEFORE, SLOT)] == [
        (first.became, first.slot_id),
        (again.became, again.slot_id),
    ]
    assert (5, 0, 0) == await books_of(room, FULL)


async def test_a_wish_comes_back_to_an_office_where_its_order_says_so(room: Room) -> None:
    """
    Being passed over is about the slots that were tried, not about the office.
    """
    await room.holds.apply([plan(SLOT, version=2, capacity=0)])
    answer = await decide(room, wish(SLOT, FULL, LATER))

    assert (Became.HELD, LATER) == (answer.became, answer.slot_id)


@pytest.mark.parametrize(
    ("slot_ids", "changes", "reason"),
    [
        ((FULL,), {}, "sold_out"),
        (("makassar.20261230.morning.regular.online",), {}, "unknown_slot"),
        ((FULL, SLOT), {"good_until_ms": 1}, "too_late"),
    ],
)
async def test_a_refusal_is_told_once_and_leaves_nothing(
    room: Room, slot_ids: tuple[str, ...], changes: dict[str, Any], reason: str
) -> None:
    """
    By the last slot's partition, under the wish's id; room that comes later changes nothing.
    """
    one = wish(*slot_ids, **changes)
    first = await decide(room, one)
    await room.holds.apply([plan(slot_id, version=3, capacity=5) for slot_id in slot_ids])
    again = await decide(room, one)
    told = await told_of(room, one.booking_id, SLOT, FULL)

    assert [(Became.REFUSED, reason), (Became.REFUSED_BEFORE, "")] == [
        (first.became, first.why),
        (again.became, again.why),
    ]
    assert [(PlacesRefused, slot_ids[-1])] == [(type(event), event.slot_id) for event in told]
    assert [(one.account_id, reason)] == [
        (event.account_id, event.reason) for event in told if isinstance(event, PlacesRefused)
    ]
    assert (None, None) == await claims_on(room, one.account_id)
    assert [] == await room.records("hold")


@pytest.mark.parametrize(
    "changes",
    [{"closed": True}, {"opens_at_ms": now_ms() + HOUR_MS}, {"closes_at_ms": now_ms() - HOUR_MS}],
    ids=["closed", "not open", "over"],
)
async def test_closing_and_window_do_not_matter_to_a_wish(room: Room, changes: dict[str, Any]) -> None:
    """
    The office seats whom it wants to seat.
    """
    await room.holds.apply([plan(SLOT, version=2, **changes)])

    assert Became.HELD is (await decide(room, wish(SLOT))).became


async def test_places_of_another_channel_are_had(room: Room) -> None:
    """
    Priority and walk-in places have slots of their own, which nobody can reserve by himself.
    """
    slot_id = "bandung.20261130.morning.regular.walk_in"
    await room.holds.apply([plan(slot_id)])

    assert Became.HELD is (await decide(room, wish(slot_id))).became
    assert Refused(why=Refusal.CHANNEL_NOT_PUBLIC) == await room.decider.decide(ask(slot_id))


async def test_a_place_that_waits_to_be_offered_is_had_at_once(room: Room) -> None:
    """
    What one family gave up an instant ago is another's by wish, while the public still waits for it.
    """
    await room.holds.apply([plan(SLOT, version=2, capacity=1)])
    asked = await reserved(room)
    offer = Offer(after_ms=HOUR_MS)
    await room.holds.resolve([room.holds.release_call(SLOT, asked.reservation_id, reason="cancelled", offer=offer)])
    public = await room.decider.decide(ask(SLOT))
    answer = await decide(room, wish(SLOT))

    assert Refused(why=Refusal.SOLD_OUT) == public
    assert Became.HELD is answer.became
    assert (0, 1, 0) == await books_of(room, SLOT)


async def test_numbers_asked_for_are_had_if_they_are_free(room: Room) -> None:
    """
    Beyond those given out so far as well: what is left out below goes on offer.
    """
    first = wish(SLOT, LATER, persons=2, seats=(7, 4))
    await tell(room, first)
    (told,) = await told_of(room, first.booking_id, SLOT)
    second = wish(SLOT, persons=2, seats=(7, 8))
    await tell(room, second)
    (other,) = await told_of(room, second.booking_id, SLOT)
    (slot,) = [record for record in await room.records("slot") if record["slot_id"] == SLOT]
    third = await room.decider.decide(ask(SLOT, persons=3))

    assert isinstance(told, ReservationHeld)
    assert (4, 7) == told.seats
    assert isinstance(other, ReservationHeld)
    assert (1, 2) == other.seats
    assert ([3, 5, 6], 8, 6) == (slot["returned"], slot["next_seat"], slot["free"])
    assert isinstance(third, Held)
    assert (8, 9, 10) == third.seats


async def test_a_stopped_partition_keeps_a_wish_waiting(room: Room) -> None:
    """
    It is neither had nor refused before the rebuild, and has its places afterwards.
    """
    one = wish(SLOT)
    stopped = room.keys.stopped(room.keys.partition_of(SLOT))
    await room.valkey.call("SET", stopped, "1")
    with pytest.raises(Retryable):
        await tell(room, one)
    await room.valkey.call("DEL", stopped)
    await tell(room, one)

    assert (9, 1, 0) == await books_of(room, SLOT)
    assert 1 == len(await told_of(room, one.booking_id, SLOT))


async def test_books_that_do_not_add_up_are_passed_over_unchanged(room: Room) -> None:
    """
    Nothing is written into them; the next slot has places.
    """
    await room.tamper(SLOT, held=1)
    answer = await decide(room, wish(SLOT, LATER))

    assert (Became.HELD, LATER) == (answer.became, answer.slot_id)


async def test_a_key_that_is_no_hold_spoils_one_wish_alone(room: Room) -> None:
    """
    It is named, and its neighbours have their places.
    """
    spoiled, fine = wish(SLOT), wish(SLOT)
    await room.valkey.call("SET", room.keys.hold(SLOT, spoiled.booking_id), "nonsense")
    with pytest.raises(Permanent, match=spoiled.booking_id):
        await tell(room, spoiled, fine)

    assert 1 == len(await told_of(room, fine.booking_id, SLOT))
