"""
The waitlist: places that come back go to whoever has waited longest and fits, as a hold that can be paid for a while.
"""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec
import pytest
from aiohttp import ClientResponse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.envelope import Envelope
from contracts.events import PaymentReceived
from services.booking.domain.waitlist import Standing
from services.booking.settings import CounterSettings
from services.booking.stores import waitlist as store
from services.booking.stores.waitlist import Entry
from services.booking.use_cases import expiring, waitlisting
from services.booking.use_cases.recording import record
from tests.integration.booking_room import Room, booking_id, booking_room
from tests.integration.counter_desk import Desk, by, counter_desk

PATH = "/v1/waitlist"


@pytest.fixture
async def desk(database: str) -> AsyncIterator[Desk]:
    async with booking_room(database) as room, counter_desk(room, CounterSettings()) as opened:
        async with room.db.transaction() as connection:
            # Sold out but for the places each test has come back.
            await connection.execute(
                "INSERT INTO booking_seat (booking_id, slot_id, seat)"
                " SELECT 'rsv_others', slot_id, number FROM slot, generate_series(1, capacity) AS number"
                " WHERE channel = 'online' AND office_id = 'bandung'"
            )
        yield opened


def _slot(room: Room) -> str:
    office, day, session, _, _ = room.slot_id.split(".")
    return f"{office}.{day}.{session}.regular.online"


def _day(room: Room) -> str:
    return dt.datetime.strptime(room.slot_id.split(".")[1], "%Y%m%d").replace(tzinfo=dt.UTC).date().isoformat()


async def _join(desk: Desk, name: str, persons: int = 1, *, key: str | None = None, **change: Any) -> ClientResponse:
    day = _day(desk.room)
    person_ids = [f"per_{name}{number}" for number in range(persons)]
    body = {"office_id": "bandung", "service": "regular", "first_day": day, "last_day": day, "person_ids": person_ids}
    return await desk.post(PATH, body | change, account=f"acc_{name}", roles=(), persons=person_ids, key=key)


async def _line(desk: Desk, *families: tuple[str, int]) -> None:
    for name, persons in families:
        assert 201 == (await _join(desk, name, persons)).status


async def _entry(desk: Desk, name: str) -> dict[str, Any]:
    response = await desk.client.get(PATH, headers=by(f"acc_{name}"))
    entries: list[dict[str, Any]] = (await response.json())["entries"]
    return entries[0]


async def _states(desk: Desk, *names: str) -> list[str]:
    return [(await _entry(desk, name))["state"] for name in names]


async def _come_back(desk: Desk, seats: int = 1) -> None:
    await desk.room.record(desk.releases(booking_id("gone"), slot_id=_slot(desk.room), seats=range(1, seats + 1)))


async def _free(desk: Desk, *seats: int) -> None:
    async with desk.room.db.transaction() as connection:
        await connection.execute(
            "UPDATE booking_seat SET active = false WHERE slot_id = $1 AND seat = ANY ($2::integer[])",
            _slot(desk.room),
            list(seats),
        )


async def _take_up(desk: Desk, number: int = 0, *, seats: Sequence[int] = (1,), **change: Any) -> dict[str, Any]:
    """
    Quota gives what the offer of that number asks for.
    """
    wish = await desk.wish(number)
    await _free(desk, *seats)
    await desk.room.record(desk.gives(wish | change, seats=seats))
    return wish


async def _leave(desk: Desk, name: str, *, entry_id: str | None = None) -> ClientResponse:
    entry_id = entry_id or (await _entry(desk, name))["entry_id"]
    headers = by(f"acc_{name}") | {"Idempotency-Key": f"leave-{name}"}
    return await desk.client.delete(f"{PATH}/{entry_id}", headers=headers)


async def test_a_place_that_came_back_is_offered_to_the_first_in_line(desk: Desk) -> None:
    """
    As a wish for that slot, to be paid within half an hour; the others see themselves move up.
    """
    await _line(desk, ("ani", 1), ("budi", 1))
    before = [(await _entry(desk, name))["position"] for name in ("ani", "budi")]
    await _come_back(desk)
    [wish] = await desk.wishes()

    assert [1, 2] == before
    assert ("waitlist", "acc_ani", [_slot(desk.room)]) == (wish["why"], wish["account_id"], wish["slot_ids"])
    assert 1800 == round((wish["pay_by_ms"] - wish["at_ms"]) / 1000)
    assert ["offered", "waiting"] == await _states(desk, "ani", "budi")
    assert 1 == (await _entry(desk, "budi"))["position"]


async def test_an_offer_is_a_held_booking_and_paid_it_is_taken(desk: Desk) -> None:
    """
    It is announced, invoiced and paid like any other; the entry then is done.
    """
    await _line(desk, ("ani", 2))
    await _come_back(desk, 2)
    wish = await _take_up(desk, seats=(1, 2))
    offered = await _entry(desk, "ani")
    paid = desk.room.paid("offer").event
    assert isinstance(paid, PaymentReceived)
    mine = msgspec.structs.replace(paid, booking_id=wish["booking_id"])
    await desk.room.hear_payment(Envelope(event_id="p.paid.offer", event=mine))
    await waitlisting.sweep(desk.room.db)

    assert wish["booking_id"] == offered["booking_id"]
    assert offered["pay_by"].endswith("+07:00")
    assert ["booking.places_wanted.v1", "booking.held.v1", "booking.confirmed.v1"] == await desk.room.told()
    assert ["taken"] == await _states(desk, "ani")
    assert 0 == await desk.room.count("SELECT count(*) FROM waitlist_person")


async def test_an_offer_nobody_pays_for_passes_on(desk: Desk) -> None:
    """
    The hold expires by itself, quota frees the place, and the next in line has it; who let it pass is out.
    """
    await _line(desk, ("ani", 1), ("budi", 1))
    await _come_back(desk)
    wish = await _take_up(desk, pay_by_ms=0)
    await expiring.sweep(desk.room.db)
    await desk.room.record(desk.releases(wish["booking_id"], slot_id=_slot(desk.room)))
    await waitlisting.sweep(desk.room.db)
    second = await desk.wish(1)

    assert "acc_budi" == second["account_id"]
    assert ["passed", "offered"] == await _states(desk, "ani", "budi")


async def test_who_is_refused_keeps_the_place_in_line(desk: Desk) -> None:
    """
    Somebody else was faster on the open sale; the next place is offered anew, under another id.
    """
    await _line(desk, ("ani", 1), ("budi", 1))
    await _come_back(desk)
    await desk.room.record(desk.refuses(await desk.wish()))
    waiting = await _entry(desk, "ani")
    await _come_back(desk)
    first, second = await desk.wishes()

    assert ("waiting", 1) == (waiting["state"], waiting["position"])
    assert ("acc_ani", "acc_ani") == (first["account_id"], second["account_id"])
    assert first["booking_id"] != second["booking_id"]


async def test_what_a_refused_family_could_not_have_goes_to_those_behind_who_fit(desk: Desk) -> None:
    """
    Three places are no more, but two may be; nobody before the refused one is asked again.
    """
    await _line(desk, ("early", 5), ("ani", 3), ("big", 3), ("budi", 2))
    await _come_back(desk, 3)
    await desk.room.record(desk.refuses(await desk.wish()))

    assert ["acc_ani", "acc_budi"] == [wish["account_id"] for wish in await desk.wishes()]
    assert ["waiting", "waiting", "waiting", "offered"] == await _states(desk, "early", "ani", "big", "budi")


async def test_a_person_who_is_busy_elsewhere_does_not_block_the_line(desk: Desk) -> None:
    """
    Refused for a person, the whole of the places passes on; with a booking recorded here, he is not even asked.
    """
    await _line(desk, ("ani", 1), ("budi", 1), ("citra", 1))
    await _come_back(desk)
    await desk.room.record(desk.refuses(await desk.wish(), reason="person_already_reserved"))
    await desk.room.record(
        desk.room.held("elsewhere", persons=("per_ani0",), slot_id=(await desk.room.slots(office_id="jayapura"))[0])
    )
    await _come_back(desk)

    assert ["acc_ani", "acc_budi", "acc_citra"] == [wish["account_id"] for wish in await desk.wishes()]


async def test_places_are_offered_to_several_families_as_far_as_they_go(desk: Desk) -> None:
    """
    Oldest first whose family fits what is left.
    """
    await _line(desk, ("ani", 4), ("budi", 2), ("citra", 2), ("dewi", 1))
    await _come_back(desk, 5)

    assert ["offered", "waiting", "waiting", "offered"] == await _states(desk, "ani", "budi", "citra", "dewi")


async def test_hearing_the_same_again_offers_nothing_again(desk: Desk) -> None:
    """
    Kafka delivers at least once.
    """
    await _line(desk, ("ani", 1), ("budi", 1))
    released = desk.releases(booking_id("gone"), slot_id=_slot(desk.room))
    await desk.room.record(released)
    await desk.room.record(released)

    assert 1 == len(await desk.wishes())


async def test_two_recordings_at_once_offer_to_two_families_and_skip_none(desk: Desk) -> None:
    """
    Whoever offers to a line is alone with it: three places in three partitions are the first three families.
    """
    await _line(desk, *((name, 1) for name in ("ani", "budi", "citra", "dewi")))
    slot_id = _slot(desk.room)
    await asyncio.gather(
        *(
            desk.room.record(desk.releases(booking_id("gone"), slot_id=slot_id, partition=partition))
            for partition in (3, 4, 5)
        )
    )

    assert ["offered", "offered", "offered", "waiting"] == await _states(desk, "ani", "budi", "citra", "dewi")
    assert 3 == len({wish["booking_id"] for wish in await desk.wishes()})


async def test_grown_capacity_is_offered_too(desk: Desk) -> None:
    """
    An office that gives more places gives them to those who wait first.
    """
    await _line(desk, ("ani", 1), ("budi", 1))
    await desk.room.record(desk.applies(_slot(desk.room), free=0))
    nothing = await desk.wishes()
    await desk.room.record(desk.applies(_slot(desk.room), free=1))

    assert [] == nothing
    assert ["offered", "waiting"] == await _states(desk, "ani", "budi")


async def test_a_place_of_another_service_day_or_channel_is_nothing_to_wait_for(desk: Desk) -> None:
    """
    Lines are by office and service, entries by days; walk-in and priority places are the officers'.
    """
    await _line(desk, ("ani", 1))
    slot_id = _slot(desk.room)
    other_day = next(s for s in await desk.room.slots() if s.endswith(".regular.online") and s[:16] != slot_id[:16])
    for other in (slot_id.replace("regular", "electronic"), slot_id.replace("online", "priority"), other_day):
        await desk.room.record(desk.releases(booking_id("gone"), slot_id=other))

    assert [] == await desk.wishes()


async def test_an_offer_stands_as_long_as_the_setting_says(desk: Desk) -> None:
    """
    WAITLIST_HOLD_SECONDS reaches the wish.
    """
    await _line(desk, ("ani", 1))
    released = desk.releases(booking_id("gone"), slot_id=_slot(desk.room))
    await record(desk.room.db, desk.room.visits, [released], waitlist_hold=dt.timedelta(minutes=5))
    [wish] = await desk.wishes()

    assert 300 == round((wish["pay_by_ms"] - wish["at_ms"]) / 1000)


async def test_leaving_moves_the_others_up(desk: Desk) -> None:
    """
    Who has left is offered nothing, may join again at the end, and leaves only his own line.
    """
    await _line(desk, ("ani", 1), ("budi", 1))
    entry_id = (await _entry(desk, "ani"))["entry_id"]
    foreign = await _leave(desk, "budi", entry_id=entry_id)
    left = await _leave(desk, "ani")
    again = await _leave(desk, "ani", entry_id=entry_id)
    await _join(desk, "ani")

    assert (404, 200, 200) == (foreign.status, left.status, again.status)
    assert "left" == (await left.json())["state"]
    assert [2, 1] == [(await _entry(desk, name))["position"] for name in ("ani", "budi")]


async def test_leaving_gives_an_offer_back_even_one_still_under_way(desk: Desk) -> None:
    """
    The booking that comes of it is cancelled, so that the place goes on; nothing is left over.
    """
    await _line(desk, ("ani", 1))
    await _come_back(desk)
    await _leave(desk, "ani")
    nothing_yet = await waitlisting.sweep(desk.room.db)
    wish = await _take_up(desk)
    [given_back] = await waitlisting.sweep(desk.room.db)

    assert [] == nothing_yet
    assert (wish["booking_id"], "cancelled", "left_waitlist") == (
        given_back.booking_id,
        given_back.state.value,
        given_back.reason,
    )
    assert [] == await waitlisting.sweep(desk.room.db)
    assert ["left"] == await _states(desk, "ani")
    assert 0 == await desk.room.count("SELECT count(*) FROM waitlist_entry WHERE ended_at IS NULL")


async def test_a_displaced_offer_is_nobodys_turn_taken(desk: Desk) -> None:
    """
    Quota gave places booking found taken: the family is back where it was in line.
    """
    await _line(desk, ("ani", 1), ("budi", 1))
    await _come_back(desk)
    await desk.room.record(desk.gives(await desk.wish(), seats=(1,)))
    await waitlisting.sweep(desk.room.db)
    waiting = await _entry(desk, "ani")

    assert ("waiting", 1) == (waiting["state"], waiting["position"])


async def test_entries_for_days_that_are_over_end(desk: Desk) -> None:
    """
    Nobody waits for yesterday.
    """
    await _line(desk, ("ani", 1), ("budi", 1))
    async with desk.room.db.transaction() as connection:
        await connection.execute(
            "UPDATE waitlist_entry SET first_day = '2020-01-01', last_day = '2020-01-02' WHERE account_id = 'acc_ani'"
        )
    await waitlisting.sweep(desk.room.db)

    assert ["over", "waiting"] == await _states(desk, "ani", "budi")


async def test_one_waits_in_one_line_at_a_time(desk: Desk) -> None:
    """
    One live entry per account, and per person whoever's account; the same key gives the same entry.
    """
    first = await _join(desk, "ani", key="key-00001")
    again = await _join(desk, "ani", key="key-00001")
    twice = await _join(desk, "ani")
    shared = await desk.post(
        PATH,
        {
            "office_id": "bandung",
            "service": "electronic",
            "first_day": _day(desk.room),
            "last_day": _day(desk.room),
            "person_ids": ["per_budi0", "per_ani0"],
        },
        account="acc_budi",
        roles=(),
        persons=("per_budi0", "per_ani0"),
    )

    assert (201, await first.json()) == (again.status, await again.json())
    assert [(409, "waits_already")] * 2 == [(r.status, (await r.json())["code"]) for r in (twice, shared)]
    assert 1 == await desk.room.count("SELECT count(*) FROM waitlist_entry")


async def test_nobody_waits_where_a_family_of_that_size_could_reserve(desk: Desk) -> None:
    """
    Family-size aware: two places are enough for two and not for three.
    """
    await _free(desk, 1, 2)
    two, three = await _join(desk, "ani", 2), await _join(desk, "budi", 3)
    said = await two.json()

    assert (409, "places_left", [_slot(desk.room)]) == (two.status, said["code"], said["slot_ids"])
    assert 201 == three.status


async def test_a_person_with_a_booking_does_not_wait_for_another(desk: Desk) -> None:
    """
    One active booking per person in the whole country.
    """
    elsewhere = (await desk.room.slots(office_id="jayapura"))[0]
    await desk.room.record(desk.room.held("elsewhere", persons=("per_ani0",), slot_id=elsewhere))
    response = await _join(desk, "ani", 2)
    said = await response.json()

    assert (409, "person_already_booked", ["per_ani0"]) == (response.status, said["code"], said["person_ids"])


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"office_id": "atlantis"}, 409, "nothing_to_wait_for"),
        ({"first_day": "2031-01-06", "last_day": "2031-01-07"}, 409, "nothing_to_wait_for"),
        ({"first_day": "2031-01-08", "last_day": "2031-01-07"}, 400, "bad_request"),
        ({"first_day": "2026-01-01", "last_day": "2031-01-07"}, 400, "bad_request"),
        ({"person_ids": ["per_foreign"]}, 403, "person_not_yours"),
        ({"person_ids": ["per_ani0", "per_ani0"]}, 400, "bad_request"),
    ],
)
async def test_what_cannot_be_waited_for_is_refused(desk: Desk, change: dict[str, Any], status: int, code: str) -> None:
    """
    Places that were never on sale, ranges without days, and other people's people.
    """
    response = await _join(desk, "ani", **change)

    assert (status, code) == (response.status, (await response.json())["code"])


async def test_who_joined_before_a_slot_was_on_sale_has_no_head_start(desk: Desk) -> None:
    """
    A slot that opens later is opened for everybody at once.
    """
    await _line(desk, ("ani", 1))
    async with desk.room.db.transaction() as connection:
        await connection.execute("UPDATE slot SET opens_at = clock_timestamp() WHERE slot_id = $1", _slot(desk.room))
    await desk.room.record(desk.applies(_slot(desk.room), free=20))

    assert [] == await desk.wishes()


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sizes=st.lists(st.integers(1, 5), min_size=1, max_size=12), backs=st.lists(st.integers(1, 5), max_size=4))
async def test_in_postgres_too_nobody_who_fits_is_overtaken(desk: Desk, sizes: list[int], backs: list[int]) -> None:
    """
    Line by line, place by place, whatever comes back in which portions: the one offered is the first that fits.
    """
    room = desk.room
    async with room.db.transaction() as connection:
        await connection.execute("TRUNCATE waitlist_entry, waitlist_person")
        for number, size in enumerate(sizes):
            persons = tuple(f"per_{number}x{each}" for each in range(size))
            day = dt.date.fromisoformat(_day(room))
            entry = Entry(
                entry_id=f"wtl_{desk.seq}_{number}",
                account_id=f"acc_{number}",
                office_id="bandung",
                service="regular",
                first_day=day,
                last_day=day,
                person_ids=persons,
            )
            assert await store.put(connection, entry)
    waiting = list(enumerate(sizes))
    for seats in backs:
        await _come_back(desk, seats)
        left = seats
        for family in list(waiting):
            if family[1] <= left:
                left -= family[1]
                waiting.remove(family)
        still = [
            number
            for number, _ in enumerate(sizes)
            if Standing.WAITING.value == (await _entry(desk, str(number)))["state"]
        ]
        assert [number for number, _ in waiting] == still
