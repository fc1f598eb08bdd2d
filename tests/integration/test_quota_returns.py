"""
Places that come back, on a real Valkey: when they are offered again, and that nobody can time a grab.

Time does not pass here: what a place waits for is moved towards now instead.
"""

import random
from typing import Any

import pytest

from contracts.envelope import Envelope
from contracts.events import BookingCancelled, BookingDisplaced, BookingExpired
from kernel.clock import now_ms
from services.quota.domain.availability import local_time
from services.quota.domain.decisions import Ask, Held, Refusal, Refused
from services.quota.domain.returning import Delay
from services.quota.use_cases.availability import Availability, Wanted
from services.quota.use_cases.following import Following
from tests.conftest import Eventually
from tests.integration.quota_door import Api, refused, served
from tests.integration.quota_room import HOUR_MS, SLOT, SLOT_DAY, Room, ask, plan, room_of, said

MINUTE_MS = 60_000
DELAY = Delay(seconds_min=60, seconds_max=1800)
ROUNDS = 120
RIVALS = 4
POLL_MS = 1_000_000.0
LONG = Delay(seconds_min=60_000, seconds_max=1_800_000)
"""A game a thousand times slower than life: what the machine is late by does not decide it."""

pytestmark = pytest.mark.cluster


@pytest.fixture
async def room(valkey: Any) -> Room:
    """
    A slot of two places.
    """
    opened = room_of(valkey)
    await opened.holds.apply([plan(SLOT, capacity=2)])
    return opened


async def _held(room: Room, slot_id: str = SLOT, persons: int = 1) -> Ask:
    asked = ask(slot_id, persons=persons)
    assert isinstance(await room.decider.decide(asked), Held)
    return asked


async def _ends(room: Room, *ends: Envelope, chance: float = 0.5, delay: Delay = DELAY) -> None:
    await Following(room.holds, room.claims, delay=delay, chance=lambda: chance).bookings(ends)


async def _offered_at(room: Room, slot_id: str = SLOT) -> dict[int, int]:
    reply = await room.valkey.call("ZRANGE", room.keys.returned(slot_id), 0, -1, "WITHSCORES")
    flat = [part for pair in reply for part in pair] if reply and isinstance(reply[0], list | tuple) else reply
    return {int(seat): int(float(score)) for seat, score in zip(flat[::2], flat[1::2], strict=True)}


async def _move(room: Room, wait_ms: float, slot_id: str = SLOT) -> None:
    """
    Let what came back wait for as long from now.
    """
    for seat in await _offered_at(room, slot_id):
        await room.valkey.call("ZADD", room.keys.returned(slot_id), now_ms() + round(wait_ms), seat)


async def _shown(room: Room) -> tuple[int, int]:
    catalogue = room.catalogue()
    await catalogue.load()
    places = await room.free.of_office("bandung", list(catalogue.offices["bandung"]))
    alternatives = await room.free.of_offices({"bandung": list(catalogue.offices["bandung"])})
    assert alternatives == places.free
    return places.free[SLOT], places.returning.get(SLOT, 0)


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        (BookingExpired, {}),
        (BookingCancelled, {"reason": "changed_plans"}),
        (BookingCancelled, {"reason": "give_back_asked"}),
        (BookingDisplaced, {"reason": "epoch"}),
    ],
)
async def test_places_that_come_back_wait_however_they_came_back(room: Room, kind: Any, more: dict[str, str]) -> None:
    """
    Free in the books at once; not sold and not shown as free before their time, which is one for the family.
    """
    family = await _held(room, persons=2)
    before_ms = now_ms()
    await _ends(room, said(kind, family, **more))
    (books,) = await room.records("slot")
    refused = await room.decider.decide(ask())
    shown = await _shown(room)
    waits = await _offered_at(room)
    await _move(room, -1)
    after = await _shown(room)

    assert {1, 2} == set(waits)
    assert 1 == len(set(waits.values()))
    assert 930_000 <= waits[1] - before_ms <= 930_000 + MINUTE_MS
    assert 2 == books["free"]
    assert isinstance(refused, Refused)
    assert (Refusal.SOLD_OUT, (0, 2), (2, 0)) == (refused.why, shown, after)
    assert isinstance(await room.decider.decide(ask(persons=2)), Held)


async def test_what_is_fresh_is_sold_while_what_came_back_waits(room: Room) -> None:
    """
    One place of each: the lower number waits, the higher is had, and a family of two is told there are not enough.
    """
    await _ends(room, said(BookingExpired, await _held(room)))
    family, single = await room.decider.decide(ask(persons=2)), await room.decider.decide(ask())

    assert isinstance(family, Refused)
    assert isinstance(single, Held)
    assert ((2,), (0, 1)) == (single.seats, await _shown(room))


async def test_a_second_delivery_does_not_draw_again(room: Room) -> None:
    """
    Whoever could have an event delivered twice could otherwise have another try at the delay.
    """
    asked = await _held(room)
    await _ends(room, said(BookingExpired, asked), chance=1.0)
    first = await _offered_at(room)
    await _ends(room, said(BookingExpired, asked), chance=0.0)
    await _ends(room, said(BookingCancelled, asked, reason="x"), chance=0.0)

    assert first == await _offered_at(room)


async def test_places_of_an_office_with_published_times_come_back_at_the_next_of_them(room: Room) -> None:
    """
    In the office's own time, whatever would have been drawn.
    """
    await room.holds.apply([plan(SLOT, version=2, capacity=2, return_times=("10:00", "15:30"))])
    await _ends(room, said(BookingCancelled, await _held(room), reason="x"))
    (at_ms,) = (await _offered_at(room)).values()

    assert local_time(at_ms, "Asia/Jakarta")[11:19] in ("10:00:00", "15:30:00")
    assert 0 < at_ms - now_ms() <= 24 * HOUR_MS


async def test_a_place_that_was_withheld_meanwhile_still_waits(room: Room) -> None:
    """
    A plan that shrinks and grows again is no way around the delay.
    """
    first, second = await _held(room), await _held(room)
    await room.holds.apply([plan(SLOT, version=2, capacity=1)])
    await _ends(room, said(BookingExpired, first))
    withheld = await _shown(room)
    await room.holds.apply([plan(SLOT, version=3, capacity=2)])
    grown = await _shown(room)
    refused = await room.decider.decide(ask())

    assert ((0, 0), (0, 1)) == (withheld, grown)
    assert isinstance(refused, Refused)
    assert Refusal.SOLD_OUT is refused.why
    assert (await room.holds.of_account(second.account_id, second.reservation_id)) is not None


async def test_people_see_how_many_come_back_and_not_when(room: Room) -> None:
    """
    The number is the same for everybody; no time is in the answer, and the state is that of what can be had.
    """
    family = await _held(room, persons=2)
    await _ends(room, said(BookingExpired, family))
    (at_ms,) = set((await _offered_at(room)).values())
    catalogue = room.catalogue()
    await catalogue.load()
    shown = await Availability(catalogue, room.free).of("bandung", Wanted(SLOT_DAY, 31, ""))

    assert shown is not None
    assert b'"free":0,"returning":2,"state":"sold_out"' in shown.body
    assert str(at_ms // 1000).encode() not in shown.body
    assert local_time(at_ms, "Asia/Jakarta")[:16].encode() not in shown.body


async def test_without_settings_places_wait_all_the_same(room: Room) -> None:
    """
    Forgetting to wire the delay must not open the door to grabbing.
    """
    asked = await _held(room)
    await Following(room.holds, room.claims).bookings([said(BookingExpired, asked)])
    (at_ms,) = (await _offered_at(room)).values()

    assert now_ms() + 50_000 < at_ms <= now_ms() + 30 * MINUTE_MS


async def test_a_slot_is_listed_as_waiting_until_its_last_place_is_offered(room: Room) -> None:
    """
    One that came back later and waits less does not hide the others.
    """
    first, second = await _held(room), await _held(room)
    await _ends(room, said(BookingExpired, first), chance=1.0)
    await _ends(room, said(BookingExpired, second), chance=0.0)
    listed = await room.valkey.call("ZSCORE", room.keys.returning("bandung"), SLOT)

    assert max((await _offered_at(room)).values()) == int(float(listed))


async def test_what_is_listed_as_waiting_is_forgotten_once_it_is_offered(room: Room) -> None:
    """
    The list a reader goes through does not grow with every place that ever came back.
    """
    waiting = room.keys.returning("bandung")
    other = SLOT.replace("morning", "midday")
    await room.holds.apply([plan(other)])
    await _ends(room, said(BookingExpired, await _held(room)))
    await room.valkey.call("ZADD", waiting, now_ms() - 1, SLOT)
    await _ends(room, said(BookingExpired, await _held(room, other)))

    assert [other.encode()] == await room.valkey.call("ZRANGE", waiting, 0, -1)


async def test_who_keeps_asking_gets_it_at_its_time_and_the_memory_of_a_sold_out_slot_does_not_stand_in_the_way(
    room: Room, aiohttp_client: Any, eventually: Eventually
) -> None:
    """
    Through the door: refused from memory and by the script until the moment, and let in soon after it.
    """
    app, work = await served(room)
    api = Api(await aiohttp_client(app), room, work)
    family = await _held(room, persons=2)
    before = await refused(await api.reserve(who="2"))
    await _ends(room, said(BookingExpired, family), delay=Delay(seconds_min=0.4, seconds_max=0.4))
    (at_ms,) = set((await _offered_at(room)).values())
    waiting = await refused(await api.reserve(who="2", key="key-00000002"))
    early = now_ms() < at_ms

    async def let_in() -> bool:
        return bool((await api.reserve(who="2", key="key-00000003")).status == 201)

    await eventually(let_in, within_seconds=5)
    held_ms = now_ms()
    await work.settle()

    assert [(409, "sold_out")] * 2 == [before[:2], waiting[:2]]
    assert early
    assert at_ms <= held_ms <= at_ms + 3000


async def _winner(room: Room, number: int, chance: random.Random, delay: Delay) -> str:
    """
    A holder cancels; his accomplice asks that very moment and then as often as the rivals. Who gets the place?

    Only asks around the place's moment can have it: of each player the last before it and the first after it are made.
    """
    slot_id = f"bandung.20261130.r{number:03d}.regular.online"
    await room.holds.apply([plan(slot_id, capacity=1)])
    held, began_ms = await _held(room, slot_id), now_ms()
    await _ends(room, said(BookingCancelled, held, reason="x"), chance=chance.random(), delay=delay)
    if isinstance(await room.decider.decide(ask(slot_id)), Held):
        return "accomplice"
    wait_ms = (await _offered_at(room, slot_id))[1] - began_ms
    phases = {"accomplice": 0.0} | {f"rival {one}": chance.uniform(0, POLL_MS) for one in range(RIVALS)}
    asks: list[tuple[float, str]] = []
    for who, phase in phases.items():
        first_after = phase + POLL_MS * -((phase - wait_ms) // POLL_MS)
        asks += [(first_after - POLL_MS, who), (first_after, who)]
    for at, who in sorted(asks):
        await _move(room, wait_ms - at, slot_id)
        if isinstance(await room.decider.decide(ask(slot_id)), Held):
            return who
    raise AssertionError("nobody got the place")


async def test_who_knows_the_moment_of_a_cancellation_wins_no_more_often_than_anybody(room: Room) -> None:
    """
    Of 120 rounds of five players the accomplice has about 24; he had all if places came back at once.
    """
    chance = random.Random(20261127)  # noqa: S311 - the same game every time
    wins = [await _winner(room, number, chance, LONG) for number in range(ROUNDS)].count("accomplice")
    at_once = Delay(seconds_min=0, seconds_max=0)
    without = [await _winner(room, ROUNDS + number, chance, at_once) for number in range(5)].count("accomplice")

    assert 11 <= wins <= 37, "three times the spread of chance to either side"
    assert 5 == without
