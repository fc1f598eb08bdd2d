"""
A Friday opening at one worker: the nation's places, ten times as many wanted, everybody in the first moments.

Called by the bench on the stand of the ratio bench. Offices and quotas are the seed's,
families of one to five draw an office by Zipf's law and a slot there; who is told that
the worker is busy asks again with the same bytes, who hears "sold out" goes home. Ends
with the clients' answers held against the books.
"""

import asyncio
import csv
import dataclasses
import random
import time
from collections import Counter, deque
from pathlib import Path
from typing import Final

import msgspec

from contracts.events import SlotPlanned
from kernel.auth.passes import PassKeys
from loadtests.bench import books
from loadtests.bench.crowd import FAMILY_MAX, Families, rush
from loadtests.bench.generator import Seen, closed_loop, lines, open_loop
from loadtests.bench.report import Report
from loadtests.bench.scale import Scale
from loadtests.bench.steady import BUSY, HELD, SOLD_OUT, STORE, WORKER, summary
from loadtests.ratio import places
from loadtests.ratio.stand import Stand
from ops.errors import StackError

OFFICES: Final = Path(__file__).parents[2] / "deploy" / "seed" / "offices.csv"
CONNECTIONS: Final = 1024
STRAGGLERS_SECONDS_MAX: Final = 150.0
KNOWN_AFTER_SECONDS: Final = 2.0
"""A worker follows new plans within its own refresh."""
_AGAIN: Final = frozenset({str(BUSY).encode()})


class _Held(msgspec.Struct, frozen=True):
    slot_id: str
    seats: tuple[int, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class _Faults:
    oversold: int
    lost: int
    unbalanced: int


async def play(stand: Stand, scale: Scale, report: Report, *, dice: random.Random) -> None:
    """
    Open, sell, check.
    """
    plans = week(scale.offices)
    capacity = {plan.slot_id: plan.capacity for plan in plans}
    total = sum(capacity.values())
    await books.plan(stand, STORE, plans)
    memory_before = await books.trimmed_memory(stand, STORE)
    known_at = time.monotonic() + KNOWN_AFTER_SECONDS
    asks = _asks(stand, plans, wanted=total * scale.demand, dice=dice)
    report.say(f"Friday: {len(asks):,} families ask for {total:,} places in {scale.offices} offices")
    await asyncio.sleep(max(0.0, known_at - time.monotonic()))
    dues = rush(len(asks), scale.friday_seconds, dice=dice)
    supply = deque(asks)
    async with lines(stand.port_of[WORKER], CONNECTIONS) as on:
        seen = await open_loop(on, supply, dues, again=_AGAIN, bodies=True, patience_seconds=STRAGGLERS_SECONDS_MAX)
        # Who was told to come back when all others had asked.
        late = await closed_loop(on, supply, seconds=STRAGGLERS_SECONDS_MAX, again=_AGAIN, bodies=True)
    faults, sold, holds = await _check(stand, capacity, seen, late)
    memory = await books.trimmed_memory(stand, STORE) - memory_before
    answers = seen.count(SOLD_OUT) + late.count(SOLD_OUT)
    report.keep("friday", **summary(seen), stragglers=summary(late), sold=sold, **dataclasses.asdict(faults))
    sold_seconds = max(seen.answered_at.get(str(HELD).encode(), (0.0,)))
    report.set(
        friday_sold_seconds=sold_seconds,
        friday_p99_ms_held=seen.p_ms(99, HELD),
        friday_p99_ms_sold_out=seen.p_ms(99, SOLD_OUT),
        friday_sold=sold,
        friday_unsold=total - sold,
        bytes_per_hold_of_families=memory / holds,
    )
    report.add(oversold=faults.oversold, lost=faults.lost, unbalanced=faults.unbalanced)
    report.say(
        f"Friday: {sold:,} of {total:,} places to {holds:,} families in {sold_seconds:.1f} s,"
        f" {answers:,} heard sold out, {seen.count(BUSY):,} busy; p50/p99 held"
        f" {seen.p_ms(50, HELD):.0f}/{seen.p_ms(99, HELD):.0f} ms, sold out"
        f" {seen.p_ms(50, SOLD_OUT):.0f}/{seen.p_ms(99, SOLD_OUT):.0f} ms"
    )


def week(offices: int) -> list[SlotPlanned]:
    """
    A week of the seed's first offices, everything public: a day's quota over the sessions.
    """
    with OFFICES.open(encoding="utf-8", newline="") as file:
        quotas = [(row["office_id"], int(row["daily_quota"])) for row in csv.DictReader(file)][:offices]
    sessions = len(places.SESSIONS)
    plans: list[SlotPlanned] = []
    for nth, slot_id in enumerate(places.slot_ids(1)):
        _, day_and_rest = slot_id.split(".", 1)
        for office_id, quota in quotas:
            size = quota // sessions + (nth % sessions < quota % sessions)
            plans += places.plans([f"{office_id}.{day_and_rest}"], capacity=size)
    return plans


def _asks(stand: Stand, plans: list[SlotPlanned], *, wanted: float, dice: random.Random) -> list[bytes]:
    families = Families(PassKeys.parse(stand.stack.env["PASS_KEYS"], variable="PASS_KEYS"))
    slots: dict[str, list[str]] = {}
    for plan in plans:
        slots.setdefault(plan.office_id, []).append(plan.slot_id)
    offices = list(slots)
    dice.shuffle(offices)
    count = int(wanted * 2 / (1 + FAMILY_MAX))
    drawn = dice.choices(offices, [1 / rank for rank in range(1, len(offices) + 1)], k=count)
    return [families.ask(dice.choice(slots[office]), dice.randint(1, FAMILY_MAX)) for office in drawn]


async def _check(stand: Stand, capacity: dict[str, int], *several: Seen) -> tuple[_Faults, int, int]:
    """
    The clients' answers against themselves and the books.
    """
    statuses = {status for seen in several for status in seen.statuses}
    if not statuses <= {str(HELD), str(SOLD_OUT), str(BUSY)}:
        raise StackError(f"a family heard {statuses}; one: {several[0].example.decode(errors='replace')}")
    held = [msgspec.json.decode(body, type=_Held) for seen in several for body in seen.bodies]
    taken = Counter((one.slot_id, seat) for one in held for seat in one.seats)
    by_slot = Counter(slot_id for slot_id, _ in taken.elements())
    kept = dict(zip(capacity, await books.books(stand, STORE, list(capacity)), strict=True))
    twice = sum(count - 1 for count in taken.values())
    beyond = sum(not 1 <= seat <= capacity[slot_id] for slot_id, seat in taken)
    # Every answer was heard, so what clients hold and what the books say is the same.
    lost = sum(max(0, by_slot[slot_id] - one["held"]) for slot_id, one in kept.items())
    unbalanced = sum(
        one["capacity"] != one["free"] + one["held"] + one["confirmed"] + one["withheld"]
        or one["held"] != by_slot[slot_id]
        for slot_id, one in kept.items()
    )
    return _Faults(twice + beyond, lost, unbalanced), taken.total(), len(held)
