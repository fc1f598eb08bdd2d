"""
Whose an account is while booking wishes for it: it is handed over for places only, whatever crashes or comes twice.
"""

from typing import Any

import pytest

from contracts.events import (
    BookingCancelled,
    BookingExpired,
    BookingRescheduled,
    PlacesRefused,
    ReservationReleased,
)
from services.quota.domain.decisions import Ask, Refusal, Refused
from services.quota.domain.wishes import Became
from services.quota.use_cases.following import Following
from tests.integration.quota_room import SLOT, Room, ask, plan, room_of, said, wish
from tests.integration.quota_wishes import (
    ELSEWHERE,
    FULL,
    LATER,
    books_of,
    claims_on,
    decide,
    in_its_place,
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


async def test_a_move_hands_the_account_over_and_the_old_places_go_back(room: Room) -> None:
    """
    New first, then the old; the old reservation's end does not touch the account any more.
    """
    asked = await reserved(room, persons=2)
    one = in_its_place(asked, ELSEWHERE)
    await tell(room, one)
    both = await books_of(room, SLOT), await books_of(room, ELSEWHERE)
    await Following(room.holds, room.claims).bookings(
        [said(BookingRescheduled, asked, moved_to=one.booking_id, reason="reschedule")] * 2
    )
    again = await room.decider.decide(ask(LATER, account_id=asked.account_id, key="key-00000002"))
    released = [event for event in await room.told(SLOT) if isinstance(event, ReservationReleased)]

    assert ((8, 0, 2), (8, 2, 0)) == both
    assert (10, 0, 0) == await books_of(room, SLOT)
    assert [(asked.reservation_id, "rescheduled")] == [(event.reservation_id, event.reason) for event in released]
    assert (one.booking_id, None) == await claims_on(room, asked.account_id)
    assert Refused(why=Refusal.ACCOUNT_ALREADY_RESERVED, who=one.booking_id) == again


async def test_a_move_that_is_refused_leaves_the_account_where_it_was(room: Room) -> None:
    """
    Nothing is given up for places that are not there.
    """
    asked = await reserved(room)
    one = in_its_place(asked, FULL)
    answer = await decide(room, one)

    assert Became.REFUSED is answer.became
    assert (asked.reservation_id, None) == await claims_on(room, asked.account_id)
    assert (9, 0, 1) == await books_of(room, SLOT)


async def test_an_account_with_another_reservation_is_refused(room: Room) -> None:
    """
    A wish replaces what it names and nothing else.
    """
    asked = await reserved(room)
    beside = wish(ELSEWHERE, account_id=asked.account_id)
    instead = wish(ELSEWHERE, account_id=asked.account_id, replaces="rsv_other")
    answers = [await decide(room, beside), await decide(room, instead)]

    assert ["account_already_reserved"] * 2 == [answer.why for answer in answers]
    assert (asked.reservation_id, None) == await claims_on(room, asked.account_id)
    assert [PlacesRefused] == [type(event) for event in await told_of(room, beside.booking_id, ELSEWHERE)]


async def test_a_person_another_reservation_has_is_refused(room: Room) -> None:
    """
    Unless it is the one that is replaced.
    """
    one, moved = wish(SLOT, replaces="rsv_old"), wish(SLOT, replaces="rsv_old")
    await room.block(ask(account_id=one.account_id), **{one.person_ids[0]: "rsv_other"})
    await room.block(ask(account_id=moved.account_id), **{moved.person_ids[0]: "rsv_old"})

    assert "person_already_reserved" == (await decide(room, one)).why
    assert Became.HELD is (await decide(room, moved)).became


@pytest.mark.parametrize(("why", "became"), [("waitlist", Became.REFUSED), ("assisted", Became.HELD)])
async def test_a_block_stands_in_the_way_of_the_waiting_list_alone(room: Room, why: str, became: Became) -> None:
    """
    An officer sees whom he seats; the waiting list does not.
    """
    one = wish(SLOT, why=why)
    await room.block(ask(account_id=one.account_id), **{one.person_ids[0]: "block:99999999999999:rsv_x"})

    assert became is (await decide(room, one)).became


async def test_a_crash_after_any_step_is_completed_by_the_next_telling(room: Room) -> None:
    """
    The claim waits beside the active one, the places wait for their claim; told again, both come together.
    """
    asked = await reserved(room)
    after_claim, after_places = in_its_place(asked, LATER), in_its_place(await reserved(room), LATER)
    await room.wishes.claim([after_claim, after_places])
    waiting = await claims_on(room, asked.account_id)
    await room.wishes.take([(after_places, "")])
    half = await claims_on(room, after_places.account_id)
    await tell(room, after_claim, after_places)

    assert (asked.reservation_id, after_claim.booking_id) == waiting
    assert (after_places.replaces, after_places.booking_id) == half
    for one in (after_claim, after_places):
        assert (one.booking_id, None) == await claims_on(room, one.account_id)
        assert 1 == len(await told_of(room, one.booking_id, LATER))
    assert (8, 2, 0) == await books_of(room, LATER)


async def test_a_claim_that_comes_too_late_for_its_places_is_given_back(room: Room) -> None:
    """
    A crash after the first step, and a next telling after its time: refused, and the account is free.
    """
    one = wish(SLOT)
    await room.wishes.claim([one])
    late = wish(SLOT, account_id=one.account_id, booking_id=one.booking_id, good_until_ms=1)
    answer = await decide(room, late)

    assert (Became.REFUSED, "too_late") == (answer.became, answer.why)
    assert (None, None) == await claims_on(room, one.account_id)
    assert (10, 0, 0) == await books_of(room, SLOT)


async def test_nobody_gets_in_between_while_a_move_is_undecided(room: Room) -> None:
    """
    Where the old reservation ends between the steps, the wish inherits the account at once.
    """
    asked = await reserved(room)
    one = in_its_place(asked, LATER)
    await room.wishes.claim([one])
    await Following(room.holds, room.claims).bookings([said(BookingCancelled, asked, reason="cancelled")])
    inherited = await claims_on(room, asked.account_id)
    other = await room.decider.decide(ask(ELSEWHERE, account_id=asked.account_id, key="key-00000002"))
    await tell(room, one)

    assert (one.booking_id, None) == inherited == await claims_on(room, asked.account_id)
    assert Refused(why=Refusal.ACCOUNT_ALREADY_RESERVED, who=one.booking_id) == other
    assert (9, 1, 0) == await books_of(room, LATER)


async def test_a_second_wish_for_the_same_booking_waits_in_vain(room: Room) -> None:
    """
    While one is undecided no other inherits.
    """
    asked = await reserved(room)
    first, second = in_its_place(asked, LATER), in_its_place(asked, ELSEWHERE)
    await room.wishes.claim([first])
    answer = await decide(room, second)
    await tell(room, first)

    assert "account_already_reserved" == answer.why
    assert (first.booking_id, None) == await claims_on(room, asked.account_id)


async def test_a_wish_whose_places_went_back_takes_nothing_when_it_is_told_again(room: Room) -> None:
    """
    It ended: the account is free for others and stays so, whatever was reserved and ended since.
    """
    one = wish(SLOT)
    await tell(room, one)
    mine = ask(SLOT, account_id=one.account_id)
    ended = Ask(
        reservation_id=one.booking_id, account_id=one.account_id, slot_id=SLOT, person_ids=one.person_ids, key=""
    )
    following = Following(room.holds, room.claims)
    await following.bookings([said(BookingExpired, ended)])
    at_once = await decide(room, one)
    await room.decider.decide(mine)
    await following.bookings([said(BookingExpired, mine)])
    later = await decide(room, one)

    assert [Became.ENDED] * 2 == [at_once.became, later.became]
    assert (None, None) == await claims_on(room, one.account_id)
    assert (10, 0, 0) == await books_of(room, SLOT)


async def test_a_moved_booking_whose_numbers_are_anothers_does_not_give_them_back(room: Room) -> None:
    """
    A hold that was displaced was never confirmed: its numbers stay off offer until a rebuild.
    """
    asked = ask(SLOT)
    await room.decider.decide(asked)
    await Following(room.holds, room.claims).bookings(
        [said(BookingRescheduled, asked, moved_to="rsv_new", reason="reseat")]
    )

    assert (9, 1, 0) == await books_of(room, SLOT)
    assert (None, None) == await claims_on(room, asked.account_id)
