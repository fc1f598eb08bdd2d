"""
What booking says of visits: who did not come is blocked, who was served may reserve again; both rooms move a family.
"""

import datetime as dt
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from contracts.events import (
    EVENTS,
    BookingCheckedIn,
    BookingCollected,
    BookingConfirmed,
    BookingIncomplete,
    BookingNoShow,
    BookingPardoned,
    BookingReady,
    BookingServed,
    Event,
)
from kernel.clock import now_ms
from kernel.errors import Retryable
from services.booking.domain.lifecycle import State
from services.booking.domain.wishes import Why, Wish
from services.booking.stores import bookings, wishes
from services.booking.stores.bookings import Step
from services.booking.use_cases import wishing
from services.booking.use_cases.telling import tell_steps
from services.booking.use_cases.wishing import wish_id
from services.quota.domain.decisions import Ask, Held, Refusal, Refused
from services.quota.stores.claims import Claim, Claims
from services.quota.use_cases.following import Following
from services.quota.use_cases.wishing import Wishing
from tests.integration.quota_door import Api, refused, served
from tests.integration.quota_room import HOUR_MS, SLOT, Room, ask, heard, plan, room_of, said
from tests.integration.rebuild_room import House, house

LATER = "bandung.20261201.morning.regular.online"
on_a_cluster_too = pytest.mark.cluster
PAID = {"ntpn": "N", "amount_rupiah": 1, "paid_at_ms": 1}


@pytest.fixture
async def room(valkey: Any) -> Room:
    """
    Two slots of ten places.
    """
    opened = room_of(valkey)
    await opened.holds.apply([plan(SLOT), plan(LATER)])
    return opened


async def _visit(room: Room, *, persons: int = 1) -> Ask:
    asked = ask(SLOT, persons=persons)
    assert isinstance(await room.decider.decide(asked), Held)
    await _say(room, asked, BookingConfirmed, **PAID)
    return asked


async def _say(room: Room, asked: Ask, kind: Any, **more: Any) -> None:
    await Following(room.holds, room.claims).bookings([said(kind, asked, **more)])


async def _again(room: Room, asked: Ask, slot_id: str = LATER) -> Any:
    return await room.decider.decide(
        ask(slot_id, account_id=asked.account_id, key="key-00000002", persons=len(asked.person_ids))
    )


async def _states(room: Room) -> set[str]:
    return {hold["state"] for hold in await room.records("hold")}


@on_a_cluster_too
async def test_who_did_not_come_is_blocked_until_a_moment_and_the_places_stay(room: Room) -> None:
    """
    Told twice it is one block; the account has nothing active any more, its persons may not reserve.
    """
    asked = await _visit(room, persons=2)
    until_ms = now_ms() + HOUR_MS
    await _say(room, asked, BookingNoShow, blocked_until_ms=until_ms)
    await _say(room, asked, BookingNoShow, blocked_until_ms=until_ms)
    (claim,) = await room.records("claim")

    assert Refused(why=Refusal.NO_SHOW_BLOCK, who=asked.person_ids[0], at_ms=until_ms) == await _again(room, asked)
    assert {"confirmed"} == await _states(room)
    assert None is claim["claimed_for"]
    assert dict.fromkeys(asked.person_ids, f"block:{until_ms}:{asked.reservation_id}") == claim["persons"]


class _Broken(Claims):
    """
    Claims of a worker that is killed before it gives one back.
    """

    async def give_back(self, claims: Sequence[Claim], *, ended: bool) -> None:
        raise Retryable(f"killed before {len(claims)} claims went back, ended: {ended}")


async def test_nobody_reserves_between_his_claim_and_his_block(room: Room) -> None:
    """
    The block stands before the claim goes, so that a worker killed between the two has let nobody through.
    """
    asked = await _visit(room)
    event = said(BookingNoShow, asked, blocked_until_ms=now_ms() + HOUR_MS)
    with pytest.raises(Retryable):
        await Following(room.holds, _Broken(room.valkey, room.keys)).bookings([event])
    (claim,) = await room.records("claim")

    assert asked.reservation_id == claim["claimed_for"]
    assert set(asked.person_ids) == claim["persons"].keys()


@on_a_cluster_too
async def test_a_block_that_is_over_when_it_is_heard_is_none(room: Room) -> None:
    """
    Old events told again block nobody, and leave nothing behind.
    """
    asked = await _visit(room)
    await _say(room, asked, BookingNoShow, blocked_until_ms=now_ms() - 1)
    (claim,) = await room.records("claim")

    assert {} == claim["persons"]
    assert isinstance(await _again(room, asked), Held)


@on_a_cluster_too
async def test_a_pardon_lifts_the_block_of_its_booking_and_no_other(room: Room) -> None:
    """
    The longest block of a person stands until its own booking is pardoned.
    """
    asked, beside = await _visit(room), ask(LATER)
    until_ms = now_ms() + HOUR_MS
    other = Ask(
        reservation_id=beside.reservation_id,
        account_id=asked.account_id,
        slot_id=LATER,
        person_ids=asked.person_ids,
        key="key-00000003",
    )
    await _say(room, asked, BookingNoShow, blocked_until_ms=until_ms)
    await _say(room, other, BookingNoShow, blocked_until_ms=until_ms - 1)
    await _say(room, other, BookingPardoned, reason="incident")
    still = await _again(room, asked)
    await _say(room, asked, BookingPardoned, reason="appeal")
    await _say(room, asked, BookingPardoned, reason="appeal")

    assert Refused(why=Refusal.NO_SHOW_BLOCK, who=asked.person_ids[0], at_ms=until_ms) == still
    assert isinstance(await _again(room, asked), Held)
    assert {"confirmed", "held"} == await _states(room)


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        (BookingServed, {}),
        (BookingIncomplete, {"reason": "no photo"}),
        (BookingReady, {"pick_up_on": "2026-12-04"}),
        (BookingCollected, {}),
    ],
)
@on_a_cluster_too
async def test_after_a_visit_people_may_reserve_again_and_its_places_stay(
    room: Room, kind: type[Event], more: dict[str, Any]
) -> None:
    """
    Whether documents were missing or the passport is there; the word about it may come twice, later.
    """
    asked = await _visit(room)
    await _say(room, asked, BookingCheckedIn)
    meanwhile = await _again(room, asked)
    await _say(room, asked, kind, **more)
    free = await _again(room, asked)
    await _say(room, asked, kind, **more)
    (claim,) = await room.records("claim")

    assert Refused(why=Refusal.ACCOUNT_ALREADY_RESERVED, who=asked.reservation_id) == meanwhile
    assert isinstance(free, Held)
    assert "confirmed" in await _states(room)
    assert asked.reservation_id == claim["last_claimed_for"]
    assert claim["claimed_for"] not in {None, asked.reservation_id}


@on_a_cluster_too
async def test_the_door_says_until_when_a_family_is_blocked(room: Room, aiohttp_client: Any) -> None:
    """
    403 with the moment and the person, once booking has said that nobody came.
    """
    until_ms = now_ms() + HOUR_MS
    app, work = await served(room)
    api = Api(await aiohttp_client(app), room, work)
    first = await (await api.reserve(SLOT)).json()
    mine = Ask(
        reservation_id=first["reservation_id"], account_id="acc_1", slot_id=SLOT, person_ids=("per_10",), key="-"
    )
    await _say(room, mine, BookingConfirmed, **PAID)
    await _say(room, mine, BookingNoShow, blocked_until_ms=until_ms)
    status, code, body = await refused(await api.reserve(LATER, key="key-00000002"))

    assert (403, "no_show_block", "per_10", until_ms) == (status, code, body["person_id"], body["until_ms"])


@pytest.fixture(params=["one_server", "cluster"])
async def home(request: pytest.FixtureRequest, tmp_path: Path, database: str) -> AsyncIterator[House]:
    """
    Quota and booking.
    """
    cluster = request.getfixturevalue("valkey_cluster").url if request.param == "cluster" else ""
    async with house(tmp_path, database, cluster=cluster) as both:
        yield both


async def _confirmed(home: House, slot_id: str) -> Ask:
    (asked,) = await home.take(1, slot_id)
    await home.record(await home.untold())
    await _step(home, asked, to=State.CONFIRMED, ntpn="N1", amount_rupiah=1, paid_at=dt.datetime.now(dt.UTC))
    await _hear(home)
    return asked


async def _step(home: House, asked: Ask, *, to: State, **facts: Any) -> None:
    async with home.booking.db.transaction() as connection:
        step = Step(booking_id=asked.reservation_id, **facts)
        await tell_steps(connection, await bookings.move(connection, [step], to=to, come_from=list(State)))


async def _hear(home: House) -> None:
    """
    Quota hears everything booking has ever told, in its order: most of it again.
    """
    kinds = {kind.TYPE: kind for kind in EVENTS}
    told = [heard(msgspec.json.decode(body, type=kinds[name])) for name, body in await home.booking.said()]
    await Following(home.quota.holds, home.quota.claims).bookings(told)
    await Wishing(home.quota.wishes).wanted(told)


async def _wish(home: House, asked: Ask, *slot_ids: str) -> str:
    now = dt.datetime.now(dt.UTC)
    one = Wish(
        booking_id=wish_id(Why.RESCHEDULE, asked.reservation_id),
        why=Why.RESCHEDULE,
        account_id=asked.account_id,
        person_ids=asked.person_ids,
        slot_ids=slot_ids,
        replaces=asked.reservation_id,
        actor=asked.account_id,
        reason="work",
        pay_by=now + dt.timedelta(hours=1),
        good_until=now + dt.timedelta(minutes=1),
    )
    async with home.booking.db.transaction() as connection:
        assert await wishing.ask(connection, one)
    return one.booking_id


async def test_a_family_is_moved_by_both_rooms_without_a_call_between_them(home: House) -> None:
    """
    The payment goes along, the old places are free, and everything told again changes nothing.
    """
    (slot_id, other) = (await home.public_slots())[:2]
    asked = await _confirmed(home, slot_id)
    moved_to = await _wish(home, asked, other)
    for _ in range(3):
        await _hear(home)
        await home.record(await home.untold())
    holds = {hold["reservation_id"]: hold["state"] for hold in await home.quota.records("hold")}

    assert {asked.reservation_id: "released", moved_to: "confirmed"} == holds
    assert "rescheduled" == await home.state_of(asked)
    assert await home.seats_in_postgres() == await home.seats_in_valkey()
    assert {(other, 1), (other, 2)} == set(await home.seats_in_valkey())


async def test_a_move_to_where_nothing_is_free_changes_nothing(home: House) -> None:
    """
    Booking hears why, and the family keeps its places.
    """
    (slot_id, other) = (await home.public_slots())[:2]
    asked = await _confirmed(home, slot_id)
    await home.quota.holds.apply([plan(other, version=99, capacity=0)])
    wished = await _wish(home, asked, other)
    for _ in range(2):
        await _hear(home)
        await home.record(await home.untold())
    async with home.booking.db.connection() as connection:
        standing = await wishes.read(connection, wished)

    assert standing is not None
    assert ("refused", "sold_out") == (standing.state, standing.refusal)
    assert "confirmed" == await home.state_of(asked)
    assert {(slot_id, 1), (slot_id, 2)} == set(await home.seats_in_valkey())


async def test_who_was_served_is_free_at_once_and_after_a_rebuild(home: House) -> None:
    """
    What quota hears of the step and what booking's snapshot says of the state are one: nobody is claimed for.
    """
    slot_id = (await home.public_slots())[0]
    asked = await _confirmed(home, slot_id)
    for state in (State.CHECKED_IN, State.SERVED):
        await _step(home, asked, to=state)
    before = {claim["account_id"]: claim["claimed_for"] for claim in await home.quota.records("claim")}
    await _hear(home)
    heard_of = {claim["account_id"]: claim["claimed_for"] for claim in await home.quota.records("claim")}
    await home.quota.valkey.call("FLUSHALL")
    report = await home.rebuild()

    assert {asked.account_id: asked.reservation_id} == before
    assert {asked.account_id: None} == heard_of
    assert [] == report.differences
    assert await home.seats_in_postgres() == await home.seats_in_valkey()
    assert isinstance(await _again(home.quota, asked, slot_id), Held)


async def test_blocks_come_back_with_a_rebuild(home: House) -> None:
    """
    Of an emptied Valkey as well; pardoned ones do not.
    """
    slot_id = (await home.public_slots())[0]
    asked, pardoned = await _confirmed(home, slot_id), await _confirmed(home, slot_id)
    until = dt.datetime.now(dt.UTC) + dt.timedelta(days=30)
    await _step(home, asked, to=State.NO_SHOW, blocked_until=until)
    await _step(home, pardoned, to=State.NO_SHOW, blocked_until=until)
    async with home.booking.db.transaction() as connection:
        await connection.execute(
            "UPDATE booking SET pardoned_at = now() WHERE booking_id = $1", pardoned.reservation_id
        )
    await home.quota.valkey.call("FLUSHALL")
    report = await home.rebuild()
    persons = {claim["account_id"]: claim["persons"] for claim in await home.quota.records("claim")}
    words = set(persons.pop(asked.account_id).values())

    assert [] == report.differences
    assert {} == {account_id: blocked for account_id, blocked in persons.items() if blocked}
    (word,) = words
    kind, until_ms, reservation_id = word.split(":")
    assert ("block", asked.reservation_id) == (kind, reservation_id)
    assert abs(int(until_ms) - int(until.timestamp() * 1000)) <= 1
    assert Refusal.NO_SHOW_BLOCK is getattr(await _again(home.quota, asked, slot_id), "why", None)
