"""
Another time for a booking: all or nothing, so often, until the day before; by the office at any time.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from aiohttp import ClientResponse

from contracts.envelope import Envelope
from contracts.events import BookingDisplaced, BookingRescheduled
from tests.conftest import Eventually
from tests.integration.booking_door import Client, booking_door, by
from tests.integration.booking_room import Room, booking_id, booking_room


@pytest.fixture
async def room(database: str) -> AsyncIterator[Room]:
    async with booking_room(database) as opened:
        yield opened


@pytest.fixture
async def client(room: Room) -> AsyncIterator[Client]:
    async with booking_door(room) as opened:
        yield opened


async def _public(room: Room) -> list[str]:
    """
    Public slots of one service in Bandung, in the order of their days.
    """
    return [slot_id for slot_id in await room.slots() if slot_id.endswith(".regular.online")]


async def _confirmed(room: Room, name: str, slot_id: str, *, seats: tuple[int, ...] = (1,)) -> None:
    await room.record(room.held(name, seats=seats, slot_id=slot_id))
    await room.hear_payment(room.invoice(name), room.paid(name))


async def _reschedule(
    client: Client, moved: str, slot_id: str, *, account: str = "acc_1", key: str | None = None
) -> ClientResponse:
    path = f"/v1/bookings/{moved}/reschedule"
    return await client.post(path, json={"slot_id": slot_id}, headers=by(account, key=key))


async def _moved(room: Room, client: Client, moved: str, slot_id: str, *, seats: tuple[int, ...] = (9,)) -> Any:
    """
    Ask, let quota say yes, ask again with the same key: the new booking.
    """
    key = uuid.uuid4().hex
    assert 202 == (await _reschedule(client, moved, slot_id, key=key)).status
    await room.grant((await room.wanted())[-1], seats=seats)
    answer = await _reschedule(client, moved, slot_id, key=key)
    assert 200 == answer.status
    return await answer.json()


async def test_a_booking_moves_with_its_payment_once_quota_holds_the_new_places(room: Room, client: Client) -> None:
    """
    The old one ends, the new one is confirmed for the same people; each step is told, and no invoice is asked for.
    """
    old, new = (await _public(room))[:2]
    await _confirmed(room, "one", old, seats=(1, 2))
    moved = await _moved(room, client, booking_id("one"), new, seats=(7, 8))

    event = await room.event("one", BookingRescheduled)
    assert isinstance(event, BookingRescheduled)
    assert ("confirmed", new, [7, 8], ["per_one_1", "per_one_2"]) == (
        moved["state"],
        moved["slot_id"],
        moved["seats"],
        moved["person_ids"],
    )
    assert ("rescheduled", moved["booking_id"], "by_holder") == (
        await room.state("one"),
        event.moved_to,
        event.reason,
    )
    assert ("0000000000000001", 350_000) == (moved["ntpn"], moved["amount_rupiah"])
    [wanted] = await room.wanted()
    assert (booking_id("one"), "reschedule") == (wanted.replaces, wanted.why)
    assert 1 == (await room.told()).count("booking.held.v1")
    assert [2, 2] == [
        await room.count("SELECT count(*) FROM booking_seat WHERE slot_id = $1", new),
        await room.count("SELECT count(*) FROM booking_person"),
    ]


async def test_until_quota_answers_the_old_place_stands_and_the_move_can_be_looked_at(
    room: Room, client: Client
) -> None:
    """
    202 says where to look; somebody else sees nothing there.
    """
    old, new = (await _public(room))[:2]
    await _confirmed(room, "one", old)
    asked = await _reschedule(client, booking_id("one"), new)
    look = await client.get(asked.headers["Location"], headers=by("acc_1"))
    foreign = await client.get(asked.headers["Location"], headers=by("acc_2"))

    assert (202, 200, "asked") == (asked.status, look.status, (await look.json())["state"])
    assert (404, "move_not_found") == (foreign.status, (await foreign.json())["code"])
    assert "confirmed" == await room.state("one")


async def test_an_answer_that_comes_while_the_call_waits_is_its_answer(room: Room, eventually: Eventually) -> None:
    """
    No second call is needed.
    """
    old, new = (await _public(room))[:2]
    await _confirmed(room, "one", old)

    async def asked() -> bool:
        return bool(await room.wanted())

    async with booking_door(room, move_wait_seconds=8) as client:
        call = asyncio.create_task(_reschedule(client, booking_id("one"), new))
        await eventually(asked)
        await room.grant((await room.wanted())[0], seats=(5,))
        answer = await call

    assert 200 == answer.status


async def test_a_refusal_leaves_the_old_place_and_names_others(room: Room, client: Client) -> None:
    """
    Up to three slots of the same service that have places for all of them.
    """
    old, new, *_ = await _public(room)
    await _confirmed(room, "one", old, seats=(1, 2))
    key = uuid.uuid4().hex
    await _reschedule(client, booking_id("one"), new, key=key)
    await room.record(room.refuse((await room.wanted())[0].booking_id))
    answer = await _reschedule(client, booking_id("one"), new, key=key)
    body = await answer.json()

    assert (409, "no_places_there", "sold_out") == (answer.status, body["code"], body["refusal"])
    assert 3 == len(body["alternatives"])
    assert {"bandung"} == {slot["office_id"] for slot in body["alternatives"]}
    assert not {old, new} & {slot["slot_id"] for slot in body["alternatives"]}
    assert ("confirmed", 2) == (
        await room.state("one"),
        await room.count("SELECT count(*) FROM booking_seat WHERE slot_id = $1", old),
    )


async def test_a_full_slot_is_no_alternative(room: Room, client: Client) -> None:
    """
    As far as booking knows of its places.
    """
    old, new, full, *_ = await _public(room)
    await _confirmed(room, "one", old)
    async with room.db.connection() as connection:
        await connection.execute("UPDATE slot SET capacity = 1 WHERE slot_id = $1", full)
    await room.record(room.held("other", slot_id=full))
    answer = await (await _reschedule(client, booking_id("one"), new + ".x")).json()

    assert ("slot_not_eligible", "slot_unknown", 3) == (answer["code"], answer["reason"], len(answer["alternatives"]))
    assert full not in {slot["slot_id"] for slot in answer["alternatives"]}


async def test_a_booking_is_moved_once_by_its_holder_however_long_its_chain(room: Room, client: Client) -> None:
    """
    The count follows the booking, and what the office moves does not count.
    """
    first, second, third, fourth, *_ = await _public(room)
    await _confirmed(room, "one", first)
    by_office = await _moved_by_office(room, client, booking_id("one"), second)
    by_holder = await _moved(room, client, by_office["booking_id"], third)
    again = await _moved_by_office(room, client, by_holder["booking_id"], fourth)
    refused = await _reschedule(client, again["booking_id"], first)

    assert (409, "no_reschedule_left") == (refused.status, (await refused.json())["code"])
    assert 3 == await room.count("SELECT count(*) FROM booking WHERE state = 'rescheduled'")


async def _moved_by_office(room: Room, client: Client, moved: str, slot_id: str) -> Any:
    path, key = f"/v1/offices/bandung/bookings/{moved}/reschedule", uuid.uuid4().hex
    body, headers = (
        {"slot_id": slot_id, "reason": "air conditioning broke"},
        by("acc_officer", key=key, roles=("officer",)),
    )
    assert 202 == (await client.post(path, json=body, headers=headers)).status
    await room.grant((await room.wanted())[-1], seats=(9,))
    return await (await client.post(path, json=body, headers=headers)).json()


async def test_the_office_moves_at_any_time_and_says_why(room: Room, client: Client) -> None:
    """
    On the day itself too. The audit log holds who and why; the event holds no free text.
    """
    old, new = (await _public(room))[:2]
    await _confirmed(room, "one", old)
    async with room.db.connection() as connection:
        await connection.execute("UPDATE slot SET date = (now() AT TIME ZONE timezone)::date WHERE slot_id = $1", old)
    moved = await _moved_by_office(room, client, booking_id("one"), new)

    event = await room.event("one", BookingRescheduled)
    assert isinstance(event, BookingRescheduled)
    assert ("confirmed", "by_office") == (moved["state"], event.reason)
    async with room.db.connection() as connection:
        [entry] = await connection.fetch("SELECT actor, action, subject, office_id, reason FROM audit_entry")
    assert ("acc_officer", "reschedule_booking", booking_id("one"), "bandung", "air conditioning broke") == tuple(entry)


async def test_only_officers_of_that_office_move_its_bookings(room: Room, client: Client) -> None:
    """
    Another office's officer is refused, and his own office does not have the booking.
    """
    old, new = (await _public(room))[:2]
    await _confirmed(room, "one", old)
    body = {"slot_id": new, "reason": "r"}
    path = f"/v1/offices/{{}}/bookings/{booking_id('one')}/reschedule"
    roles = ("officer:jayapura",)
    foreign = await client.post(path.format("bandung"), json=body, headers=by("o", roles=roles))
    own = await client.post(path.format("jayapura"), json=body, headers=by("o", roles=roles))
    citizen = await client.post(path.format("bandung"), json=body, headers=by("acc_1"))

    assert [403, 404, 403] == [foreign.status, own.status, citizen.status]
    assert [] == await room.wanted()


async def test_on_the_day_it_is_too_late_for_the_holder(room: Room, client: Client) -> None:
    """
    By the calendar of the office.
    """
    old, new = (await _public(room))[:2]
    await _confirmed(room, "one", old)
    async with room.db.connection() as connection:
        await connection.execute("UPDATE slot SET date = (now() AT TIME ZONE timezone)::date WHERE slot_id = $1", old)
    answer = await _reschedule(client, booking_id("one"), new)

    assert (409, "too_late_to_reschedule") == (answer.status, (await answer.json())["code"])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("closed = true", "slot_closed"),
        ("opens_at = now() + interval '1 hour', closes_at = now() + interval '2 hours'", "slot_not_released"),
        ("starts_at = now() - interval '1 minute', ends_at = now() + interval '1 hour'", "slot_begun"),
        ("service = 'electronic'", "slot_of_other_service"),
        ("channel = 'priority'", "slot_not_public"),
    ],
)
async def test_only_released_public_slots_of_the_same_service_can_be_chosen(
    room: Room, client: Client, change: str, reason: str
) -> None:
    """
    The reason is named, and quota is not asked.
    """
    old, new = (await _public(room))[:2]
    await _confirmed(room, "one", old)
    async with room.db.connection() as connection:
        await connection.execute(f"UPDATE slot SET {change} WHERE slot_id = $1", new)  # noqa: S608 - ours, from above
    answer = await _reschedule(client, booking_id("one"), new)

    assert (409, reason) == (answer.status, (await answer.json())["reason"])
    assert [] == await room.wanted()


async def test_unpaid_ended_or_foreign_bookings_are_not_moved(room: Room, client: Client) -> None:
    """
    Each is told what it is; somebody else's is as absent as none.
    """
    old, new = (await _public(room))[:2]
    await room.record(room.held("unpaid", slot_id=old))
    await _confirmed(room, "one", old, seats=(2,))
    unpaid = await _reschedule(client, booking_id("unpaid"), new)
    foreign = await _reschedule(client, booking_id("one"), new, account="acc_2")
    same = await _reschedule(client, booking_id("one"), old)

    assert (409, "booking_not_movable", "held") == (unpaid.status, (body := await unpaid.json())["code"], body["state"])
    assert (404, "booking_not_found") == (foreign.status, (await foreign.json())["code"])
    assert (409, "slot_is_the_same") == (same.status, (await same.json())["reason"])


async def test_a_booking_is_moved_to_one_place_at_a_time(room: Room, client: Client) -> None:
    """
    Eight wishes at once ask quota once.
    """
    old, new, other = (await _public(room))[:3]
    await _confirmed(room, "one", old)
    answers = await asyncio.gather(*(_reschedule(client, booking_id("one"), (new, other)[n % 2]) for n in range(8)))

    assert [202] + [409] * 7 == sorted(answer.status for answer in answers)
    assert 1 == len(await room.wanted())


async def test_new_places_that_are_somebody_elses_displace_the_new_and_never_the_old(
    room: Room, client: Client
) -> None:
    """
    Everything of that move is taken back; others of the same batch are recorded.
    """
    old, new = (await _public(room))[:2]
    await room.record(room.held("there", seats=(9,), slot_id=new))
    await _confirmed(room, "one", old)
    key = uuid.uuid4().hex
    await _reschedule(client, booking_id("one"), new, key=key)
    [wanted] = await room.wanted()
    await room.grant(wanted, seats=(9,))
    answer = await _reschedule(client, booking_id("one"), new, key=key)

    assert ("confirmed", "held") == (await room.state("one"), await room.state("there"))
    assert (409, "seat_taken") == (answer.status, (await answer.json())["refusal"])
    assert 1 == (await room.told()).count(BookingDisplaced.TYPE)
    assert 1 == await room.count("SELECT count(*) FROM booking_seat WHERE slot_id = $1", old)
    assert ["booking.held.v1", "booking.awaiting_payment.v1", "booking.confirmed.v1"] == await room.told("one")


async def test_a_booking_cancelled_while_quota_is_asked_stays_cancelled(room: Room, client: Client) -> None:
    """
    The new places go back, and the fee does not find its way to a place by the back door.
    """
    old, new = (await _public(room))[:2]
    await _confirmed(room, "one", old)
    await _reschedule(client, booking_id("one"), new)
    await client.post(f"/v1/bookings/{booking_id('one')}/cancel", headers=by("acc_1"))
    [wanted] = await room.wanted()
    await room.grant(wanted, seats=(3,))

    assert "cancelled" == await room.state("one")
    assert 1 == await room.count(
        "SELECT count(*) FROM booking WHERE booking_id = $1 AND state = 'displaced' AND reason = 'move_overtaken'",
        wanted.booking_id,
    )
    assert 0 == await room.count("SELECT count(*) FROM booking_seat")


async def test_many_moves_in_one_batch_are_made_and_one_that_cannot_be_stays_alone(room: Room, client: Client) -> None:
    """
    A day of an office is moved in one go; who sits on a taken number is found by halves.
    """
    old, new = (await _public(room))[:2]
    await room.record(room.held("there", seats=(5,), slot_id=new))
    for n in range(1, 10):
        await _confirmed(room, f"n{n}", old, seats=(n,))
        await _reschedule(client, booking_id(f"n{n}"), new)
    wishes = await room.wanted()
    batch = []
    for wanted, seat in zip(wishes, range(1, 10), strict=True):
        hold = room.held("", seats=(seat,), slot_id=new, persons=wanted.person_ids)
        batch.append(_as(hold, wanted.booking_id))
    await room.record(*batch, room.held("else", seats=(30,), slot_id=new))

    states = [await room.state(f"n{n}") for n in range(1, 10)]
    assert ["rescheduled"] * 4 + ["confirmed"] + ["rescheduled"] * 4 == states
    assert ("held", "held") == (await room.state("there"), await room.state("else"))
    assert (8, 1) == (
        await room.count("SELECT count(*) FROM wish WHERE state = 'held'"),
        await room.count("SELECT count(*) FROM wish WHERE state = 'refused'"),
    )
    await room.record(*batch)
    assert 8 == (await room.told()).count(BookingRescheduled.TYPE)


def _as(hold: Envelope, reservation_id: str) -> Envelope:
    return msgspec.structs.replace(hold, event=msgspec.structs.replace(hold.event, reservation_id=reservation_id))
