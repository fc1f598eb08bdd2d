"""
Quota's decisions become bookings: once each, in order, and never dropped.
"""

import asyncio
from collections.abc import AsyncIterator

import pytest

from contracts.events import BookingDisplaced, BookingHeld
from services.booking import metrics
from tests.integration.booking_room import Room, booking_room


@pytest.fixture
async def room(database: str) -> AsyncIterator[Room]:
    async with booking_room(database) as opened:
        yield opened


async def test_a_family_is_recorded_with_its_seats_and_told(room: Room) -> None:
    """
    The event carries everything a reader needs, persons and seats in one order.
    """
    await room.record(room.held("family", seats=(3, 4), persons=("per_b", "per_a")))

    event = await room.event("family", BookingHeld)
    assert isinstance(event, BookingHeld)
    assert "held" == await room.state("family")
    assert (("per_b", "per_a"), (3, 4)) == (event.booking.person_ids, event.booking.seats)
    assert ("bandung", "Asia/Jakarta", room.slot_id) == (
        event.booking.office_id,
        event.booking.timezone,
        event.booking.slot_id,
    )
    assert event.booking.starts_at.endswith("+07:00")
    assert 1 == await room.watermark()


async def test_a_repeated_batch_changes_nothing(room: Room) -> None:
    """
    Kafka delivers at least once; the effect happens once.
    """
    batch = [room.held("one"), room.held("two", seats=(2,))]
    await room.record(*batch)
    await room.record(*batch)
    await room.record(batch[1])

    assert ["booking.held.v1", "booking.held.v1"] == await room.told()
    assert 2 == await room.watermark()
    assert 2 == await room.count("SELECT count(*) FROM booking_history")


async def test_behind_a_gap_nothing_is_taken_until_it_is_filled(room: Room) -> None:
    """
    A missing decision might be the one the next depends on.
    """
    gaps_before = metrics.sequence_gaps._value.get()
    await room.record(
        room.held("one", seq=1), room.held("three", seats=(3,), seq=3), room.held("four", seats=(4,), seq=4)
    )

    assert (1, "held", None, None) == (
        await room.watermark(),
        await room.state("one"),
        await room.state("three"),
        await room.state("four"),
    )
    assert gaps_before + 1 == metrics.sequence_gaps._value.get()

    await room.record(
        room.held("two", seats=(2,), seq=2), room.held("three", seats=(3,), seq=3), room.held("four", seats=(4,), seq=4)
    )
    assert (4, "held") == (await room.watermark(), await room.state("four"))


async def test_a_gap_in_one_partition_does_not_stop_another(room: Room) -> None:
    """
    Partitions are counted apart.
    """
    await room.record(room.held("gap", seq=9, partition=3), room.held("fine", seats=(2,), seq=1, partition=4))

    assert (None, "held") == (await room.state("gap"), await room.state("fine"))


async def test_a_new_epoch_counts_from_one(room: Room) -> None:
    """
    After a rebuild quota numbers its decisions anew.
    """
    await room.record(room.held("old", seq=1))
    await room.record(room.held("new", seats=(2,), seq=1, epoch=2))

    assert (1, 1) == (await room.watermark(epoch=1), await room.watermark(epoch=2))
    assert "held" == await room.state("new")


async def test_a_taken_seat_displaces_the_later_and_leaves_the_rest_of_the_batch(room: Room) -> None:
    """
    Never a second appointment, never a lost one, never a stopped partition.
    """
    await room.record(room.held("first", seats=(1, 2)))
    await room.record(room.held("late", seats=(2, 3)), room.held("other", seats=(3, 4)))

    displaced = await room.event("late", BookingDisplaced)
    assert isinstance(displaced, BookingDisplaced)
    assert ("held", "displaced", "held") == (
        await room.state("first"),
        await room.state("late"),
        await room.state("other"),
    )
    assert "seat_taken" == displaced.reason
    assert ["booking.displaced.v1"] == await room.told("late")
    assert 3 == await room.watermark()


async def test_a_busy_person_displaces_the_later(room: Room) -> None:
    """
    One active booking per person in the whole country, whatever quota thought.
    """
    await room.record(room.held("first", persons=("per_x",)), room.held("second", seats=(2,), persons=("per_x",)))

    displaced = await room.event("second", BookingDisplaced)
    assert isinstance(displaced, BookingDisplaced)
    assert ("held", "displaced", "person_busy") == (
        await room.state("first"),
        await room.state("second"),
        displaced.reason,
    )
    assert 1 == await room.count("SELECT count(*) FROM booking_person WHERE active")


async def test_places_of_a_slot_nobody_planned_are_named(room: Room) -> None:
    """
    They are recorded as displaced, with what their id tells.
    """
    await room.record(room.held("stray", slot_id="nowhere.20261130.morning.regular.online"), room.held("fine"))

    displaced = await room.event("stray", BookingDisplaced)
    assert isinstance(displaced, BookingDisplaced)
    assert ("slot_unknown", "nowhere", "2026-11-30") == (
        displaced.reason,
        displaced.booking.office_id,
        displaced.booking.date,
    )
    assert "held" == await room.state("fine")


async def test_the_same_reservation_announced_under_a_new_number_is_one_booking(room: Room) -> None:
    """
    A rebuilt quota may tell a hold again; the id says it is the same.
    """
    await room.record(room.held("one", seq=1), room.held("one", seq=2))

    assert ["booking.held.v1"] == await room.told("one")
    assert 2 == await room.watermark()


async def test_two_readers_of_one_partition_record_each_hold_once(room: Room) -> None:
    """
    During a rebalance two workers may hold the same messages.
    """
    batch = [room.held(f"n{n}", seats=(n,)) for n in range(1, 21)]
    await asyncio.gather(*(room.record(*batch) for _ in range(4)))

    assert 20 == await room.count("SELECT count(*) FROM booking WHERE state = 'held'")
    assert 20 == len(await room.told())


async def test_a_give_back_in_the_batch_of_its_hold_cancels(room: Room) -> None:
    """
    The places are free again at once, and the steps are told in order.
    """
    await room.record(room.held("one", persons=("per_x",)), room.give_back("one"))
    await room.record(room.held("next", persons=("per_x",)))

    assert ["booking.held.v1", "booking.cancelled.v1"] == await room.told("one")
    assert "held" == await room.state("next")


async def test_a_give_back_after_the_payment_is_ignored(room: Room) -> None:
    """
    A confirmed place is given up by cancelling it, not behind booking's back.
    """
    await room.record(room.held("one"))
    await room.hear_payment(room.paid("one"))
    await room.record(room.give_back("one"))

    assert "confirmed" == await room.state("one")
    assert 2 == await room.watermark()
