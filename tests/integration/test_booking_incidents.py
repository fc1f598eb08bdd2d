"""
Hours in which an office could not serve excuse everybody booked in them, before the day is over and after.
"""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from aiohttp import ClientResponse

from contracts.events import BookingNoShow, BookingPardoned
from services.booking.domain.lifecycle import State
from services.booking.stores import bookings
from services.booking.stores import incidents as store
from services.booking.stores.bookings import Step
from services.booking.use_cases import incidents, no_shows
from tests.conftest import Eventually
from tests.integration.booking_desk import Client, act, as_staff, audit_lines, confirm, desk_client, shift
from tests.integration.booking_room import Room, booking_id, booking_room

_EARLY = dt.timezone(dt.timedelta(hours=14))


@pytest.fixture
async def room(database: str) -> AsyncIterator[Room]:
    async with booking_room(database) as opened:
        yield opened


@pytest.fixture
async def client(room: Room) -> AsyncIterator[Client]:
    async with desk_client(room) as opened:
        yield opened


async def _sweep(room: Room) -> int:
    return len(await no_shows.sweep(room.db, block_days=30, grace_seconds=0))


async def _hours(room: Room, slot_id: str) -> dict[str, dt.datetime]:
    async with room.db.connection() as connection:
        row = await connection.fetchrow("SELECT starts_at, ends_at FROM slot WHERE slot_id = $1", slot_id)
    return {"starts_at": row["starts_at"], "ends_at": row["ends_at"]}


async def _declare(client: Client, hours: Mapping[str, dt.datetime], **more: Any) -> ClientResponse:
    body = {name: moment.isoformat() for name, moment in hours.items()}
    return await act(client, "incidents", body={"kind": "outage", "reason": "no power", **body, **more})


async def test_who_was_booked_in_an_outage_is_not_blocked(room: Room, client: Client) -> None:
    """
    Declared while the day runs: when it ends, the booking ends pardoned, and its block is over as it begins.
    """
    await confirm(room, "one")
    await shift(room, 1)
    declared = await _declare(client, await _hours(room, room.slot_id))
    body = await declared.json()
    swept = await _sweep(room)
    missed, pardoned = await room.event("one", BookingNoShow), await room.event("one", BookingPardoned)

    assert (201, 0, 1) == (declared.status, body["pardoned"], body["awaited"])
    assert (1, "no_show") == (swept, await room.state("one"))
    assert isinstance(missed, BookingNoShow)
    assert isinstance(pardoned, BookingPardoned)
    assert missed.blocked_until_ms <= missed.at_ms
    assert "incident" == pardoned.reason
    assert ["booking.no_show.v1", "booking.pardoned.v1"] == (await room.told("one"))[-2:]
    assert 0 == await room.count("SELECT count(*) FROM booking_person")


async def test_who_was_blocked_before_it_was_declared_is_pardoned_then(room: Room, client: Client) -> None:
    """
    At once, in the same transaction, and counted.
    """
    await confirm(room, "one")
    await shift(room, 1)
    await _sweep(room)
    declared = await _declare(client, await _hours(room, room.slot_id))

    assert (201, 1) == (declared.status, (await declared.json())["pardoned"])
    assert "booking.pardoned.v1" == (await room.told("one"))[-1]
    assert 1 == await room.count("SELECT count(*) FROM booking WHERE pardoned_at IS NOT NULL")


async def test_other_hours_and_other_offices_are_not_excused(room: Room, client: Client) -> None:
    """
    An incident covers the sessions it meets at its own office; touching the end of one is not meeting it.
    """
    east = (await room.slots(office_id="jayapura"))[0]
    await confirm(room, "here")
    await confirm(room, "east", slot_id=east)
    await shift(room, 1)
    await shift(room, 1, office_id="jayapura")
    hours = await _hours(room, room.slot_id)
    after = {"starts_at": hours["ends_at"], "ends_at": hours["ends_at"] + dt.timedelta(hours=9)}
    before = {"starts_at": hours["starts_at"] - dt.timedelta(hours=9), "ends_at": hours["starts_at"]}
    answers = [await _declare(client, after), await _declare(client, before)]
    await _sweep(room)

    assert [(201, 0, 0)] * 2 == [
        (each.status, (body := await each.json())["pardoned"], body["awaited"]) for each in answers
    ]
    assert 2 == await room.count("SELECT count(*) FROM booking WHERE state = 'no_show' AND pardoned_at IS NULL")


async def test_a_part_of_a_session_is_enough(room: Room, client: Client) -> None:
    """
    Ten minutes without power can be the ten in which the family was called.
    """
    await confirm(room, "one")
    await shift(room, 1)
    ends_at = (await _hours(room, room.slot_id))["ends_at"]
    declared = await _declare(client, {"starts_at": ends_at - dt.timedelta(minutes=10), "ends_at": ends_at})

    assert 1 == (await declared.json())["awaited"]


async def test_a_closed_day_blocks_nobody(room: Room) -> None:
    """
    Slots that were closed served nobody, whoever was booked there.
    """
    await confirm(room, "one")
    await shift(room, 1)
    async with room.db.connection() as connection:
        await connection.execute("UPDATE slot SET closed = true WHERE slot_id = $1", room.slot_id)
    await _sweep(room)

    assert "booking.pardoned.v1" == (await room.told("one"))[-1]


async def test_the_worker_pardons_what_one_answer_could_not(
    room: Room, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A bounded number at once; the rest follows, each told once, and then the incident is settled.
    """
    monkeypatch.setattr(incidents, "PARDONED_AT_ONCE", 4)
    for n in range(1, 11):
        await confirm(room, f"n{n}", seats=(n,))
    await shift(room, 1)
    await _sweep(room)
    declared = await _declare(client, await _hours(room, room.slot_id))
    rounds = [await incidents.settle_one(room.db) for _ in range(3)]

    assert 4 == (await declared.json())["pardoned"]
    assert [4, 2, None] == [None if part is None else len(part) for part in rounds]
    assert 10 == (await room.told()).count("booking.pardoned.v1")
    assert 1 == await room.count("SELECT count(*) FROM incident WHERE settled_at IS NOT NULL")


async def test_a_sweep_and_an_incident_at_the_same_moment_block_nobody(room: Room, client: Client) -> None:
    """
    Whichever comes first, nobody it covers stays blocked.
    """
    for n in range(1, 21):
        await confirm(room, f"n{n}", seats=(n,))
    await shift(room, 1)
    hours = await _hours(room, room.slot_id)
    await asyncio.gather(_sweep(room), _declare(client, hours), _sweep(room))
    await _sweep(room)

    assert 20 == await room.count("SELECT count(*) FROM booking WHERE state = 'no_show' AND pardoned_at IS NOT NULL")
    assert 20 == (await room.told()).count("booking.pardoned.v1")


async def test_an_incident_waits_for_the_sweep_under_way(room: Room, client: Client, eventually: Eventually) -> None:
    """
    A sweep that has looked for incidents and found none may still block; who it blocks is pardoned as it is declared.
    """
    await confirm(room, "one")
    await shift(room, 1)
    hours = await _hours(room, room.slot_id)

    async def waits() -> bool:
        sql = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'booking.incident'::regclass"
        return 1 == await room.count(sql)

    async with room.db.transaction() as connection:
        over = await store.slots_over(connection, grace_seconds=0)
        missed = await store.lock_missed(connection, over, block_days=30, limit=10)
        declaring = asyncio.create_task(_declare(client, hours))
        await eventually(waits)
        steps = [Step(booking_id=one.booking_id, blocked_until=one.blocked_until) for one in missed]
        await bookings.move(connection, steps, to=State.NO_SHOW, come_from=(State.CONFIRMED,))
    declared = await declaring

    assert [False] == [one.excused for one in missed]
    assert 1 == (await declared.json())["pardoned"]


async def test_an_incident_is_declared_once_and_listed(room: Room, client: Client) -> None:
    """
    The same key is the same incident; officers and auditors see who declared it and why.
    """
    hours = await _hours(room, room.slot_id)
    body = {name: moment.isoformat() for name, moment in hours.items()} | {"kind": "disaster", "reason": "flood"}
    first = await act(client, "incidents", body=body, key="incident-1")
    again = await act(client, "incidents", body=body, key="incident-1")
    listed = await client.get("/v1/offices/bandung/incidents", headers=as_staff("auditor"))
    [shown] = (await listed.json())["incidents"]
    incident = (await first.json())["incident"]

    assert (201, "true", shown) == (first.status, again.headers["Idempotency-Replayed"], incident)
    assert ("disaster", "flood", "acc_officer") == (shown["kind"], shown["reason"], shown["declared_by"])
    assert hours["starts_at"] == dt.datetime.fromisoformat(shown["starts_at"])
    assert [("declare_incident", incident["incident_id"], "flood")] == await audit_lines(room)


async def test_what_cannot_be_an_incident_is_refused(room: Room, client: Client) -> None:
    """
    Backwards, without an offset, too long, without a reason, or by somebody who is no officer there.
    """
    hours = await _hours(room, room.slot_id)
    backwards = await _declare(client, {"starts_at": hours["ends_at"], "ends_at": hours["starts_at"]})
    zoneless = await _declare(client, {name: moment.replace(tzinfo=None) for name, moment in hours.items()})
    long = await _declare(client, {**hours, "ends_at": hours["starts_at"] + dt.timedelta(days=8)})
    silent = await _declare(client, hours, reason="")
    body = {name: moment.isoformat() for name, moment in hours.items()} | {"kind": "other", "reason": "x"}
    stranger = await client.post("/v1/offices/bandung/incidents", json=body, headers=as_staff("officer:jayapura"))
    unknown = await client.post("/v1/offices/atlantis/incidents", json=body, headers=as_staff("officer"))

    nul = await _declare(client, hours, reason="a\x00b")
    ancient = await _declare(client, {name: dt.datetime.min.replace(tzinfo=_EARLY) for name in hours})

    assert [400] * 6 == [each.status for each in (backwards, zoneless, long, silent, nul, ancient)]
    assert (403, 404) == (stranger.status, unknown.status)
    assert 0 == await room.count("SELECT count(*) FROM incident")


async def test_a_pardoned_family_may_reserve_again(room: Room, client: Client) -> None:
    """
    The index of busy people no longer holds them.
    """
    await confirm(room, "one", persons=("per_x",))
    await shift(room, 1)
    await _declare(client, await _hours(room, room.slot_id))
    await _sweep(room)
    await room.record(room.held("next", persons=("per_x",), slot_id=(await room.slots())[-1]))

    assert "held" == await room.state("next")
    assert booking_id("one") != booking_id("next")
