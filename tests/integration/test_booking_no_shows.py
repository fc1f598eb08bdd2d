"""
Who does not come is blocked for some weeks: after the day, once, by the calendar of the office, until he is pardoned.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from contracts.events import BookingNoShow, BookingPardoned
from services.booking.domain.record import BookingRecord
from services.booking.use_cases import no_shows
from tests.conftest import Eventually
from tests.integration.booking_desk import (
    Client,
    act,
    as_staff,
    audit_lines,
    check_in,
    confirm,
    desk_client,
    shift,
)
from tests.integration.booking_room import Room, booking_id, booking_room

DAYS = 30


@pytest.fixture
async def room(database: str) -> AsyncIterator[Room]:
    async with booking_room(database) as opened:
        yield opened


@pytest.fixture
async def client(room: Room) -> AsyncIterator[Client]:
    async with desk_client(room) as opened:
        yield opened


async def _sweep(room: Room, *, grace_seconds: float = 0) -> list[BookingRecord]:
    return await no_shows.sweep(room.db, block_days=DAYS, grace_seconds=grace_seconds)


async def _end_day(room: Room, seconds_ago: float, *, office_id: str = "bandung") -> None:
    """
    The last session of an office's first day ended so long ago; the others long before.
    """
    async with room.db.connection() as connection:
        await connection.execute(
            """
            WITH day AS (SELECT min(date) AS date FROM slot WHERE office_id = $1)
            UPDATE slot AS s SET
                starts_at = clock_timestamp() - make_interval(hours => 9),
                ends_at = clock_timestamp() - CASE
                    WHEN s.ends_at = (SELECT max(l.ends_at) FROM slot AS l JOIN day USING (date) WHERE l.office_id = $1)
                    THEN make_interval(secs => $2) ELSE make_interval(hours => 8) END
            FROM day
            WHERE s.office_id = $1 AND s.date = day.date
            """,
            office_id,
            seconds_ago,
        )


async def test_a_sandboxs_day_ends_at_once(room: Room) -> None:
    """
    Whoever was confirmed for it is a no-show, and nobody of another office.
    """
    await confirm(room, "one")
    async with room.db.connection() as connection:
        day = await connection.fetchval(
            "SELECT s.date FROM booking AS b JOIN slot AS s USING (slot_id) WHERE b.booking_id = $1", booking_id("one")
        )

    assert 0 == await no_shows.end_day(room.db, "makassar", day, block_days=DAYS)
    assert 1 == await no_shows.end_day(room.db, "bandung", day, block_days=DAYS)
    assert 1 == await room.count("SELECT count(*) FROM booking WHERE state = 'no_show'")


async def test_who_did_not_come_is_blocked_for_thirty_days(room: Room) -> None:
    """
    Counted from the day of the visit, to midnight at the office; the number stays taken, the people are busy no more.
    """
    await confirm(room, "one")
    await shift(room, 1)
    [swept] = await _sweep(room)
    event = await room.event("one", BookingNoShow)
    until = await room.count(
        """
        SELECT (extract(epoch FROM (date + 30)::timestamp AT TIME ZONE 'Asia/Jakarta') * 1000)::bigint
        FROM slot WHERE slot_id = $1
        """,
        room.slot_id,
    )

    assert ("no_show", booking_id("one")) == (await room.state("one"), swept.booking_id)
    assert isinstance(event, BookingNoShow)
    assert until == event.blocked_until_ms
    assert 0 == await room.count("SELECT count(*) FROM booking_person")
    assert 1 == await room.count("SELECT count(*) FROM booking_seat")


async def test_nobody_is_blocked_before_the_last_session_and_its_grace_are_over(room: Room) -> None:
    """
    A morning's booking waits for the office's whole day: queues run late.
    """
    await confirm(room, "one")
    await _end_day(room, -3600)
    before_the_end = await _sweep(room)
    await _end_day(room, 600)
    within_grace = await _sweep(room, grace_seconds=1200)
    after = await _sweep(room, grace_seconds=300)

    assert ([], [], 1) == (before_the_end, within_grace, len(after))


async def test_only_who_was_awaited_is_swept(room: Room, client: Client) -> None:
    """
    Who came, who had not paid and who is booked for later stay as they are.
    """
    later = (await room.slots())[-1]
    await confirm(room, "came", seats=(1,))
    await confirm(room, "later", seats=(1,), slot_id=later)
    await confirm(room, "missed", seats=(2,))
    await room.record(room.held("unpaid", seats=(3,)))
    await shift(room, 0)
    assert 200 == (await check_in(client, "came")).status
    await shift(room, 1)
    swept = await _sweep(room)

    assert [booking_id("missed")] == [record.booking_id for record in swept]
    assert ["checked_in", "confirmed", "no_show", "held"] == [
        await room.state(name) for name in ("came", "later", "missed", "unpaid")
    ]


async def test_many_sweepers_block_each_booking_once(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A bounded number at a time; each takes what no other has in hand.
    """
    monkeypatch.setattr(no_shows, "SWEEP_ROWS_MAX", 10)
    for n in range(1, 31):
        await confirm(room, f"n{n}", seats=(n,))
    await shift(room, 1)
    rounds = [await asyncio.gather(*(_sweep(room) for _ in range(3))) for _ in range(4)]
    sizes = [len(part) for parts in rounds for part in parts]

    assert (30, True) == (sum(sizes), max(sizes) <= 10)
    assert 30 == (await room.told()).count("booking.no_show.v1")


async def test_a_desk_and_a_sweep_at_the_same_moment_leave_one_truth(room: Room, client: Client) -> None:
    """
    A family at the desk as the day ends is seen or blocked, never both.
    """
    names = [f"n{n}" for n in range(1, 21)]
    for n, name in enumerate(names, start=1):
        await confirm(room, name, seats=(n,))
    await shift(room, 0)
    await _end_day(room, 60)
    seen, _ = await asyncio.gather(asyncio.gather(*(check_in(client, name) for name in names)), _sweep(room))
    await _sweep(room)
    states = [await room.state(name) for name in names]

    assert {"checked_in", "no_show"} >= set(states)
    assert [200 if state == "checked_in" else 409 for state in states] == [answer.status for answer in seen]
    assert states.count("no_show") == (await room.told()).count("booking.no_show.v1")


async def test_the_worker_sweeps_by_itself(room: Room, eventually: Eventually) -> None:
    """
    The task ends a day that is over without being asked.
    """
    await confirm(room, "one")
    await shift(room, 1)
    sweeper = asyncio.create_task(no_shows.sweep_for_ever(room.db, block_days=DAYS, grace_seconds=0))

    async def ended() -> bool:
        return "no_show" == await room.state("one")

    await eventually(ended)
    sweeper.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await sweeper


async def test_days_long_over_are_not_looked_at_again(room: Room) -> None:
    """
    Once nobody is awaited, a sweep finds no slot at all.
    """
    await confirm(room, "one")
    await shift(room, 400)
    first, second = await _sweep(room), await _sweep(room)

    assert (1, 0) == (len(first), len(second))


async def test_an_officer_pardons_on_appeal(room: Room, client: Client) -> None:
    """
    The block is lifted once, with a reason in the audit log and a word of ours in the event.
    """
    await confirm(room, "one")
    await shift(room, 1)
    await _sweep(room)
    path = f"bookings/{booking_id('one')}/pardon"
    nameless = await act(client, path, body={})
    pardoned = await act(client, path, body={"reason": "was in hospital, letter seen"}, key="appeal-0001")
    replayed = await act(client, path, body={"reason": "was in hospital, letter seen"}, key="appeal-0001")
    again = await act(client, path, body={"reason": "twice"})
    event = await room.event("one", BookingPardoned)

    assert (400, 200, 200, 409) == tuple(each.status for each in (nameless, pardoned, replayed, again))
    assert (await pardoned.json())["pardoned_at"].endswith("+07:00")
    assert isinstance(event, BookingPardoned)
    assert "appeal" == event.reason
    assert [("pardon_booking", booking_id("one"), "was in hospital, letter seen")] == await audit_lines(room)
    assert ["held", "confirmed", "no_show", "no_show"] == [
        row["state"]
        for row in await _rows(room, "SELECT state FROM booking_history WHERE booking_id = $1 ORDER BY version")
    ]


async def test_the_family_sees_until_when_it_is_blocked_and_that_it_is_pardoned(room: Room, client: Client) -> None:
    """
    Its own booking says so, in the office's time.
    """
    await confirm(room, "one")
    await shift(room, 1)
    await _sweep(room)
    async with room.db.connection() as connection:
        await connection.execute("UPDATE booking SET account_id = 'acc_officer'")
    blocked = await (await client.get(f"/v1/bookings/{booking_id('one')}", headers=as_staff())).json()
    await act(client, f"bookings/{booking_id('one')}/pardon", body={"reason": "was in hospital"})
    pardoned = await (await client.get(f"/v1/bookings/{booking_id('one')}", headers=as_staff())).json()

    assert ("no_show", "00:00:00+07:00") == (blocked["state"], blocked["blocked_until"].partition("T")[2])
    assert "pardoned_at" not in blocked
    assert pardoned["pardoned_at"].endswith("+07:00")


async def test_who_is_not_blocked_is_not_pardoned(room: Room, client: Client) -> None:
    """
    Nor by anybody but an officer of the office.
    """
    await confirm(room, "one")
    path = f"bookings/{booking_id('one')}/pardon"
    early = await act(client, path, body={"reason": "asked early"})
    by_auditor = await client.post(
        f"/v1/offices/bandung/{path}", json={"reason": "mine"}, headers=as_staff("auditor", "officer:jayapura")
    )

    assert (409, "confirmed") == (early.status, (await early.json())["state"])
    assert 403 == by_auditor.status
    assert [] == await audit_lines(room)


async def _rows(room: Room, sql: str) -> list[dict[str, str]]:
    async with room.db.connection() as connection:
        return [dict(row) for row in await connection.fetch(sql, booking_id("one"))]
