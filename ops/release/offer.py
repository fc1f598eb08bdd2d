"""
What is on offer in a played release: one day of enough real offices, opened by booking's own command.

Called by `ops.release.run`. Reads the public availability, as any client does.
"""

import asyncio
import datetime as dt
import itertools
import random
from collections.abc import Callable, Mapping, Sequence

import msgspec

from ops import rooms
from ops.errors import StackError
from ops.release.street import Street

PLAN_PATIENCE_SECONDS = 60.0
DAYS_AHEAD = 14
OFFICES_MIN = 20
POLL_SECONDS = 0.25


class Slot(msgspec.Struct, frozen=True):
    """
    What a release needs to know of a slot.
    """

    slot_id: str
    date: str
    channel: str
    state: str
    capacity: int
    free: int
    opens_at: str


class Office(msgspec.Struct, frozen=True):
    """
    An office with its slots.
    """

    office_id: str
    slots: tuple[Slot, ...]


async def choose(road: Street, *, places_wanted: int, rng: random.Random) -> list[Slot]:
    """
    Online slots of one untouched day in offices drawn by lot, `places_wanted` at most in sum.

    An office larger than its share of what is left is passed over until there are `OFFICES_MIN`.
    """
    listed = (await road.ask("GET", "/v1/offices")).body["offices"]
    office_ids = [office["office_id"] for office in listed]
    rng.shuffle(office_ids)
    days = [day for office_id in office_ids if (day := await first_day(road, office_id))]
    if not days:
        raise StackError("somebody has a place on every coming day of every office; `antrean reset` begins anew")
    sums = itertools.accumulate(sorted(places_of(day) for day in days))
    missing = min(OFFICES_MIN, sum(places <= places_wanted for places in sums))
    if missing == 0:
        raise StackError("no office has so few places that this crowd could fill them")
    chosen: list[Slot] = []
    for day in days:
        if places_of(day) * max(1, missing) <= places_wanted - places_of(chosen):
            chosen += day
            missing -= 1
    return chosen


async def open_window(
    env: Mapping[str, str], slots: Sequence[Slot], opens_in_seconds: int, pay_within_seconds: int
) -> None:
    """
    Open the chosen offices' day through booking.
    """
    for date in sorted({slot.date for slot in slots}):
        offices = sorted({office_of(slot.slot_id) for slot in slots if slot.date == date})
        await rooms.command(
            "booking",
            *("window", "open", "--in", f"{opens_in_seconds}s", "--for", "2h"),
            *("--pay-within", f"{pay_within_seconds}s", "--date", date),
            *(argument for office_id in offices for argument in ("--office", office_id)),
            env=env,
        )


async def wait_for_plan(road: Street, slots: Sequence[Slot]) -> str:
    """
    Return the opening once quota knows it for every chosen slot.
    """
    return (await _wait_until(road, slots, _opens_about_now, "were not told their window"))[0].opens_at


async def wait_for_opening(road: Street, slots: Sequence[Slot]) -> None:
    """
    Return when every chosen slot says that it is open.
    """
    await _wait_until(road, slots, lambda slot: slot.state == "open", "did not open")


async def _wait_until(
    road: Street, slots: Sequence[Slot], holds: Callable[[Slot], bool], failure: str
) -> Sequence[Slot]:
    waiting = {slot.slot_id for slot in slots}
    seen: dict[str, Slot] = {}
    give_up_at = asyncio.get_running_loop().time() + PLAN_PATIENCE_SECONDS
    while waiting:
        if asyncio.get_running_loop().time() > give_up_at:
            raise StackError(f"{len(waiting)} slots {failure} within {PLAN_PATIENCE_SECONDS:.0f} s")
        for office_id in sorted({office_of(slot_id) for slot_id in waiting}):
            office = await _office(road, office_id)
            seen |= {slot.slot_id: slot for slot in office.slots if slot.slot_id in waiting and holds(slot)}
        waiting -= set(seen)
        await asyncio.sleep(POLL_SECONDS if waiting else 0)
    return [seen[slot.slot_id] for slot in slots]


def _opens_about_now(slot: Slot) -> bool:
    opens_at = dt.datetime.fromisoformat(slot.opens_at)
    return abs(opens_at - dt.datetime.now(dt.UTC)) < dt.timedelta(seconds=2 * PLAN_PATIENCE_SECONDS)


def office_of(slot_id: str) -> str:
    """
    The office a slot id begins with.
    """
    return slot_id.partition(".")[0]


def places_of(slots: Sequence[Slot]) -> int:
    """
    How many places were free when these were looked at.
    """
    return sum(slot.free for slot in slots)


async def first_day(road: Street, office_id: str) -> list[Slot]:
    """
    The `untouched_day` of an office, once quota knows its slots.
    """
    return untouched_day(await _wait_for_slots(road, office_id))


def untouched_day(office: Office) -> list[Slot]:
    """
    The online slots of an office's first coming day of which nobody has a place. A resumed stack knows earlier crowds.
    """
    online = [slot for slot in office.slots if slot.channel == "online" and slot.state != "closed"]
    touched = {slot.date for slot in online if slot.free < slot.capacity}
    first = min({slot.date for slot in online} - touched, default="")
    return [slot for slot in online if slot.date == first]


async def _wait_for_slots(road: Street, office_id: str) -> Office:
    give_up_at = asyncio.get_running_loop().time() + PLAN_PATIENCE_SECONDS
    while True:
        office = await _office(road, office_id)
        if office.slots or asyncio.get_running_loop().time() > give_up_at:
            return office
        await asyncio.sleep(POLL_SECONDS)


async def _office(road: Street, office_id: str) -> Office:
    answer = await road.ask("GET", f"/v1/offices/{office_id}/availability?days={DAYS_AHEAD}")
    return msgspec.convert({"office_id": office_id, "slots": answer.body.get("slots", [])}, Office)
