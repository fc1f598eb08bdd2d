"""
Places booking wants: all or none, in its order, once; and an account that is handed over only for places.
"""

from typing import Any

import pytest

from contracts.events import (
    BookingCancelled,
    BookingConfirmed,
    BookingExpired,
    BookingRescheduled,
    PlacesRefused,
    PlacesWanted,
    QuotaEvent,
    ReservationHeld,
    ReservationReleased,
)
from kernel.clock import now_ms
from kernel.errors import Permanent, Retryable
from services.quota.domain.decisions import Ask, Held, Refusal, Refused
from services.quota.domain.records import claims_record
from services.quota.domain.returning import Offer
from services.quota.domain.wishes import Answer, Became
from services.quota.use_cases.following import Following
from services.quota.use_cases.wishing import Wishing
from tests.integration.quota_room import HOUR_MS, SLOT, Room, ask, heard, plan, room_of, said, wish

pytestmark = pytest.mark.cluster
LATER = "bandung.20261201.morning.regular.online"
ELSEWHERE = "makassar.20261130.morning.regular.online"
FULL = "makassar.20261201.morning.regular.online"


@pytest.fixture
async def room(valkey: Any) -> Room:
    """
    Three slots of ten places in two offices, and one of none.
    """
    opened = room_of(valkey)
    await opened.holds.apply([plan(SLOT), plan(LATER), plan(ELSEWHERE), plan(FULL, capacity=0)])
    return opened


async def _decide(room: Room, one: PlacesWanted) -> Answer:
    (answer,) = await room.wishes.decide([one])
    assert isinstance(answer, Answer)
    return answer


async def _tell(room: Room, *events: PlacesWanted) -> None:
    await Wishing(room.wishes).wanted([heard(event) for event in events])


async def _told_of(room: Room, booking_id: str, *slot_ids: str) -> list[QuotaEvent]:
    told = {
        (event.partition, event.seq): event
        for slot_id in slot_ids
        for event in await room.told(slot_id)
        if getattr(event, "reservation_id", None) == booking_id
    }
    return list(told.values())


async def _claims(room: Room, account_id: str) -> tuple[str | None, str | None]:
    """Who has the account, and who waits to inherit it."""
    found = await room.valkey.call("GET", room.keys.claims(account_id))
    if found is None:
        return None, None
    record = claims_record(found)
    return record.account and record.account.reservation_id, record.heir and record.heir.reservation_id


async def _books(room: Room, slot_id: str) -> tuple[int, int, int]:
    (books,) = await room.ledger.books([slot_id])
    assert books["capacity"] == sum(books[name] for name in ("free", "held", "confirmed", "withheld"))
    return books["free"], books["held"], books["confirmed"]


async def _reserved(room: Room, slot_id: str = SLOT, *, persons: int = 1) -> Ask:
    asked = ask(slot_id, persons=persons)
    assert isinstance(await room.decider.decide(asked), Held)
    await Following(room.holds, room.claims).bookings([said(BookingConfirmed, asked, **PAID)])
    return asked


PAID = {"ntpn": "N", "amount_rupiah": 1, "paid_at_ms": 1}


def _in_its_place(asked: Ask, *slot_ids: str, **changes: Any) -> PlacesWanted:
    return wish(
        *slot_ids,
        account_id=asked.account_id,
        person_ids=asked.person_ids,
        replaces=asked.reservation_id,
        why="reschedule",
        **changes,
    )


async def test_a_wish_is_a_hold_like_any_other(room: Room) -> None:
    """
    The places are neighbours, the stream tells the hold, the deadline is the wish's, the account is taken.
    """
    one = wish(SLOT, persons=3, pay_by_ms=1234)
    await _tell(room, one)
    (told,) = await _told_of(room, one.booking_id, SLOT)

    assert isinstance(told, ReservationHeld)
    assert (one.account_id, one.person_ids, SLOT) == (told.account_id, told.person_ids, told.slot_id)
    assert ((1, 2, 3), 1234) == (told.seats, told.pay_by_ms)
    assert (7, 3, 0) == await _books(room, SLOT)
    assert (one.booking_id, None) == await _claims(room, one.account_id)
    shown = await room.holds.of_account(one.account_id, one.booking_id)
    assert shown is not None
    assert (1, 2, 3) == shown.seats


async def test_a_wish_told_again_takes_nothing_and_says_nothing(room: Room) -> None:
    """
    In one batch, in another, and after its time: one hold, one event, the same account.
    """
    one = wish(SLOT, persons=2)
    await room.wishes.decide([one, one])
    await _tell(room, one, one)
    late = await _decide(room, wish(account_id=one.account_id, booking_id=one.booking_id, persons=2, good_until_ms=1))

    assert (Became.HELD_BEFORE, SLOT) == (late.became, late.slot_id)
    assert 1 == len(await _told_of(room, one.booking_id, SLOT))
    assert (8, 2, 0) == await _books(room, SLOT)
    assert (one.booking_id, None) == await _claims(room, one.account_id)


async def test_slots_are_tried_in_their_order_across_offices(room: Room) -> None:
    """
    A family too large for the first goes on, whole, and to no third.
    """
    await room.holds.apply([plan(SLOT, version=2, capacity=2)])
    one = wish(FULL, SLOT, LATER, ELSEWHERE, persons=3)
    answer = await _decide(room, one)

    assert (Became.HELD, LATER) == (answer.became, answer.slot_id)
    assert (2, 0, 0) == await _books(room, SLOT)
    assert (10, 0, 0) == await _books(room, ELSEWHERE)
    assert [ReservationHeld] == [type(event) for event in await _told_of(room, one.booking_id, SLOT, FULL)]


async def test_what_a_partition_has_passed_over_stays_passed_over(room: Room) -> None:
    """
    Room that comes in the first office between two tellings does not give a second place.
    """
    one = wish(FULL, SLOT)
    first = await _decide(room, one)
    await room.holds.apply([plan(FULL, version=2, capacity=5)])
    again = await _decide(room, one)

    assert [(Became.HELD, SLOT), (Became.HELD_BEFORE, SLOT)] == [
        (first.became, first.slot_id),
        (again.became, again.slot_id),
    ]
    assert (5, 0, 0) == await _books(room, FULL)


async def test_a_wish_comes_back_to_an_office_where_its_order_says_so(room: Room) -> None:
    """
    Being passed over is about the slots that were tried, not about the office.
    """
    await room.holds.apply([plan(SLOT, version=2, capacity=0)])
    answer = await _decide(room, wish(SLOT, FULL, LATER))

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
    first = await _decide(room, one)
    await room.holds.apply([plan(slot_id, version=3, capacity=5) for slot_id in slot_ids])
    again = await _decide(room, one)
    told = await _told_of(room, one.booking_id, SLOT, FULL)

    assert [(Became.REFUSED, reason), (Became.REFUSED_BEFORE, "")] == [
        (first.became, first.why),
        (again.became, again.why),
    ]
    assert [(PlacesRefused, slot_ids[-1])] == [(type(event), event.slot_id) for event in told]
    assert [(one.account_id, reason)] == [
        (event.account_id, event.reason) for event in told if isinstance(event, PlacesRefused)
    ]
    assert (None, None) == await _claims(room, one.account_id)
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

    assert Became.HELD is (await _decide(room, wish(SLOT))).became


async def test_places_of_another_channel_are_had(room: Room) -> None:
    """
    Priority and walk-in places have slots of their own, which nobody can reserve by himself.
    """
    slot_id = "bandung.20261130.morning.regular.walkin"
    await room.holds.apply([plan(slot_id)])

    assert Became.HELD is (await _decide(room, wish(slot_id))).became
    assert Refused(why=Refusal.CHANNEL_NOT_PUBLIC) == await room.decider.decide(ask(slot_id))


async def test_a_place_that_waits_to_be_offered_is_had_at_once(room: Room) -> None:
    """
    What one family gave up an instant ago is another's by wish, while the public still waits for it.
    """
    await room.holds.apply([plan(SLOT, version=2, capacity=1)])
    asked = await _reserved(room)
    offer = Offer(after_ms=HOUR_MS)
    await room.holds.resolve([room.holds.release_call(SLOT, asked.reservation_id, reason="cancelled", offer=offer)])
    public = await room.decider.decide(ask(SLOT))
    answer = await _decide(room, wish(SLOT))

    assert Refused(why=Refusal.SOLD_OUT) == public
    assert Became.HELD is answer.became
    assert (0, 1, 0) == await _books(room, SLOT)


async def test_numbers_asked_for_are_had_if_they_are_free(room: Room) -> None:
    """
    Beyond those given out so far as well: what is left out below goes on offer.
    """
    first = wish(SLOT, LATER, persons=2, seats=(7, 4))
    await _tell(room, first)
    (told,) = await _told_of(room, first.booking_id, SLOT)
    second = wish(SLOT, persons=2, seats=(7, 8))
    await _tell(room, second)
    (other,) = await _told_of(room, second.booking_id, SLOT)
    (slot,) = [record for record in await room.records("slot") if record["slot_id"] == SLOT]
    third = await room.decider.decide(ask(SLOT, persons=3))

    assert isinstance(told, ReservationHeld)
    assert (4, 7) == told.seats
    assert isinstance(other, ReservationHeld)
    assert (1, 2) == other.seats
    assert ([3, 5, 6], 8, 6) == (slot["returned"], slot["next_seat"], slot["free"])
    assert isinstance(third, Held)
    assert (8, 9, 10) == third.seats


async def test_a_move_hands_the_account_over_and_the_old_places_go_back(room: Room) -> None:
    """
    New first, then the old; the old reservation's end does not touch the account any more.
    """
    asked = await _reserved(room, persons=2)
    one = _in_its_place(asked, ELSEWHERE)
    await _tell(room, one)
    both = await _books(room, SLOT), await _books(room, ELSEWHERE)
    await Following(room.holds, room.claims).bookings(
        [said(BookingRescheduled, asked, moved_to=one.booking_id, reason="reschedule")] * 2
    )
    again = await room.decider.decide(ask(LATER, account_id=asked.account_id, key="key-00000002"))
    released = [event for event in await room.told(SLOT) if isinstance(event, ReservationReleased)]

    assert ((8, 0, 2), (8, 2, 0)) == both
    assert (10, 0, 0) == await _books(room, SLOT)
    assert [(asked.reservation_id, "rescheduled")] == [(event.reservation_id, event.reason) for event in released]
    assert (one.booking_id, None) == await _claims(room, asked.account_id)
    assert Refused(why=Refusal.ACCOUNT_ALREADY_RESERVED, who=one.booking_id) == again


async def test_a_move_that_is_refused_leaves_the_account_where_it_was(room: Room) -> None:
    """
    Nothing is given up for places that are not there.
    """
    asked = await _reserved(room)
    one = _in_its_place(asked, FULL)
    answer = await _decide(room, one)

    assert Became.REFUSED is answer.became
    assert (asked.reservation_id, None) == await _claims(room, asked.account_id)
    assert (9, 0, 1) == await _books(room, SLOT)


async def test_an_account_with_another_reservation_is_refused(room: Room) -> None:
    """
    A wish replaces what it names and nothing else.
    """
    asked = await _reserved(room)
    beside = wish(ELSEWHERE, account_id=asked.account_id)
    instead = wish(ELSEWHERE, account_id=asked.account_id, replaces="rsv_other")
    answers = [await _decide(room, beside), await _decide(room, instead)]

    assert ["account_already_reserved"] * 2 == [answer.why for answer in answers]
    assert (asked.reservation_id, None) == await _claims(room, asked.account_id)
    assert [PlacesRefused] == [type(event) for event in await _told_of(room, beside.booking_id, ELSEWHERE)]


async def test_a_person_another_reservation_has_is_refused(room: Room) -> None:
    """
    Unless it is the one that is replaced.
    """
    one, moved = wish(SLOT, replaces="rsv_old"), wish(SLOT, replaces="rsv_old")
    await room.block(ask(account_id=one.account_id), **{one.person_ids[0]: "rsv_other"})
    await room.block(ask(account_id=moved.account_id), **{moved.person_ids[0]: "rsv_old"})

    assert "person_already_reserved" == (await _decide(room, one)).why
    assert Became.HELD is (await _decide(room, moved)).became


@pytest.mark.parametrize(("why", "became"), [("waitlist", Became.REFUSED), ("assisted", Became.HELD)])
async def test_a_block_stands_in_the_way_of_the_waiting_list_alone(room: Room, why: str, became: Became) -> None:
    """
    An officer sees whom he seats; the waiting list does not.
    """
    one = wish(SLOT, why=why)
    await room.block(ask(account_id=one.account_id), **{one.person_ids[0]: "block:99999999999999:rsv_x"})

    assert became is (await _decide(room, one)).became


async def test_a_crash_after_any_step_is_completed_by_the_next_telling(room: Room) -> None:
    """
    The claim waits beside the active one, the places wait for their claim; told again, both come together.
    """
    asked = await _reserved(room)
    after_claim, after_places = _in_its_place(asked, LATER), _in_its_place(await _reserved(room), LATER)
    await room.wishes.claim([after_claim, after_places])
    waiting = await _claims(room, asked.account_id)
    await room.wishes.take([(after_places, "")])
    half = await _claims(room, after_places.account_id)
    await _tell(room, after_claim, after_places)

    assert (asked.reservation_id, after_claim.booking_id) == waiting
    assert (after_places.replaces, after_places.booking_id) == half
    for one in (after_claim, after_places):
        assert (one.booking_id, None) == await _claims(room, one.account_id)
        assert 1 == len(await _told_of(room, one.booking_id, LATER))
    assert (8, 2, 0) == await _books(room, LATER)


async def test_a_claim_that_comes_too_late_for_its_places_is_given_back(room: Room) -> None:
    """
    A crash after the first step, and a next telling after its time: refused, and the account is free.
    """
    one = wish(SLOT)
    await room.wishes.claim([one])
    late = wish(SLOT, account_id=one.account_id, booking_id=one.booking_id, good_until_ms=1)
    answer = await _decide(room, late)

    assert (Became.REFUSED, "too_late") == (answer.became, answer.why)
    assert (None, None) == await _claims(room, one.account_id)
    assert (10, 0, 0) == await _books(room, SLOT)


async def test_nobody_gets_in_between_while_a_move_is_undecided(room: Room) -> None:
    """
    Where the old reservation ends between the steps, the wish inherits the account at once.
    """
    asked = await _reserved(room)
    one = _in_its_place(asked, LATER)
    await room.wishes.claim([one])
    await Following(room.holds, room.claims).bookings([said(BookingCancelled, asked, reason="cancelled")])
    inherited = await _claims(room, asked.account_id)
    other = await room.decider.decide(ask(ELSEWHERE, account_id=asked.account_id, key="key-00000002"))
    await _tell(room, one)

    assert (one.booking_id, None) == inherited == await _claims(room, asked.account_id)
    assert Refused(why=Refusal.ACCOUNT_ALREADY_RESERVED, who=one.booking_id) == other
    assert (9, 1, 0) == await _books(room, LATER)


async def test_a_second_wish_for_the_same_booking_waits_in_vain(room: Room) -> None:
    """
    While one is undecided no other inherits.
    """
    asked = await _reserved(room)
    first, second = _in_its_place(asked, LATER), _in_its_place(asked, ELSEWHERE)
    await room.wishes.claim([first])
    answer = await _decide(room, second)
    await _tell(room, first)

    assert "account_already_reserved" == answer.why
    assert (first.booking_id, None) == await _claims(room, asked.account_id)


async def test_a_wish_whose_places_went_back_takes_nothing_when_it_is_told_again(room: Room) -> None:
    """
    It ended: the account is free for others and stays so, whatever was reserved and ended since.
    """
    one = wish(SLOT)
    await _tell(room, one)
    mine = ask(SLOT, account_id=one.account_id)
    ended = Ask(
        reservation_id=one.booking_id, account_id=one.account_id, slot_id=SLOT, person_ids=one.person_ids, key=""
    )
    following = Following(room.holds, room.claims)
    await following.bookings([said(BookingExpired, ended)])
    at_once = await _decide(room, one)
    await room.decider.decide(mine)
    await following.bookings([said(BookingExpired, mine)])
    later = await _decide(room, one)

    assert [Became.ENDED] * 2 == [at_once.became, later.became]
    assert (None, None) == await _claims(room, one.account_id)
    assert (10, 0, 0) == await _books(room, SLOT)


async def test_a_stopped_partition_keeps_a_wish_waiting(room: Room) -> None:
    """
    It is neither had nor refused before the rebuild, and has its places afterwards.
    """
    one = wish(SLOT)
    seq = room.keys.seq(room.keys.partition_of(SLOT))
    await room.valkey.call("HSET", seq, "stopped", "1")
    with pytest.raises(Retryable):
        await _tell(room, one)
    await room.valkey.call("HDEL", seq, "stopped")
    await _tell(room, one)

    assert (9, 1, 0) == await _books(room, SLOT)
    assert 1 == len(await _told_of(room, one.booking_id, SLOT))


async def test_books_that_do_not_add_up_are_passed_over_unchanged(room: Room) -> None:
    """
    Nothing is written into them; the next slot has places.
    """
    await room.tamper(SLOT, held=1)
    answer = await _decide(room, wish(SLOT, LATER))

    assert (Became.HELD, LATER) == (answer.became, answer.slot_id)


async def test_a_key_that_is_no_hold_spoils_one_wish_alone(room: Room) -> None:
    """
    It is named, and its neighbours have their places.
    """
    spoiled, fine = wish(SLOT), wish(SLOT)
    await room.valkey.call("SET", room.keys.hold(SLOT, spoiled.booking_id), "nonsense")
    with pytest.raises(Permanent, match=spoiled.booking_id):
        await _tell(room, spoiled, fine)

    assert 1 == len(await _told_of(room, fine.booking_id, SLOT))


async def test_a_moved_booking_whose_numbers_are_anothers_does_not_give_them_back(room: Room) -> None:
    """
    A hold that was displaced was never confirmed: its numbers stay off offer until a rebuild.
    """
    asked = ask(SLOT)
    await room.decider.decide(asked)
    await Following(room.holds, room.claims).bookings(
        [said(BookingRescheduled, asked, moved_to="rsv_new", reason="reseat")]
    )

    assert (9, 1, 0) == await _books(room, SLOT)
    assert (None, None) == await _claims(room, asked.account_id)
