"""
Quota's decisions become bookings: once each, in order, and never dropped.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from contracts.events import BookingDisplaced, BookingHeld
from kernel.migrate import migrate
from kernel.postgres import database as open_database
from kernel.settings import PostgresSettings
from services.booking import metrics
from services.booking.stores.statements import MIGRATIONS
from tests.integration.booking_room import Room, booking_id, booking_room


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
    assert 1 == await room.count("SELECT count(*) FROM booking_person")


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


async def test_one_ill_hold_in_a_large_batch_is_displaced_alone(room: Room) -> None:
    """
    The others are found by halves and recorded; each of them is told once.
    """
    await room.record(room.held("before", seats=(1,), persons=("per_x",)))
    batch = [room.held(f"n{n}", seats=(n,), persons=("per_x",) if n == 77 else None) for n in range(2, 131)]
    await room.record(*batch)

    assert ("displaced", 129) == (await room.state("n77"), await room.count("SELECT count(*) FROM booking_seat"))
    assert 129 == await room.count("SELECT count(*) FROM booking WHERE state = 'held'")
    assert {"booking.held.v1": 129, "booking.displaced.v1": 1} == Counter(await room.told())
    assert 130 == await room.watermark()


async def test_a_large_batch_is_told_as_a_small_one(room: Room) -> None:
    """
    However many are written at once, each booking has its seats, its people and its own event.
    """
    batch = [room.held(f"n{n}", seats=(2 * n, 2 * n + 1)) for n in range(1, 131)]
    await room.record(*batch)

    event = await room.event("n70", BookingHeld)
    assert isinstance(event, BookingHeld)
    assert (booking_id("n70"), (140, 141), ("per_n70_140", "per_n70_141"), "held", 1) == (
        event.booking.booking_id,
        event.booking.seats,
        event.booking.person_ids,
        event.booking.state,
        event.booking.version,
    )
    assert ["booking.held.v1"] * 130 == await room.told()
    assert (260, 260) == (
        await room.count("SELECT count(*) FROM booking_seat"),
        await room.count("SELECT count(*) FROM booking_person"),
    )
    assert 0 == await room.count(
        "SELECT count(*) FROM booking WHERE ms_of_told <> floor(extract(epoch FROM changed_at) * 1000)".replace(
            "ms_of_told", str(event.at_ms)
        )
    )


async def test_a_changed_plan_is_told_from_then_on(room: Room) -> None:
    """
    What a worker remembers of a slot is asked for again when its version has moved.
    """
    await room.record(room.held("before"))
    async with room.db.connection() as connection:
        await connection.execute(
            "UPDATE slot SET city = 'Elsewhere', version = version + 1 WHERE slot_id = $1", room.slot_id
        )
    await room.record(room.held("after", seats=(2,)))
    before, after = await room.event("before", BookingHeld), await room.event("after", BookingHeld)

    assert isinstance(before, BookingHeld)
    assert isinstance(after, BookingHeld)
    assert "Elsewhere" != before.booking.city
    assert "Elsewhere" == after.booking.city


async def test_a_slot_planned_after_a_stray_hold_is_known_from_then_on(room: Room) -> None:
    """
    That a slot is unknown is never remembered.
    """
    slot_id = "bandung.20991231.morning.regular.online"
    await room.record(room.held("stray", slot_id=slot_id))
    async with room.db.connection() as connection:
        # What Postgres works out by itself cannot be copied.
        columns = await connection.fetchval(
            "SELECT string_agg(attname, ', ') FROM pg_attribute"
            " WHERE attrelid = 'slot'::regclass AND attnum > 0 AND attgenerated = '' AND NOT attisdropped"
        )
        copied = ", ".join(f"other.{name}" for name in columns.split(", "))
        await connection.execute(
            f"INSERT INTO slot ({columns}) SELECT {copied} FROM slot AS s,"  # noqa: S608 - the table's own names
            " jsonb_populate_record(s, jsonb_build_object('slot_id', $2::text)) AS other WHERE s.slot_id = $1",
            room.slot_id,
            slot_id,
        )
    await room.record(room.held("known", slot_id=slot_id))

    assert ("displaced", "held") == (await room.state("stray"), await room.state("known"))


async def test_history_holds_every_step_and_each_once(room: Room) -> None:
    """
    The step a booking stands on is in its row, those behind it in a table; a change that is no step adds none.
    """
    await room.record(room.held("one"))
    await room.hear_payment(room.invoice("one"), room.paid("one"))
    async with room.db.connection() as connection:
        await connection.execute("UPDATE booking SET pay_by = pay_by + interval '1 second'")
        rows = await connection.fetch("SELECT version, state FROM booking_history ORDER BY version")

    assert [(1, "held"), (2, "awaiting_payment"), (3, "confirmed")] == [tuple(row) for row in rows]


async def test_bookings_of_before_keep_their_history_through_the_upgrade(database: str, tmp_path: Path) -> None:
    """
    The step a booking stands on moves into its row, those behind it stay, and the next one follows.
    """
    for file in sorted(MIGRATIONS.glob("000[12]_*.sql")):
        (tmp_path / file.name).write_text(file.read_text())
    settings = PostgresSettings(url=database)
    await migrate(settings, schema="booking", folder=tmp_path)
    history = "SELECT version, state FROM booking_history ORDER BY version"
    async with open_database(settings, schema="booking") as db:
        async with db.connection() as connection:
            await connection.execute(
                "INSERT INTO booking (booking_id, account_id, slot_id, seats, person_ids, state, pay_by, held_at,"
                " partition, epoch, seq) VALUES ('b', 'a', 's', '{1}', '{p}', 'held', now(), now(), 0, 1, 1)"
            )
            await connection.execute(
                "UPDATE booking SET state = 'cancelled', version = 2, reason = 'other', changed_at = clock_timestamp()"
            )
            before = await connection.fetch(history)
        await migrate(settings, schema="booking", folder=MIGRATIONS)
        async with db.connection() as connection:
            after = await connection.fetch(history)
            await connection.execute(
                "UPDATE booking SET state = 'paid_no_seat', version = 3, ntpn = 'n', paid_at = now(), amount_rupiah = 1"
                ", unseated_at = now()"
            )
            last = await connection.fetch(history)

    assert [(1, "held"), (2, "cancelled")] == [tuple(row) for row in before] == [tuple(row) for row in after]
    assert [(1, "held"), (2, "cancelled"), (3, "paid_no_seat")] == [tuple(row) for row in last]
