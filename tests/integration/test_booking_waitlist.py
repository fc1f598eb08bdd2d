"""
The waitlist: places that come back go to whoever has waited longest and fits, as a hold that can be paid for a while.
"""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.envelope import Envelope
from contracts.events import PaymentReceived
from services.booking.domain.waitlist import Standing
from services.booking.stores import waitlist as store
from services.booking.stores.waitlist import Entry
from services.booking.use_cases import expiring, waitlisting
from services.booking.use_cases.recording import record
from tests.integration.booking_room import booking_id
from tests.integration.counter_desk import Desk
from tests.integration.waitlist_line import (
    come_back,
    day_of,
    entry_of,
    line,
    slot_of,
    sold_out_desk,
    states_of,
    take_up,
)


@pytest.fixture
async def desk(database: str) -> AsyncIterator[Desk]:
    async with sold_out_desk(database) as opened:
        yield opened


async def test_a_place_that_came_back_is_offered_to_the_first_in_line(desk: Desk) -> None:
    """
    As a wish for that slot, to be paid within half an hour; the others see themselves move up.
    """
    await line(desk, ("ani", 1), ("budi", 1))
    before = [(await entry_of(desk, name))["position"] for name in ("ani", "budi")]
    await come_back(desk)
    [wish] = await desk.wishes()

    assert [1, 2] == before
    assert ("waitlist", "acc_ani", [slot_of(desk.room)]) == (wish["why"], wish["account_id"], wish["slot_ids"])
    assert 1800 == round((wish["pay_by_ms"] - wish["at_ms"]) / 1000)
    assert ["offered", "waiting"] == await states_of(desk, "ani", "budi")
    assert 1 == (await entry_of(desk, "budi"))["position"]


async def test_an_offer_is_a_held_booking_and_paid_it_is_taken(desk: Desk) -> None:
    """
    It is announced, invoiced and paid like any other; the entry then is done.
    """
    await line(desk, ("ani", 2))
    await come_back(desk, 2)
    wish = await take_up(desk, seats=(1, 2))
    offered = await entry_of(desk, "ani")
    paid = desk.room.paid("offer").event
    assert isinstance(paid, PaymentReceived)
    mine = msgspec.structs.replace(paid, booking_id=wish["booking_id"])
    await desk.room.hear_payment(Envelope(event_id="p.paid.offer", event=mine))
    await waitlisting.sweep(desk.room.db)

    assert wish["booking_id"] == offered["booking_id"]
    assert offered["pay_by"].endswith("+07:00")
    assert ["booking.places_wanted.v1", "booking.held.v1", "booking.confirmed.v1"] == await desk.room.told()
    assert ["taken"] == await states_of(desk, "ani")
    assert 0 == await desk.room.count("SELECT count(*) FROM waitlist_person")


async def test_an_offer_nobody_pays_for_passes_on(desk: Desk) -> None:
    """
    The hold expires by itself, quota frees the place, and the next in line has it; who let it pass is out.
    """
    await line(desk, ("ani", 1), ("budi", 1))
    await come_back(desk)
    wish = await take_up(desk, pay_by_ms=0)
    await expiring.sweep(desk.room.db, desk.room.visits)
    await desk.room.record(desk.releases(wish["booking_id"], slot_id=slot_of(desk.room)))
    await waitlisting.sweep(desk.room.db)
    second = await desk.wish(1)

    assert "acc_budi" == second["account_id"]
    assert ["passed", "offered"] == await states_of(desk, "ani", "budi")


async def test_who_is_refused_keeps_the_place_in_line(desk: Desk) -> None:
    """
    Somebody else was faster on the open sale; the next place is offered anew, under another id.
    """
    await line(desk, ("ani", 1), ("budi", 1))
    await come_back(desk)
    await desk.room.record(desk.refuses(await desk.wish()))
    waiting = await entry_of(desk, "ani")
    await come_back(desk)
    first, second = await desk.wishes()

    assert ("waiting", 1) == (waiting["state"], waiting["position"])
    assert ("acc_ani", "acc_ani") == (first["account_id"], second["account_id"])
    assert first["booking_id"] != second["booking_id"]


async def test_what_a_refused_family_could_not_have_goes_to_those_behind_who_fit(desk: Desk) -> None:
    """
    Three places are no more, but two may be; nobody before the refused one is asked again.
    """
    await line(desk, ("early", 5), ("ani", 3), ("big", 3), ("budi", 2))
    await come_back(desk, 3)
    await desk.room.record(desk.refuses(await desk.wish()))

    assert ["acc_ani", "acc_budi"] == [wish["account_id"] for wish in await desk.wishes()]
    assert ["waiting", "waiting", "waiting", "offered"] == await states_of(desk, "early", "ani", "big", "budi")


async def test_a_person_who_is_busy_elsewhere_does_not_block_the_line(desk: Desk) -> None:
    """
    Refused for a person, the whole of the places passes on; with a booking recorded here, he is not even asked.
    """
    await line(desk, ("ani", 1), ("budi", 1), ("citra", 1))
    await come_back(desk)
    await desk.room.record(desk.refuses(await desk.wish(), reason="person_already_reserved"))
    await desk.room.record(
        desk.room.held("elsewhere", persons=("per_ani0",), slot_id=(await desk.room.slots(office_id="jayapura"))[0])
    )
    await come_back(desk)

    assert ["acc_ani", "acc_budi", "acc_citra"] == [wish["account_id"] for wish in await desk.wishes()]


async def test_an_offer_quota_heard_too_late_is_made_again_to_the_same_family(desk: Desk) -> None:
    """
    Nobody has had the places, and nobody behind gets them before.
    """
    await line(desk, ("ani", 1), ("budi", 1))
    await come_back(desk)
    await desk.room.record(desk.refuses(await desk.wish(), reason="too_late"))

    assert ["acc_ani", "acc_ani"] == [wish["account_id"] for wish in await desk.wishes()]
    assert ["offered", "waiting"] == await states_of(desk, "ani", "budi")


async def test_places_are_offered_to_several_families_as_far_as_they_go(desk: Desk) -> None:
    """
    Oldest first whose family fits what is left.
    """
    await line(desk, ("ani", 4), ("budi", 2), ("citra", 2), ("dewi", 1))
    await come_back(desk, 5)

    assert ["offered", "waiting", "waiting", "offered"] == await states_of(desk, "ani", "budi", "citra", "dewi")


async def test_hearing_the_same_again_offers_nothing_again(desk: Desk) -> None:
    """
    Kafka delivers at least once.
    """
    await line(desk, ("ani", 1), ("budi", 1))
    released = desk.releases(booking_id("gone"), slot_id=slot_of(desk.room))
    await desk.room.record(released)
    await desk.room.record(released)

    assert 1 == len(await desk.wishes())


async def test_two_recordings_at_once_offer_to_two_families_and_skip_none(desk: Desk) -> None:
    """
    Whoever offers to a line is alone with it: three places in three partitions are the first three families.
    """
    await line(desk, *((name, 1) for name in ("ani", "budi", "citra", "dewi")))
    slot_id = slot_of(desk.room)
    await asyncio.gather(
        *(
            desk.room.record(desk.releases(booking_id("gone"), slot_id=slot_id, partition=partition))
            for partition in (3, 4, 5)
        )
    )

    assert ["offered", "offered", "offered", "waiting"] == await states_of(desk, "ani", "budi", "citra", "dewi")
    assert 3 == len({wish["booking_id"] for wish in await desk.wishes()})


async def test_grown_capacity_is_offered_too(desk: Desk) -> None:
    """
    An office that gives more places gives them to those who wait first.
    """
    await line(desk, ("ani", 1), ("budi", 1))
    await desk.room.record(desk.applies(slot_of(desk.room), free=0))
    nothing = await desk.wishes()
    await desk.room.record(desk.applies(slot_of(desk.room), free=1))

    assert [] == nothing
    assert ["offered", "waiting"] == await states_of(desk, "ani", "budi")


async def test_a_place_of_another_service_day_or_channel_is_nothing_to_wait_for(desk: Desk) -> None:
    """
    Lines are by office and service, entries by days; walk-in and priority places are the officers'.
    """
    await line(desk, ("ani", 1))
    slot_id = slot_of(desk.room)
    other_day = next(s for s in await desk.room.slots() if s.endswith(".regular.online") and s[:16] != slot_id[:16])
    for other in (slot_id.replace("regular", "electronic"), slot_id.replace("online", "priority"), other_day):
        await desk.room.record(desk.releases(booking_id("gone"), slot_id=other))

    assert [] == await desk.wishes()


async def test_an_offer_stands_as_long_as_the_setting_says(desk: Desk) -> None:
    """
    WAITLIST_HOLD_SECONDS reaches the wish.
    """
    await line(desk, ("ani", 1))
    released = desk.releases(booking_id("gone"), slot_id=slot_of(desk.room))
    await record(desk.room.db, desk.room.visits, [released], waitlist_hold=dt.timedelta(minutes=5))
    [wish] = await desk.wishes()

    assert 300 == round((wish["pay_by_ms"] - wish["at_ms"]) / 1000)


async def test_a_displaced_offer_is_nobodys_turn_taken(desk: Desk) -> None:
    """
    Quota gave places booking found taken: the family is back where it was in line.
    """
    await line(desk, ("ani", 1), ("budi", 1))
    await come_back(desk)
    await desk.room.record(desk.gives(await desk.wish(), seats=(1,)))
    await waitlisting.sweep(desk.room.db)
    waiting = await entry_of(desk, "ani")

    assert ("waiting", 1) == (waiting["state"], waiting["position"])


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
            day = dt.date.fromisoformat(day_of(room))
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
        await come_back(desk, seats)
        left = seats
        for family in list(waiting):
            if family[1] <= left:
                left -= family[1]
                waiting.remove(family)
        still = [
            number
            for number, _ in enumerate(sizes)
            if Standing.WAITING.value == (await entry_of(desk, str(number)))["state"]
        ]
        assert [number for number, _ in waiting] == still
