"""
People who came without a booking while there was no network: kept on record, placed once, listed where there is none.
"""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from aiohttp import ClientResponse

from contracts.envelope import Envelope
from contracts.events import PaymentReceived, PlacesWanted
from services.booking.stores.visits import Visits
from services.booking.use_cases import expiring
from tests.integration.booking_desk import (
    Client,
    act,
    as_staff,
    audit_lines,
    confirm,
    desk_client,
    shift,
)
from tests.integration.booking_room import Room, booking_id, booking_room

OFFICE = "/v1/offices/bandung"
UPLOADS = "day-leaf/uploads"
NOTED = {
    "entry_id": "leaf-0001",
    "service": "regular",
    "persons": 2,
    "by": "acc_desk_2",
    "reason": "came from far, line was down",
}


@pytest.fixture
async def room(database: str) -> AsyncIterator[Room]:
    async with booking_room(database) as opened:
        await shift(opened, 1)
        yield opened


@pytest.fixture
async def client(room: Room) -> AsyncIterator[Client]:
    async with desk_client(room) as opened:
        yield opened


async def _at(room: Room, session: str = "midday") -> dt.datetime:
    """
    Five minutes into a session of the office's yesterday.
    """
    async with room.db.connection() as connection:
        moment: dt.datetime = await connection.fetchval(
            "SELECT min(starts_at) + interval '5 minutes' FROM slot WHERE office_id = 'bandung' AND session = $1",
            session,
        )
    return moment


async def _upload(client: Client, *noted: dict[str, Any], key: str | None = None) -> tuple[int, list[dict[str, Any]]]:
    response = await act(client, UPLOADS, body={"reason": "network was down", "walk_ins": list(noted)}, key=key)
    body = await response.json()
    assert response.status in {200, 202}, body
    return response.status, body["walk_ins"]


async def _noted(room: Room, **more: Any) -> dict[str, Any]:
    return {**NOTED, "at": (await _at(room)).isoformat(), **more}


async def _listed(client: Client, at: str) -> list[tuple[str, str]]:
    day = dt.datetime.fromisoformat(at).astimezone(dt.timezone(dt.timedelta(hours=7))).date().isoformat()
    response = await client.get(f"{OFFICE}/day-leaf/walk-ins", params={"date": day}, headers=as_staff("auditor"))
    return [(each["entry_id"], each["outcome"]) for each in (await response.json())["walk_ins"]]


async def _pay(room: Room, wanted: PlacesWanted) -> None:
    said = room.paid("x", ntpn=f"ntpn-{wanted.booking_id}")
    assert isinstance(said.event, PaymentReceived)
    event = msgspec.structs.replace(said.event, booking_id=wanted.booking_id)
    await room.hear_payment(Envelope(event_id=f"p.paid.{wanted.booking_id}", event=event))


async def test_a_walk_in_noted_offline_gets_a_place_and_is_brought_in_once_it_is_paid(
    room: Room, client: Client
) -> None:
    """
    Asked of quota, told what has become of it at every step, served at the hour and by whom it was noted; the same
    upload again is known, and asks for nothing.
    """
    noted = await _noted(room)
    asked = await _upload(client, noted, key="upload-walk-in")
    [wanted] = await room.wanted()
    await room.grant(wanted, seats=(1, 2))
    held = await _upload(client, noted, key="upload-walk-in")
    await _pay(room, wanted)
    merged = await _upload(client, noted, key="upload-walk-in")
    known = await _upload(client, noted)
    async with room.db.connection() as connection:
        seen = await connection.fetchrow("SELECT * FROM check_in WHERE booking_id = $1", wanted.booking_id)

    assert [(202, "pending"), (200, "awaiting_payment"), (200, "merged"), (200, "known")] == [
        (status, walk_in["outcome"]) for status, [walk_in] in (asked, held, merged, known)
    ]
    assert (wanted.booking_id, "served", [1, 2]) == tuple(known[1][0][key] for key in ("booking_id", "state", "seats"))
    assert ("offline", "acc_desk_2", await _at(room)) == (seen["how"], seen["by_account"], seen["at"])
    assert [wanted] == await room.wanted()
    assert [("leaf-0001", "merged")] == await _listed(client, noted["at"])
    assert ["note_walk_in", "check_in_booking", "serve_booking"] == [action for action, _, _ in await audit_lines(room)]


async def test_places_are_those_of_the_hour_and_numbers_handed_out_are_asked_for_first(
    room: Room, client: Client
) -> None:
    """
    One wish for the walk-in slot of that session; who waits for money waits at least as long as everybody, although
    the day is over. Before the first session counts as the first, after the last as the last.
    """
    hours = [
        await _at(room) + dt.timedelta(minutes=110),
        await _at(room, "morning") - dt.timedelta(hours=2),
        await _at(room, "afternoon"),
    ]
    hours[2] += dt.timedelta(hours=5)
    for number, at in enumerate(hours):
        await _upload(client, await _noted(room, entry_id=f"leaf-000{number}", at=at.isoformat(), numbers=[3, 2]))
    wishes = await room.wanted()

    assert [
        ["midday", "regular", "walk_in"],
        ["morning", "regular", "walk_in"],
        ["afternoon", "regular", "walk_in"],
    ] == [one.slot_ids[0].split(".")[2:] for one in wishes]
    assert {(1, (3, 2), 2, "walk_in")} == {(len(w.slot_ids), w.seats, len(w.person_ids), w.why) for w in wishes}
    assert all(wish.pay_by_ms >= wish.at_ms + 7_200_000 - 1000 for wish in wishes)


async def test_who_finds_no_place_is_on_record_and_can_be_asked_for_again(room: Room, client: Client) -> None:
    """
    Listed with quota's word; another upload asks once more, under an id of its own, and never two at a time.
    """
    noted = await _noted(room)
    await _upload(client, noted)
    [first] = await room.wanted()
    await room.record(room.refuse(first.booking_id))
    [(entry_id, outcome)] = await _listed(client, noted["at"])
    again = await _upload(client, noted)
    once_more = await _upload(client, noted)
    second = (await room.wanted())[-1]
    await room.grant(second, seats=(1, 2))
    placed = await _upload(client, noted)

    assert ("leaf-0001", "no_place") == (entry_id, outcome)
    assert ["pending", "pending", "awaiting_payment"] == [each["outcome"] for _, [each] in (again, once_more, placed)]
    assert ([first, second], True) == (await room.wanted(), first.booking_id != second.booking_id)
    assert 1 == await room.count("SELECT count(*) FROM booking")
    assert 1 == await room.count("SELECT count(*) FROM offline_walk_in")


async def test_places_that_were_not_free_after_all_are_a_conflict(room: Room, client: Client) -> None:
    """
    Quota gave what booking finds taken: no number is had twice, the note stays.
    """
    for number in (1, 2):
        await _upload(client, await _noted(room, entry_id=f"leaf-000{number}", persons=1))
    for wanted in await room.wanted():
        await room.grant(wanted, seats=(1,))
    noted = await _noted(room)

    assert [("leaf-0001", "awaiting_payment"), ("leaf-0002", "no_place")] == await _listed(client, noted["at"])


async def test_who_does_not_pay_stays_on_record(room: Room, client: Client) -> None:
    """
    The places go back; that the people were there does not.
    """
    noted = await _noted(room)
    await _upload(client, noted)
    [wanted] = await room.wanted()
    await room.grant(wanted, seats=(1, 2))
    async with room.db.connection() as connection:
        await connection.execute("UPDATE booking SET pay_by = clock_timestamp() - interval '1 second'")
    await expiring.sweep(room.db, Visits())
    _, [walk_in] = await _upload(client, noted)

    assert ("unpaid", "expired", 2) == (walk_in["outcome"], walk_in["state"], walk_in["persons"])
    assert [wanted] == await room.wanted()


async def test_uploads_at_the_same_moment_ask_once(room: Room, client: Client) -> None:
    """
    However many desks send the same leaf, and in whatever order; check-ins of a leaf are merged with its walk-ins.
    """
    await confirm(room, "booked", slot_id=(await room.slots())[0])
    first, second = await _noted(room), await _noted(room, entry_id="leaf-0002")
    # Sessions with Postgres are there before the uploads meet, or opening them would keep the uploads apart.
    await asyncio.gather(*(_listed(client, first["at"]) for _ in range(6)))
    answers = await asyncio.gather(
        *(_upload(client, *walk_ins) for walk_ins in ([first, second], [second, first], [first, first]))
    )
    check_ins = [{"booking_id": booking_id("booked"), "at": (await _at(room)).isoformat(), "by": "acc_desk_2"}]
    both = await act(client, UPLOADS, body={"reason": "down", "check_ins": check_ins, "walk_ins": [first, second]})
    body = await both.json()

    assert (2, 2) == (len(await room.wanted()), await room.count("SELECT count(*) FROM counter_seating"))
    assert [(202, 2)] * 3 == [(status, len(walk_ins)) for status, walk_ins in answers]
    assert (202, 1, 0, 2, 0) == (
        both.status,
        body["merged"],
        body["known"],
        body["walk_ins_under_way"],
        body["walk_in_conflicts"],
    )


async def test_what_contradicts_is_named_and_changes_nothing(room: Room, client: Client) -> None:
    """
    Another note under the same id, hours nobody can have noted, a service without such places; the last one is kept.
    """
    noted = await _noted(room)
    await _upload(client, noted)
    now = dt.datetime.now(dt.UTC)
    _, walk_ins = await _upload(
        client,
        {**noted, "persons": 1},
        {**noted, "entry_id": "leaf-tomorrow", "at": (now + dt.timedelta(hours=1)).isoformat()},
        {**noted, "entry_id": "leaf-ancient", "at": "0001-01-01T00:00:00+14:00"},
        {**noted, "entry_id": "leaf-unplanned", "service": "diplomatic"},
    )

    assert [
        ("leaf-0001", "contradicts"),
        ("leaf-tomorrow", "in_the_future"),
        ("leaf-ancient", "wrong_day"),
        ("leaf-unplanned", "nothing_planned"),
    ] == [(each["entry_id"], each["outcome"]) for each in walk_ins]
    assert "booking_id" not in walk_ins[0]
    assert [("leaf-0001", "pending"), ("leaf-unplanned", "nothing_planned")] == await _listed(client, noted["at"])
    assert 1 == len(await room.wanted())


async def test_who_was_seen_and_not_served_is_checked_in_and_booklets_are_taken_once(
    room: Room, client: Client
) -> None:
    """
    Served later at the desk; the office's stock loses a booklet a person, when that is so and not before.
    """
    async with room.db.connection() as connection:
        await connection.execute(
            "INSERT INTO booklet_stock (office_id, kind, in_stock) VALUES ('bandung', 'regular', 9)"
        )
    for number, served in ((1, True), (2, False)):
        await _upload(client, await _noted(room, entry_id=f"leaf-000{number}", served=served))
    for number, wanted in enumerate(await room.wanted()):
        await room.grant(wanted, seats=(2 * number + 1, 2 * number + 2))
        await _pay(room, wanted)
        await _pay(room, wanted)
    states = [await _state(room, wanted) for wanted in await room.wanted()]
    between = await room.count("SELECT in_stock FROM booklet_stock")
    later = await act(client, f"bookings/{(await room.wanted())[1].booking_id}/served", body={})
    await _upload(client, await _noted(room, served=True))

    assert (["served", "checked_in"], 7, 200) == (states, between, later.status)
    assert 5 == await room.count("SELECT in_stock FROM booklet_stock")


async def _state(room: Room, wanted: PlacesWanted) -> str:
    async with room.db.connection() as connection:
        state: str = await connection.fetchval("SELECT state FROM booking WHERE booking_id = $1", wanted.booking_id)
    return state


async def test_the_leaf_says_which_walk_in_numbers_are_free(room: Room, client: Client) -> None:
    """
    By session and service, without those that somebody has, signed with the rest.
    """
    [slot_id] = [each for each in await room.slots() if each.endswith("morning.regular.walk_in")][:1]
    await room.record(room.held("somebody", slot_id=slot_id, seats=(1,)))
    await shift(room, 0)
    response = await client.get(f"{OFFICE}/day-leaf", headers=as_staff("officer:bandung"))
    leaf = msgspec.json.decode((await response.json())["document"])
    [place] = [each for each in leaf["walk_ins"] if each["slot_id"] == slot_id]

    assert list(range(2, place["places"] + 1)) == place["free_numbers"]
    assert {"walk_in"} == {each["slot_id"].rpartition(".")[2] for each in leaf["walk_ins"]}
    assert ("morning", "regular") == (place["session"], place["service"])


async def test_only_the_offices_officers_upload_and_only_what_is_well_formed(room: Room, client: Client) -> None:
    """
    Auditors and officers look; a number for each person or none, an id of the desk's, a time with its offset.
    """
    noted = await _noted(room)
    body = {"reason": "down", "walk_ins": [noted]}
    strangers = [
        await client.post(f"{OFFICE}/{UPLOADS}", json=body, headers=as_staff(*roles))
        for roles in (("auditor",), ("officer:jayapura",), ("planner:bandung",))
    ]
    bad: list[ClientResponse] = [
        await act(client, UPLOADS, body={"reason": "down", "walk_ins": each})
        for each in (
            [],
            [noted] * 101,
            [{**noted, "entry_id": "x"}],
            [{**noted, "persons": 6}],
            [{**noted, "numbers": [1]}],
            [{**noted, "numbers": [1, 1]}],
            [{**noted, "at": "2026-11-29T10:00:00"}],
            [{**noted, "service": "Regular"}],
            [{**noted, "reason": ""}],
        )
    ]
    looked = await client.get(f"{OFFICE}/day-leaf/walk-ins", headers=as_staff("planner:bandung"))

    assert ([403] * 3, [400] * 9, 403) == ([each.status for each in strangers], [e.status for e in bad], looked.status)
    assert 0 == await room.count("SELECT count(*) FROM offline_walk_in")
