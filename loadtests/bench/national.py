"""
A whole week of the whole nation, from the first request to the last row in Postgres.

Called by the bench. Requests take every place exactly, each once, over as many connections
as a gateway would keep busy; the end is when every decision of Valkey is committed in
Postgres. Then every store is audited against the others and against the clients' answers.
"""

import asyncio
import contextlib
import dataclasses
import random
import time
from collections import deque
from collections.abc import Mapping
from typing import Final

import msgspec

from kernel.auth.passes import PassKeys
from loadtests.bench.crowd import Families
from loadtests.bench.generator import Seen, closed_loop, lines
from loadtests.bench.nation import Say, Slot, Watch, clocks, open_window, watching, whole_path
from loadtests.bench.report import Report
from loadtests.bench.scale import Scale
from ops import rooms
from ops.audit.findings import zeros
from ops.audit.run import audit
from ops.release.tally import Acknowledged
from ops.stack import Stack

CONNECTIONS: Final = 64
SELL_SECONDS_MAX: Final = 120.0
AUDIT_SECONDS: Final = 30.0
PROGRESS_SECONDS: Final = 2.0
FINDINGS_SHOWN_MAX: Final = 5
HELD: Final = 201
_AGAIN: Final = frozenset({b"503"})


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """
    How a release went.
    """

    places: int
    reservations: int
    sold_seconds: float
    """From the first request to the last 201."""
    seconds: float
    """From the first request to the moment when Postgres had recorded every decision."""
    cpu_seconds: Mapping[str, float]
    """By program, over the same time."""
    zeros: Mapping[str, int]
    unsold: int
    """Places that were asked for and not sold."""


class _Answer(msgspec.Struct, frozen=True):
    reservation_id: str
    slot_id: str
    seats: tuple[int, ...]
    person_ids: tuple[str, ...]


async def play(name: str, scale: Scale, report: Report, *, seed: int) -> None:
    """
    One release; `national_singles` is asked for by people without a family, the most there can be.
    """
    family_max = 1 if name == "national_singles" else scale.family_max
    report.say(f"{name}: a release of {scale.offices} offices, families of 1 to {family_max}")
    made = await release(offices=scale.offices, family_max=family_max, seed=seed, say=report.say)
    report.keep(name, **dataclasses.asdict(made))
    busiest = ", ".join(f"{name} {used:.1f}" for name, used in sorted(made.cpu_seconds.items(), key=lambda e: -e[1]))
    report.say(
        f"{name}: {made.places:,} places as {made.reservations:,} reservations, sold in {made.sold_seconds:.1f} s,"
        f" in Postgres after {made.seconds:.1f} s; CPU seconds: {busiest}"
    )
    figure = "national_release_seconds" if name == "national" else "national_singles_seconds"
    report.set(**{figure: made.seconds})
    report.add(
        oversold=made.zeros["oversold"],
        lost=made.zeros["lost"],
        unbalanced=made.zeros["unbalanced_slots"],
        unsold=made.unsold,
    )


async def release(*, offices: int, family_max: int, seed: int, say: Say) -> Release:
    """
    Sell everything, wait for the last row, audit.
    """
    async with whole_path(say) as stack:
        slots = await open_window(stack, offices=offices)
        families = Families(PassKeys.parse(stack.env["PASS_KEYS"], variable="PASS_KEYS"))
        requests = families.filling(
            [(slot.slot_id, slot.capacity) for slot in slots], family_max=family_max, dice=random.Random(seed)
        )
        say(f"{len(requests):,} families for {sum(slot.capacity for slot in slots):,} places")
        return await _measure(stack, slots, requests, say)


async def _measure(stack: Stack, slots: list[Slot], requests: list[bytes], say: Say) -> Release:
    async with watching(stack) as watch, lines(stack.ports["QUOTA_API_HTTP_PORT"], CONNECTIONS) as on:
        before, own = clocks(stack), time.process_time()
        started = time.perf_counter()
        reporter = asyncio.create_task(_report(watch, started, say))
        try:
            sold = await closed_loop(on, deque(requests), seconds=SELL_SECONDS_MAX, again=_AGAIN, bodies=True)
            sold_seconds = time.perf_counter() - started
            await watch.until_recorded()
            seconds = time.perf_counter() - started
        finally:
            reporter.cancel()
        used = {name: now - before[name] for name, now in clocks(stack).items()}
        used["generator"] = time.process_time() - own
    say(f"the last row stands after {seconds:.1f} s, the last answer came after {sold_seconds:.1f} s; auditing")
    found, taken = await _audited(stack, sold, say)
    places = sum(slot.capacity for slot in slots)
    if taken < places:
        say(f"✗ {places - taken:,} places were asked for and not sold: {sold.statuses} {sold.example[:300]!r}")
    return Release(
        places=places,
        reservations=sold.count(HELD),
        sold_seconds=sold_seconds,
        seconds=seconds,
        cpu_seconds=used,
        zeros=found,
        unsold=places - taken,
    )


async def _report(watch: Watch, started: float, say: Say) -> None:
    with contextlib.suppress(asyncio.CancelledError):
        while True:
            await asyncio.sleep(PROGRESS_SECONDS)
            decided, recorded = await watch.decided(), await watch.recorded()
            say(f"{time.perf_counter() - started:5.1f} s  decided {decided:,}  recorded {recorded:,}")


async def _audited(stack: Stack, sold: Seen, say: Say) -> tuple[dict[str, int], int]:
    """
    Every store against each other and against the clients' answers: what is wrong, and how many places are taken.
    """
    answers = (msgspec.json.decode(body, type=_Answer) for body in sold.bodies)
    acknowledged = [
        Acknowledged(
            reservation_id=answer.reservation_id,
            slot_id=answer.slot_id,
            account_id=f"acc_{answer.person_ids[0][4:36]}",
            seats=answer.seats,
        )
        for answer in answers
    ]
    # Payment is not started, and has nothing to say; the audit asks it all the same.
    await rooms.command("payment", "migrate", env=stack.env)
    evidence, findings = await audit(stack.env, patience_seconds=AUDIT_SECONDS, acknowledged=acknowledged)
    for finding in findings[:FINDINGS_SHOWN_MAX]:
        say(f"✗ {finding.kind.value} {finding.subject}: {finding.sentence}")
    return zeros(findings), sum(len(row.seats) for row in evidence.active())
