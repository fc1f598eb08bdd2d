"""
The line itself: who may wait for what, in one place at a time, and what leaving does.
"""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from services.booking.use_cases import waitlisting
from tests.integration.counter_desk import Desk
from tests.integration.waitlist_line import (
    PATH,
    come_back,
    day_of,
    entry_of,
    free,
    join,
    leave,
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


async def test_leaving_moves_the_others_up(desk: Desk) -> None:
    """
    Who has left is offered nothing, may join again at the end, and leaves only his own line.
    """
    await line(desk, ("ani", 1), ("budi", 1))
    entry_id = (await entry_of(desk, "ani"))["entry_id"]
    foreign = await leave(desk, "budi", entry_id=entry_id)
    left = await leave(desk, "ani")
    again = await leave(desk, "ani", entry_id=entry_id)
    await join(desk, "ani")

    assert (404, 200, 200) == (foreign.status, left.status, again.status)
    assert "left" == (await left.json())["state"]
    assert [2, 1] == [(await entry_of(desk, name))["position"] for name in ("ani", "budi")]


async def test_leaving_gives_an_offer_back_even_one_still_under_way(desk: Desk) -> None:
    """
    The booking that comes of it is cancelled, so that the place goes on; nothing is left over.
    """
    await line(desk, ("ani", 1))
    await come_back(desk)
    await leave(desk, "ani")
    nothing_yet = await waitlisting.sweep(desk.room.db)
    wish = await take_up(desk)
    [given_back] = await waitlisting.sweep(desk.room.db)

    assert [] == nothing_yet
    assert (wish["booking_id"], "cancelled", "left_waitlist") == (
        given_back.booking_id,
        given_back.state.value,
        given_back.reason,
    )
    assert [] == await waitlisting.sweep(desk.room.db)
    assert ["left"] == await states_of(desk, "ani")
    assert 0 == await desk.room.count("SELECT count(*) FROM waitlist_entry WHERE ended_at IS NULL")


async def test_entries_for_days_that_are_over_end(desk: Desk) -> None:
    """
    Nobody waits for yesterday.
    """
    await line(desk, ("ani", 1), ("budi", 1))
    async with desk.room.db.transaction() as connection:
        await connection.execute(
            "UPDATE waitlist_entry SET first_day = '2020-01-01', last_day = '2020-01-02' WHERE account_id = 'acc_ani'"
        )
    await waitlisting.sweep(desk.room.db)

    assert ["over", "waiting"] == await states_of(desk, "ani", "budi")


async def test_one_waits_in_one_line_at_a_time(desk: Desk) -> None:
    """
    One live entry per account, and per person whoever's account; the same key gives the same entry.
    """
    first = await join(desk, "ani", key="key-00001")
    again = await join(desk, "ani", key="key-00001")
    twice = await join(desk, "ani")
    shared = await desk.post(
        PATH,
        {
            "office_id": "bandung",
            "service": "electronic",
            "first_day": day_of(desk.room),
            "last_day": day_of(desk.room),
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
    await free(desk, 1, 2)
    two, three = await join(desk, "ani", 2), await join(desk, "budi", 3)
    said = await two.json()

    assert (409, "places_left", [slot_of(desk.room)]) == (two.status, said["code"], said["slot_ids"])
    assert 201 == three.status


async def test_a_person_with_a_booking_does_not_wait_for_another(desk: Desk) -> None:
    """
    One active booking per person in the whole country.
    """
    elsewhere = (await desk.room.slots(office_id="jayapura"))[0]
    await desk.room.record(desk.room.held("elsewhere", persons=("per_ani0",), slot_id=elsewhere))
    response = await join(desk, "ani", 2)
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
    response = await join(desk, "ani", **change)

    assert (status, code) == (response.status, (await response.json())["code"])


async def test_who_joined_before_a_slot_was_on_sale_has_no_head_start(desk: Desk) -> None:
    """
    A slot that opens later is opened for everybody at once.
    """
    await line(desk, ("ani", 1))
    async with desk.room.db.transaction() as connection:
        await connection.execute("UPDATE slot SET opens_at = clock_timestamp() WHERE slot_id = $1", slot_of(desk.room))
    await desk.room.record(desk.applies(slot_of(desk.room), free=20))

    assert [] == await desk.wishes()
