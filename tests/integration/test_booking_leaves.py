"""
Hours without a network: a signed leaf the evening before, and check-ins that are merged later, once, without a double.
"""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec
import pytest
from aiohttp import ClientResponse

from services.booking.leaves import LeafKey, LeafSigner, SignedLeaf, is_genuine
from services.booking.use_cases import no_shows
from tests.integration.booking_desk import (
    LEAF_SIGNER,
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

OFFICE = "/v1/offices/bandung"


@pytest.fixture
async def room(database: str) -> AsyncIterator[Room]:
    async with booking_room(database) as opened:
        yield opened


@pytest.fixture
async def client(room: Room) -> AsyncIterator[Client]:
    async with desk_client(room) as opened:
        yield opened


async def _leaf(client: Client, what: str, **params: str) -> SignedLeaf:
    response = await client.get(f"{OFFICE}/{what}", params=params, headers=as_staff("officer:bandung"))
    assert 200 == response.status
    return msgspec.json.decode(await response.read(), type=SignedLeaf)


async def _noon(room: Room, *, office_id: str = "bandung") -> dt.datetime:
    """
    A moment of the office's first day that is not to come: its first session's beginning, or now if that is later.
    """
    async with room.db.connection() as connection:
        moment: dt.datetime = await connection.fetchval(
            """
            SELECT greatest(date::timestamp AT TIME ZONE timezone, least(starts_at, clock_timestamp()))
            FROM slot WHERE office_id = $1 ORDER BY date, starts_at LIMIT 1
            """,
            office_id,
        )
    return moment


async def _upload(
    client: Client, entries: Sequence[tuple[str, dt.datetime]], *, by: str = "acc_desk_2", key: str | None = None
) -> ClientResponse:
    noted = [{"booking_id": booking_id(name), "at": at.isoformat(), "by": by} for name, at in entries]
    return await act(client, "day-leaf/uploads", body={"reason": "network was down", "check_ins": noted}, key=key)


async def _conflicts(response: ClientResponse) -> tuple[int, int, list[tuple[str, str]]]:
    body: dict[str, Any] = await response.json()
    return body["merged"], body["known"], [(each["booking_id"], each["outcome"]) for each in body["conflicts"]]


async def test_the_leaf_of_tomorrow_is_signed(room: Room, client: Client) -> None:
    """
    The published key checks it without a network; a changed line or another key does not pass.
    """
    await confirm(room, "one", seats=(7,), persons=("per_x",))
    day = room.slot_id.split(".")[1]
    leaf = await _leaf(client, "day-leaf", date=f"{day[:4]}-{day[4:6]}-{day[6:]}")
    [published] = (await (await client.get("/v1/leaf-keys")).json())["keys"]
    key = msgspec.convert(published, LeafKey)
    [line] = msgspec.json.decode(leaf.document)["lines"]
    forged = msgspec.structs.replace(leaf, document=leaf.document.replace('"queue_number":7', '"queue_number":1'))
    other = msgspec.structs.replace(key, x="A" * 43)

    assert (booking_id("one"), 7, "confirmed", "per_x") == (
        line["booking_id"],
        line["queue_number"],
        line["state"],
        line["person_id"],
    )
    assert (True, False, False) == (is_genuine(leaf, key), is_genuine(forged, key), is_genuine(leaf, other))
    assert isinstance(LEAF_SIGNER, LeafSigner)


async def test_revocations_name_what_had_a_ticket_and_is_no_longer_valid(room: Room, client: Client) -> None:
    """
    Cancelled after it was paid; not what was never paid, nor what stands.
    """
    for name, seat in (("stands", 1), ("gone", 2)):
        await confirm(room, name, seats=(seat,))
    await room.record(room.held("unpaid", seats=(3,)))
    async with room.db.connection() as connection:
        await connection.execute(
            "UPDATE booking SET account_id = 'acc_officer' WHERE booking_id = $1", booking_id("gone")
        )
    cancelled = await client.post(f"/v1/bookings/{booking_id('gone')}/cancel", headers=as_staff())
    await room.record(room.give_back("unpaid"))
    await shift(room, 0)
    leaf = await _leaf(client, "revocations")
    said = msgspec.json.decode(leaf.document)

    assert 200 == cancelled.status
    assert [(booking_id("gone"), "cancelled")] == [(each["booking_id"], each["state"]) for each in said["bookings"]]
    assert (True, True) == (said["complete"], is_genuine(leaf, LEAF_SIGNER.public_key()))


async def test_what_was_noted_offline_is_merged_once(room: Room, client: Client) -> None:
    """
    The same upload under its key, under another key, and at the same moment: each family is checked in once, at the
    time that was noted and by whoever noted it.
    """
    await confirm(room, "one")
    await confirm(room, "two", seats=(2,))
    await shift(room, 0)
    at = await _noon(room)
    entries = [("one", at), ("two", at)]
    first = await _upload(client, entries, key="upload-0001")
    replayed = await _upload(client, entries, key="upload-0001")
    others = await asyncio.gather(*(_upload(client, entries[::step]) for step in (1, -1, 1)))
    second = await check_in(client, "one")
    refusal = await second.json()

    assert (2, 0, []) == await _conflicts(first)
    assert "true" == replayed.headers["Idempotency-Replayed"]
    assert [(0, 2, [])] * 3 == [await _conflicts(each) for each in others]
    assert (409, "acc_desk_2", at) == (
        second.status,
        refusal["checked_in_by"],
        dt.datetime.fromisoformat(refusal["checked_in_at"]),
    )
    assert 2 == (await room.told()).count("booking.checked_in.v1")
    assert ["check_in_booking"] * 2 == [action for action, _, _ in await audit_lines(room)]


async def test_conflicts_are_listed_and_nothing_is_forced(room: Room, client: Client) -> None:
    """
    Seen by somebody else, cancelled meanwhile, of another day, of another office, unknown, in the future: each named,
    and the rest is merged.
    """
    later = (await room.slots())[-1]
    await confirm(room, "fine", seats=(1,))
    await confirm(room, "seen", seats=(2,))
    await confirm(room, "gone", seats=(3,))
    await confirm(room, "later", slot_id=later)
    await confirm(room, "east", slot_id=(await room.slots(office_id="jayapura"))[0])
    async with room.db.connection() as connection:
        await connection.execute(
            "UPDATE booking SET account_id = 'acc_officer' WHERE booking_id = $1", booking_id("gone")
        )
    assert 200 == (await client.post(f"/v1/bookings/{booking_id('gone')}/cancel", headers=as_staff())).status
    await shift(room, 0)
    assert 200 == (await check_in(client, "seen")).status
    at = await _noon(room)
    future = at + dt.timedelta(days=2)
    names = ("fine", "seen", "gone", "later", "east", "nobody")
    response = await _upload(client, [*((name, at) for name in names), ("fine", future)])
    body = await response.json()

    assert (1, 0) == (body["merged"], body["known"])
    assert [
        ("seen", "already_checked_in", "checked_in", "acc_officer"),
        ("gone", "no_longer_valid", "cancelled", None),
        ("later", "wrong_day", "confirmed", None),
        ("east", "wrong_office", None, None),
        ("nobody", "not_found", None, None),
        ("fine", "in_the_future", None, None),
    ] == [
        (
            {booking_id(name): name for name in names}[each["booking_id"]],
            each["outcome"],
            each["state"],
            each["checked_in_by"],
        )
        for each in body["conflicts"]
    ]
    assert ["checked_in", "checked_in", "cancelled", "confirmed", "confirmed"] == [
        await room.state(name) for name in names[:5]
    ]


async def test_who_was_swept_before_the_upload_came_is_pardoned(room: Room, client: Client) -> None:
    """
    The family was there: its block is lifted, once, and the entry is listed.
    """
    await confirm(room, "one")
    await shift(room, 1)
    await no_shows.sweep(room.db, block_days=30, grace_seconds=0)
    at = await _noon(room)
    first = await _upload(client, [("one", at)])
    again = await _upload(client, [("one", at)])

    assert [(0, 0, [(booking_id("one"), "pardoned")])] * 2 == [await _conflicts(each) for each in (first, again)]
    assert 1 == (await room.told("one")).count("booking.pardoned.v1")
    assert [("pardon_booking", booking_id("one"), "network was down")] == await audit_lines(room)


async def test_only_the_offices_officers_upload_and_only_what_is_well_formed(room: Room, client: Client) -> None:
    """
    Auditors may look and change nothing; a time has its offset; an account is no sentence.
    """
    await confirm(room, "one")
    await shift(room, 0)
    at = await _noon(room)
    entry = {"booking_id": booking_id("one"), "at": at.isoformat(), "by": "acc_1"}
    body = {"reason": "down", "check_ins": [entry]}
    path = f"{OFFICE}/day-leaf/uploads"
    stranger = await client.post(path, json=body, headers=as_staff("auditor", "officer:jayapura"))
    bad = [
        await act(client, "day-leaf/uploads", body={**body, "check_ins": each})
        for each in (
            [],
            [entry] * 201,
            [{**entry, "at": at.replace(tzinfo=None).isoformat()}],
            [{**entry, "by": "Mrs. Siti, desk 2"}],
            [{**entry, "booking_id": "x"}],
        )
    ]
    ancient = await act(
        client,
        "day-leaf/uploads",
        body={**body, "check_ins": [{**entry, "at": "0001-01-01T00:00:00+14:00"}]},
    )

    assert (403, [400] * 5) == (stranger.status, [each.status for each in bad])
    assert (0, 0, [(booking_id("one"), "wrong_day")]) == await _conflicts(ancient)
    assert 200 == (await client.get(f"{OFFICE}/day-leaf", headers=as_staff("auditor"))).status
    assert 403 == (await client.get(f"{OFFICE}/revocations", headers=as_staff("sre"))).status
