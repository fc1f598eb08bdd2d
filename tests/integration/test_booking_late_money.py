"""
Money for a booking without places: kept at once, seated anew if it was paid in time, else listed; never silent.
"""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from contracts.events import BookingConfirmed, BookingPaidNoSeat, BookingRescheduled
from services.booking.stores import moves
from services.booking.stores.moves import Unseated
from services.booking.use_cases.cancelling import cancel
from services.booking.use_cases.expiring import sweep
from services.booking.use_cases.wishing import remind
from tests.integration.booking_door import Client, booking_door, by
from tests.integration.booking_room import AMOUNT_RUPIAH, Room, booking_id, booking_room

SLOT = "SELECT date, session, service, channel, office_id FROM slot WHERE slot_id = $1"


@pytest.fixture
async def room(database: str) -> AsyncIterator[Room]:
    async with booking_room(database) as opened:
        opened.slot_id = next(slot for slot in await opened.slots() if slot.endswith(".midday.regular.online"))
        yield opened


@pytest.fixture
async def client(room: Room) -> AsyncIterator[Client]:
    async with booking_door(room) as opened:
        yield opened


async def _expired(room: Room, name: str, *, seats: tuple[int, ...] = (1,)) -> None:
    await room.record(room.held(name, seats=seats, pay_in_seconds=-1))
    await sweep(room.db, room.visits)


async def _listed(room: Room) -> list[Unseated]:
    async with room.db.connection() as connection:
        return await moves.read_unseated(connection, limit=100)


async def _choose(client: Client, body: dict[str, Any], *, account: str = "acc_1", key: str | None = None) -> Any:
    path = f"/v1/bookings/{booking_id('one')}/choice"
    answer = await client.post(path, json=body, headers=by(account, key=key))
    return answer.status, await answer.json()


async def test_a_payment_in_time_seeks_the_same_seats_then_the_same_day_then_the_next(room: Room) -> None:
    """
    Of the same office, service and channel, and only what is released and to come.
    """
    await _expired(room, "one", seats=(3, 4))
    await room.hear_payment(room.paid("one"))

    [wanted] = await room.wanted()
    assert ((3, 4), booking_id("one"), "reseat", room.slot_id) == (
        wanted.seats,
        wanted.replaces,
        wanted.why,
        wanted.slot_ids[0],
    )
    async with room.db.connection() as connection:
        slots = [tuple(await connection.fetchrow(SLOT, slot_id)) for slot_id in wanted.slot_ids]
    day = slots[0][0]
    assert [day] * 3 == [slot[0] for slot in slots[:3]]
    assert sorted(slot[0] for slot in slots) == [slot[0] for slot in slots]
    assert {("regular", "online", "bandung")} == {slot[2:] for slot in slots}
    assert ["midday", "morning", "afternoon"] * (len(slots) // 3) == [slot[1] for slot in slots]
    assert len(slots) > 3


async def test_held_again_the_money_has_its_places(room: Room) -> None:
    """
    A new booking is confirmed with that payment and the old one points to it; nothing is listed any more.
    """
    await _expired(room, "one", seats=(3, 4))
    await room.hear_payment(room.paid("one"))
    [wanted] = await room.wanted()
    await room.grant(wanted)

    moved = await room.event("one", BookingRescheduled)
    assert isinstance(moved, BookingRescheduled)
    assert ("rescheduled", wanted.booking_id, "paid_in_time") == (await room.state("one"), moved.moved_to, moved.reason)
    assert 1 == await room.count(
        "SELECT count(*) FROM booking WHERE booking_id = $1 AND state = 'confirmed' AND ntpn = $2 AND seats = '{3,4}'"
        " AND person_ids = (SELECT person_ids FROM booking WHERE booking_id = $3)",
        wanted.booking_id,
        "0000000000000001",
        booking_id("one"),
    )
    assert 1 == (await room.told()).count(BookingConfirmed.TYPE)
    assert [] == await _listed(room)


async def test_while_places_are_sought_the_money_is_seen_and_the_payment_is_kept(room: Room, client: Client) -> None:
    """
    By its payer, and on the list; the same payment again changes nothing.
    """
    await _expired(room, "one")
    await room.hear_payment(room.paid("one"))
    await room.hear_payment(room.paid("one"))
    shown = await (await client.get(f"/v1/bookings/{booking_id('one')}", headers=by("acc_1"))).json()

    assert ("expired", "0000000000000001") == (shown["state"], shown["ntpn"])
    assert shown["paid_without_seat_at"].endswith("+07:00")
    [listed] = await _listed(room)
    assert (booking_id("one"), AMOUNT_RUPIAH, True) == (listed.booking_id, listed.amount_rupiah, listed.sought)
    assert 1 == len(await room.wanted())


async def test_refused_it_is_paid_without_a_seat_and_told(room: Room) -> None:
    """
    It stays on the list until its payer has chosen.
    """
    await _expired(room, "one")
    await room.hear_payment(room.paid("one"))
    [wanted] = await room.wanted()
    await room.record(room.refuse(wanted.booking_id))

    told = await room.event("one", BookingPaidNoSeat)
    assert isinstance(told, BookingPaidNoSeat)
    assert ("paid_no_seat", "0000000000000001", AMOUNT_RUPIAH) == (
        await room.state("one"),
        told.ntpn,
        told.amount_rupiah,
    )
    assert [(booking_id("one"), False)] == [(each.booking_id, each.sought) for each in await _listed(room)]


async def test_places_that_turn_out_to_be_somebody_elses_list_the_money(room: Room) -> None:
    """
    The new booking is displaced by name, the old one is paid without a seat.
    """
    await _expired(room, "one", seats=(3,))
    await room.record(room.held("next", seats=(3,)))
    await room.hear_payment(room.paid("one"))
    [wanted] = await room.wanted()
    await room.grant(wanted, seats=(3,))

    assert ("paid_no_seat", "held") == (await room.state("one"), await room.state("next"))
    assert 1 == await room.count("SELECT count(*) FROM booking WHERE state = 'displaced' AND reason = 'seat_taken'")


async def test_a_payer_who_has_other_places_by_now_is_listed(room: Room) -> None:
    """
    One active booking per person: the later money waits for its payer's choice.
    """
    await _expired(room, "one", seats=(3,))
    await room.record(room.held("again", seats=(5,), persons=("per_one_3",)))
    await room.hear_payment(room.paid("one"))
    [wanted] = await room.wanted()
    await room.grant(wanted)

    assert ("paid_no_seat", "held") == (await room.state("one"), await room.state("again"))


@pytest.mark.parametrize("ended", ["expired", "cancelled", "displaced"])
@pytest.mark.parametrize("paid", ["in_time", "late"])
async def test_however_a_booking_ended_its_money_seeks_places_if_it_was_in_time(
    room: Room, ended: str, paid: str
) -> None:
    """
    After the deadline by the bank's clock it is listed at once, and quota is not asked.
    """
    if ended == "displaced":
        await room.record(room.held("first"))
    await room.record(room.held("one", pay_in_seconds=-1 if ended == "expired" else 600))
    if ended == "cancelled":
        async with room.db.transaction() as connection:
            await cancel(connection, booking_id("one"), account_id="acc_1", reason="other")
    await sweep(room.db, room.visits)
    assert ended == await room.state("one")
    await room.hear_payment(room.paid("one", late=paid == "late"))

    expected = ("paid_no_seat", 0) if paid == "late" else (ended, 1)
    assert expected == (await room.state("one"), len(await room.wanted()))
    assert [booking_id("one")] == [each.booking_id for each in await _listed(room)]


async def test_without_any_slot_to_come_the_money_is_listed_at_once(room: Room) -> None:
    """
    There is nothing to ask quota for.
    """
    await _expired(room, "one")
    async with room.db.connection() as connection:
        await connection.execute("UPDATE slot SET closed = true")
    await room.hear_payment(room.paid("one"))

    assert ("paid_no_seat", []) == (await room.state("one"), await room.wanted())


async def test_a_second_payment_for_the_same_booking_does_not_take_the_place_of_the_first(room: Room) -> None:
    """
    It is counted as a second one; the first keeps seeking.
    """
    await _expired(room, "one")
    await room.hear_payment(room.paid("one"), room.paid("one", ntpn="0000000000000002"))

    assert (["0000000000000001"], 1) == ([each.ntpn for each in await _listed(room)], len(await room.wanted()))


async def test_a_payer_without_a_seat_chooses_a_slot(room: Room, client: Client) -> None:
    """
    Also one whose window is still to open: he has waited already. Refused he may choose again.
    """
    await _expired(room, "one")
    await room.hear_payment(room.paid("one", late=True))
    chosen = next(each for each in reversed(await room.slots()) if each.endswith(".regular.online"))
    async with room.db.connection() as connection:
        await connection.execute(
            "UPDATE slot SET opens_at = now() + interval '1 day', closes_at = now() + interval '2 days'"
            " WHERE slot_id = $1",
            chosen,
        )
    first = await _choose(client, {"slot_id": chosen})
    await room.record(room.refuse((await room.wanted())[0].booking_id))
    assert "paid_no_seat" == await room.state("one")
    second = await _choose(client, {"slot_id": chosen}, key="key-of-second")
    await room.grant((await room.wanted())[1], seats=(8,))
    status, body = await _choose(client, {"slot_id": chosen}, key="key-of-second")

    assert (202, 202, 200, "confirmed", chosen) == (first[0], second[0], status, body["state"], body["slot_id"])
    assert ("rescheduled", []) == (await room.state("one"), await _listed(room))


async def test_a_payer_without_a_seat_takes_the_money_back(room: Room, client: Client) -> None:
    """
    It is recorded once; from then on there is nothing to choose, for the office either.
    """
    await _expired(room, "one")
    await room.hear_payment(room.paid("one", late=True))
    status, body = await _choose(client, {"refund": True})
    again = await _choose(client, {"refund": True})
    slot = await _choose(client, {"slot_id": room.slot_id})
    office = await client.post(
        f"/v1/offices/bandung/bookings/{booking_id('one')}/reschedule",
        json={"slot_id": room.slot_id, "reason": "r"},
        headers=by("o", roles=("officer:bandung",)),
    )

    assert (200, "paid_no_seat", body["refund_asked_at"]) == (status, body["state"], again[1]["refund_asked_at"])
    assert (409, "refund_chosen") == (slot[0], slot[1]["code"])
    assert (409, "refund_chosen") == (office.status, (await office.json())["code"])
    [listed] = await _listed(room)
    assert listed.refund_asked_at is not None


async def test_while_a_chosen_slot_is_asked_for_the_money_is_not_given_back(room: Room, client: Client) -> None:
    """
    Else one payment could become a place and a refund.
    """
    await _expired(room, "one")
    await room.hear_payment(room.paid("one", late=True))
    await _choose(client, {"slot_id": room.slot_id})
    status, body = await _choose(client, {"refund": True})

    assert (409, "move_under_way") == (status, body["code"])


@pytest.mark.parametrize("body", [{}, {"slot_id": "s", "refund": True}, {"slot_id": None, "refund": False}, {"x": 1}])
async def test_a_choice_is_one_of_two(room: Room, client: Client, body: dict[str, Any]) -> None:
    """
    A slot or the money, not both and not neither.
    """
    await _expired(room, "one")
    await room.hear_payment(room.paid("one", late=True))

    assert 400 == (await _choose(client, body))[0]


async def test_only_a_payer_without_a_seat_has_a_choice(room: Room, client: Client) -> None:
    """
    A booking with its places, or somebody else's, has none.
    """
    await room.record(room.held("one"))
    await room.hear_payment(room.paid("one"))
    own, foreign = await _choose(client, {"refund": True}), await _choose(client, {"refund": True}, account="acc_2")

    assert (409, "booking_not_movable", 404, "booking_not_found") == (*_coded(own), *_coded(foreign))


def _coded(answer: tuple[int, dict[str, Any]]) -> tuple[int, str]:
    return answer[0], answer[1]["code"]


async def test_the_office_seats_late_money_but_not_a_forfeited_fee(room: Room, client: Client) -> None:
    """
    Who cancelled a confirmed booking gave the fee up; who paid for an expired one did not.
    """
    await room.record(room.held("one"))
    await room.hear_payment(room.paid("one"))
    async with room.db.transaction() as connection:
        await cancel(connection, booking_id("one"), account_id="acc_1", reason="other")
    await _expired(room, "late", seats=(2,))
    await room.hear_payment(room.paid("late", late=True))
    answers = [
        await client.post(
            f"/v1/offices/bandung/bookings/{booking_id(name)}/reschedule",
            json={"slot_id": room.slot_id, "reason": "seated by hand"},
            headers=by("o", roles=("officer:bandung",)),
        )
        for name in ("one", "late")
    ]
    await room.grant((await room.wanted())[-1], seats=(6,))

    assert [409, 202] == [answer.status for answer in answers]
    assert ("cancelled", "rescheduled") == (await room.state("one"), await room.state("late"))


async def test_a_wish_quota_never_answered_is_asked_again_once_it_could_not_be_had_any_more(room: Room) -> None:
    """
    By then quota says that it is too late, or that it was had; so no money waits for ever.
    """
    await _expired(room, "one")
    await room.hear_payment(room.paid("one"))
    assert 0 == await remind(room.db)
    async with room.db.connection() as connection:
        await connection.execute("UPDATE wish SET good_until = now() - interval '1 minute'")

    assert 1 == await remind(room.db)
    first, again = await room.wanted()
    assert first.booking_id == again.booking_id
