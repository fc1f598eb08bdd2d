"""
A day an office closes: nothing is sold, the unpaid are cancelled, the paid move to the next free places.
"""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator

import msgspec
import pytest

from contracts.envelope import Envelope
from contracts.events import (
    BookingCancelled,
    BookingConfirmed,
    BookingRescheduled,
    PlacesRefused,
    PlacesWanted,
    ReservationHeld,
)
from kernel.outbox import messages_of
from services.booking.stores import offices as office_store
from services.booking.use_cases import planning, rebooking
from tests.integration.booking_planners import PLANNER, Planners, deeds, planners_at, plans_told
from tests.integration.booking_room import Room, booking_id, booking_room


@pytest.fixture
async def room(database: str) -> AsyncIterator[Room]:
    async with booking_room(database) as opened:
        yield opened


@pytest.fixture
async def planners(room: Room) -> AsyncIterator[Planners]:
    async with planners_at(room.db) as opened:
        yield opened


async def _day(room: Room, slot_id: str) -> dt.date:
    async with room.db.connection() as connection:
        day: dt.date = await connection.fetchval("SELECT date FROM slot WHERE slot_id = $1", slot_id)
        return day


async def _confirmed(room: Room, name: str, *, seats: tuple[int, ...] = (1,), ntpn: str = "0000000000000001") -> None:
    await room.record(room.held(name, seats=seats, account=f"acc_{name}"))
    await room.hear_payment(room.invoice(name), room.paid(name, ntpn=ntpn))


async def _close(planners: Planners, day: dt.date, **more: str) -> tuple[int, dict[str, object]]:
    body = {"first_day": day.isoformat(), "reason": "the office is under water", **more}
    return await planners.ask("POST", "/v1/offices/bandung/closures", body, roles=("planner:bandung",))


async def _wanted(room: Room) -> list[PlacesWanted]:
    async with room.db.connection() as connection:
        rows = await connection.fetch("SELECT * FROM outbox WHERE topic = 'booking.events' ORDER BY id")
    return [
        msgspec.json.decode(message.body, type=PlacesWanted)
        for row in rows
        for message in messages_of(row)
        if dict(message.headers)["ce_type"].decode() == PlacesWanted.TYPE
    ]


def _granted(room: Room, wanted: PlacesWanted, *, slot_id: str, seats: tuple[int, ...]) -> Envelope:
    """
    Quota says: here are the places.
    """
    held = room.held("granted", seats=seats, persons=wanted.person_ids, account=wanted.account_id, slot_id=slot_id)
    assert isinstance(held.event, ReservationHeld)
    return Envelope(event_id=held.event_id, event=msgspec.structs.replace(held.event, reservation_id=wanted.booking_id))


def _refused(room: Room, wanted: PlacesWanted) -> Envelope:
    """
    Quota says: none of these slots has the places.
    """
    event = room.held("refused").event
    assert isinstance(event, ReservationHeld)
    refusal = PlacesRefused(
        partition=event.partition,
        epoch=event.epoch,
        seq=event.seq,
        slot_id=wanted.slot_ids[-1],
        at_ms=event.at_ms,
        reservation_id=wanted.booking_id,
        account_id=wanted.account_id,
        reason="sold_out",
    )
    return Envelope(event_id=f"q7:1:{event.seq}", event=refusal)


async def test_a_closed_day_sells_nothing_more_and_lists_its_bookings(room: Room, planners: Planners) -> None:
    """
    Every slot of that day is told closed and of no other; planning again does not open them.
    """
    await _confirmed(room, "paid", seats=(1, 2))
    day = await _day(room, room.slot_id)
    before = len(await plans_told(room.db))
    status, answer = await _close(planners, day)
    async with room.db.transaction() as connection:
        again, _ = await planning.plan_coming_week(connection, now=await office_store.read_now(connection))
    told = (await plans_told(room.db))[before:]

    assert (201, 18) == (status, answer["slots_closed"])
    assert {("bandung", day.isoformat(), True)} == {(plan.office_id, plan.date, plan.closed) for plan in told}
    assert (18, 0) == (len(told), again.changed)
    shown = await planners.ask("GET", f"/v1/offices/bandung/closures/{day}", roles=("officer:bandung",))
    assert [(booking_id("paid"), "confirmed", 2)] == [
        (each["booking_id"], each["state"], each["places"]) for each in shown[1]["bookings"]
    ]
    assert [(PLANNER, "close_office", "the office is under water")] == await deeds(room.db)


async def test_the_paid_move_to_the_next_free_places_and_keep_their_payment(room: Room, planners: Planners) -> None:
    """
    Wished for on later days, same service and channel, same session first; the old ones end when the new stand.
    """
    await _confirmed(room, "paid", seats=(1, 2))
    day = await _day(room, room.slot_id)
    await _close(planners, day)
    done = await rebooking.rebook(room.db), await rebooking.rebook(room.db)
    [wanted] = await _wanted(room)
    waiting = await room.state("paid")
    await room.record(_granted(room, wanted, slot_id=wanted.slot_ids[0], seats=(5, 6)))

    assert ((1, 0), "confirmed", "rescheduled") == (done, waiting, await room.state("paid"))
    assert ("rebook", booking_id("paid")) == (wanted.why, wanted.replaces)
    parts = [slot_id.split(".") for slot_id in wanted.slot_ids]
    assert {("bandung", "electronic", "online")} == {(part[0], part[3], part[4]) for part in parts}
    assert min(part[1] for part in parts) > f"{day:%Y%m%d}"
    assert [part[1] for part in parts] == sorted(part[1] for part in parts)
    assert room.slot_id.split(".")[2] == parts[0][2]
    moved = await room.event("paid", BookingRescheduled)
    assert isinstance(moved, BookingRescheduled)
    assert (wanted.booking_id, "office_closed") == (moved.moved_to, moved.reason)
    async with room.db.connection() as connection:
        row = await connection.fetchrow("SELECT state, ntpn FROM booking WHERE booking_id = $1", wanted.booking_id)
    assert row is not None
    assert ("confirmed", "0000000000000001") == (row["state"], row["ntpn"])
    assert BookingConfirmed.TYPE in await room.told()
    _, shown = await planners.ask("GET", f"/v1/offices/bandung/closures/{day}")
    assert [("rescheduled", wanted.booking_id, "held")] == [
        (each["state"], each["moved_to"], each["wish_state"]) for each in shown["bookings"]
    ]


async def test_the_unpaid_are_cancelled_because_the_office_is_closed(room: Room, planners: Planners) -> None:
    """
    Nothing is wished for them; they may take whatever they like.
    """
    await room.record(room.held("unpaid"))
    day = await _day(room, room.slot_id)
    await _close(planners, day)
    await rebooking.rebook(room.db)
    cancelled = await room.event("unpaid", BookingCancelled)

    assert isinstance(cancelled, BookingCancelled)
    assert ("cancelled", "office_closed") == (await room.state("unpaid"), cancelled.reason)
    assert [] == await _wanted(room)
    _, shown = await planners.ask("GET", f"/v1/offices/bandung/closures/{day}")
    assert [(booking_id("unpaid"), "cancelled")] == [(each["booking_id"], each["state"]) for each in shown["bookings"]]


async def test_who_is_recorded_after_the_closing_is_moved_as_well(room: Room, planners: Planners) -> None:
    """
    Quota held the places a moment before it heard of it.
    """
    await _close(planners, await _day(room, room.slot_id))
    await rebooking.rebook(room.db)
    await _confirmed(room, "late")
    await rebooking.rebook(room.db)

    assert [booking_id("late")] == [wanted.replaces for wanted in await _wanted(room)]


async def test_what_quota_refuses_is_listed_and_asked_for_again_an_hour_later(room: Room, planners: Planners) -> None:
    """
    The booking stands as it is; the second wish has an id of its own.
    """
    await _confirmed(room, "paid")
    day = await _day(room, room.slot_id)
    await _close(planners, day)
    await rebooking.rebook(room.db)
    [wanted] = await _wanted(room)
    await room.record(_refused(room, wanted))
    at_once = await rebooking.rebook(room.db)
    _, shown = await planners.ask("GET", f"/v1/offices/bandung/closures/{day}")
    async with room.db.connection() as connection:
        await connection.execute("UPDATE wish SET settled_at = settled_at - interval '1 hour'")
    later = await rebooking.rebook(room.db)
    ids = [each.booking_id for each in await _wanted(room)]

    assert (0, 1, 2) == (at_once, later, len(set(ids)))
    assert [("confirmed", "refused", "sold_out")] == [
        (each["state"], each["wish_state"], each["refusal"]) for each in shown["bookings"]
    ]


async def test_who_can_go_nowhere_waits_and_stands_in_nobodys_way(room: Room, planners: Planners) -> None:
    """
    With every later day closed too there are no places to wish for; the listing shows it, and a new slot frees it.
    """
    await _confirmed(room, "paid")
    day = await _day(room, room.slot_id)
    last = await room.count("SELECT max(date) - $1::date FROM slot WHERE office_id = 'bandung'", day)
    await _close(planners, day, last_day=(day + dt.timedelta(days=last)).isoformat())
    nowhere = await rebooking.rebook(room.db)
    _, shown = await planners.ask("GET", f"/v1/offices/bandung/closures/{day}")
    monday = day + dt.timedelta(days=7 - day.weekday())
    async with room.db.transaction() as connection:
        now = await office_store.read_now(connection)
        await planning.plan_coming_week(connection, now=now + dt.timedelta(days=7), office_ids=("bandung",))
    found = await rebooking.rebook(room.db)

    assert (0, 1) == (nowhere, found)
    assert [("confirmed", None)] == [(each["state"], each["wish_state"]) for each in shown["bookings"]]
    assert min(slot_id.split(".")[1] for slot_id in (await _wanted(room))[0].slot_ids) >= f"{monday:%Y%m%d}"


async def test_any_number_of_workers_ask_for_each_booking_once(room: Room, planners: Planners) -> None:
    """
    Eight at once on thirty bookings.
    """
    slots = [slot_id for slot_id in await room.slots() if slot_id.split(".")[1] == room.slot_id.split(".")[1]]
    slot_id = next(each for each in slots if each.endswith("morning.regular.online"))
    for number in range(30):
        name = f"b{number}"
        await room.record(room.held(name, seats=(number + 1,), account=f"acc_{name}", slot_id=slot_id))
        await room.hear_payment(room.invoice(name), room.paid(name, ntpn=f"{number:016}"))
    await _close(planners, await _day(room, slot_id))
    done = await asyncio.gather(*(rebooking.rebook(room.db) for _ in range(8)))
    wanted = await _wanted(room)

    assert (30, 30) == (sum(done), len({each.replaces for each in wanted}))
    assert 30 == len(wanted)


async def test_a_day_that_cannot_be_closed_is_refused_with_a_sentence(room: Room, planners: Planners) -> None:
    """
    Over, reversed, too long, somewhere else, or by somebody who may not.
    """
    day = await _day(room, room.slot_id)
    over = await _close(planners, dt.date(2026, 1, 2))
    reverse = await _close(planners, day, last_day=(day - dt.timedelta(days=1)).isoformat())
    long = await _close(planners, day, last_day=(day + dt.timedelta(days=31)).isoformat())
    far = await _close(planners, dt.date(9999, 12, 31))
    body = {"first_day": day.isoformat(), "reason": "x"}
    nowhere = await planners.ask("POST", "/v1/offices/atlantis/closures", body)
    other = await planners.ask("POST", "/v1/offices/bandung/closures", body, roles=("planner:jayapura",))
    open_day = await planners.ask("GET", f"/v1/offices/bandung/closures/{day}")

    assert [(422, "2026-01-02 is over"), (422, "the days end before they begin")] == [
        (status, answer["reason"]) for status, answer in (over, reverse)
    ]
    assert (422, "31 days at most are closed at once") == (long[0], long[1]["reason"])
    assert (422, 404, 403, 404) == (far[0], nowhere[0], other[0], open_day[0])
    assert [] == await deeds(room.db)
