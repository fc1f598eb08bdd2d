"""
One worker at its peak, at half of it, far beyond it, and answering what takes nothing.

Called by the bench with the stand of the ratio bench: the worker has a core for itself;
Valkey, fsynced, and the generator share the other. The peak is a closed loop; everything
else is due at times drawn beforehand, as multiples of that peak.
"""

import asyncio
import dataclasses
import itertools
import random
import re
import statistics
import time
from collections import deque
from collections.abc import Sequence
from typing import Final

from loadtests.bench.books import trimmed_memory
from loadtests.bench.crowd import look, poisson
from loadtests.bench.generator import Seen, closed_loop, lines, open_loop
from loadtests.bench.report import Report
from loadtests.bench.scale import Scale
from loadtests.ratio.processor import cpu_seconds, stolen_seconds
from loadtests.ratio.scenarios import sell_out
from loadtests.ratio.stand import Stand
from ops.errors import StackError
from ops.state import PROJECT

WORKER: Final = "quota-fsync"
STORE: Final = "valkey"
GAUGE: Final = "bare"
"""Of the stand's rivals the one that does nothing."""
PEAK_CONNECTIONS: Final = (64, 256)
"""With each of them the closed loop is played; the better one is the peak."""
OPEN_CONNECTIONS: Final = 512
CROWD_CONNECTIONS: Final = 3000
"""With no gateway before it: more requests at the worker at once than it lets decide, fewer than it lets connect."""
GATEWAY: Final = PROJECT / "deploy" / "gateway" / "nginx.conf"
PER_SECOND_MAX: Final = 40_000
"""Reservations one worker may make, as long as nobody knows how many it does."""
SPARE: Final = 2.0
"""So many times what a worker has done at best is spelled out beforehand: it must never be what bounds a figure."""
DEADLINE_SECONDS: Final = 1.0
"""Clients of a storm wait no longer; a later 201 is no success."""
FILLING_SHARE: Final = 0.2
"""Of a storm: its beginning, in which nothing can be back yet."""
STORMS: Final = (2, 5, 10)
REPEATS: Final = 4096
REPEATS_PER_SECOND_MAX: Final = 200_000
HELD, SOLD_OUT, OK, BUSY = 201, 409, 200, 503
_AGAIN: Final = frozenset({b"503"})


@dataclasses.dataclass(slots=True)
class Steady:
    """
    The scenarios of one worker; what one has found the next may need.
    """

    stand: Stand
    scale: Scale
    report: Report
    dice: random.Random
    peak: float = 0.0
    """Reservations a second, the best closed loop; storms are measured against loops of their own."""
    quickest: float = 0.0
    """Reservations a second, of any closed loop so far."""

    async def measure_peak(self) -> None:
        """
        The most reservations a second, what one costs, and what it leaves in memory.
        """
        if self.peak:
            return
        async with lines(self.stand.port_of[WORKER], PEAK_CONNECTIONS[0]) as on:
            seconds = self.scale.peak_seconds / 2
            self._note(await closed_loop(on, self._asks_for(seconds), seconds=seconds, again=_AGAIN))
        before = await trimmed_memory(self.stand, STORE)
        held, best = 0, []
        for count in PEAK_CONNECTIONS:
            rates = []
            async with lines(self.stand.port_of[WORKER], count) as on:
                for number in range(self.scale.peak_rounds):
                    supply = self._asks_for(self.scale.peak_seconds)
                    worker, store = self._clocks()
                    seen = await closed_loop(on, supply, seconds=self.scale.peak_seconds, again=_AGAIN)
                    _only(seen, HELD, BUSY)
                    rate = self._note(seen)
                    rates.append(rate)
                    held += seen.count(HELD)
                    worker, store = (now - then for now, then in zip(self._clocks(), (worker, store), strict=True))
                    per = 1e6 / seen.count(HELD)
                    self._keep(
                        "peak", seen, connections=count, round=number, worker_us=worker * per, valkey_us=store * per
                    )
                    self.report.say(
                        f"peak, {count} connections: {rate:,.0f}/s  p99 {seen.p_ms(99):.1f} ms"
                        f"  worker {worker * per:.1f} µs  Valkey {store * per:.1f} µs"
                    )
            best.append(statistics.median(rates))
        self.peak = max(best)
        after = await trimmed_memory(self.stand, STORE)
        self.report.set(peak_per_second=self.peak, bytes_per_hold=(after - before) / held)
        self.report.say(f"peak: {self.peak:,.0f}/s; {(after - before) / held:.0f} bytes per hold of one person")

    async def measure_half(self) -> None:
        """
        Latency at half of the peak, counted from when each request was due: the median of rounds.

        Each round takes the half of what the worker did just before it: a shared machine has faster and slower minutes.
        A bare POST is asked as often beside it: what of the latency is the machine's.
        """
        await self.measure_peak()
        halves, bare, stolen = list[Seen](), list[Seen](), list[float]()
        for number in range(self.scale.half_rounds):
            rate = await self._peak_now(max(PEAK_CONNECTIONS), seconds=self.scale.peak_seconds) / 2
            before = self._stolen(), time.monotonic()
            seen = await self._at(rate, WORKER)
            stolen.append((self._stolen() - before[0]) / (time.monotonic() - before[1]))
            self._keep("half_peak", seen, rate=rate, round=number, stolen=stolen[-1])
            halves.append(seen)
            bare.append(await self._at(rate, GAUGE))
            self.report.say(
                f"half peak, {rate:,.0f}/s: p50 {seen.p_ms(50):.2f}  p99 {seen.p_ms(99):.2f}"
                f"  p99.9 {seen.p_ms(99.9):.2f} ms;"
                f" generator late by p50 {seen.lag_ms(50):.2f}  p99 {seen.lag_ms(99):.2f} ms"
                f"; longest silence {seen.silence_ms:.0f} ms; the host took {stolen[-1]:.1%}"
            )
        self.report.set(
            stolen_at_half_peak=statistics.median(stolen),
            p99_ms_at_half_peak=statistics.median(seen.p_ms(99) for seen in halves),
            p50_ms_at_half_peak=statistics.median(seen.p_ms(50) for seen in halves),
            bare_p99_ms_at_that_rate=statistics.median(seen.p_ms(99) for seen in bare),
        )

    def _stolen(self) -> float:
        """
        Seconds the host has kept from a core of ours, the mean of both.
        """
        return statistics.mean(stolen_seconds(core) for core in (self.stand.cores.worker, self.stand.cores.rest))

    async def _at(self, rate: float, worker: str) -> Seen:
        """
        An open loop.
        """
        dues = poisson(rate, self.scale.half_seconds, dice=self.dice)
        async with lines(self.stand.port_of[worker], OPEN_CONNECTIONS) as on:
            seen = await open_loop(on, self._asks(len(dues)), dues)
        _only(seen, HELD, BUSY)
        return seen

    async def measure_overload(self) -> None:
        """
        Successes in time at multiples of the peak, and what is left of the peak 5 s after the worst.

        Every storm is measured against the closed loops before and after it, on as many connections as the gateway
        opens, many times in turn. Before the peak in front of a recovery there is the same rest as behind the storm: a
        shared machine is quicker after one, and differently so from program to program.
        """
        door = _door()
        for times in STORMS:
            self._judge(f"goodput_{times}x", statistics.median(await self._against_peaks(times, door)))
        recovered = [await self._recovered(door) for _ in range(self.scale.recovery_rounds)]
        self._judge("recovery", statistics.median(recovered))
        self._judge("goodput_10x_without_gateway", await self._without_gateway(door))

    async def _against_peaks(self, times: int, door: int) -> list[float]:
        """
        Goodput of storms, each as a part of the peak around it; the peak after one is that before the next.
        """
        scale, shares = self.scale, list[float]()
        before = await self._peak_now(door, seconds=scale.beside_seconds)
        for _ in range(scale.storm_rounds):
            good = await self._storm(f"{times}x", times * before, connections=door, seconds=scale.storm_seconds)
            after = await self._peak_now(door, seconds=scale.beside_seconds)
            shares.append(good / statistics.mean((before, after)))
            before = after
        return shares

    async def _without_gateway(self, door: int) -> float:
        """
        Goodput of the worst storm where nothing bounds its connections, as a part of the better of the peaks around it.
        """
        seconds, worst = self.scale.peak_seconds, STORMS[-1]
        peak = await self._peak_now(door, seconds=seconds)
        good = await self._storm(
            f"{worst}x_without_gateway",
            worst * peak,
            connections=CROWD_CONNECTIONS,
            seconds=self.scale.storm_seconds,
        )
        return good / max(peak, await self._peak_now(door, seconds=seconds))

    async def _recovered(self, door: int) -> float:
        """
        The peak some seconds after the worst storm, as a part of that before it.
        """
        scale, worst = self.scale, STORMS[-1]
        await asyncio.sleep(scale.recovered_after_seconds)
        before = await self._peak_now(door, seconds=scale.peak_seconds)
        await self._storm(f"{worst}x", worst * self.peak, connections=door, seconds=scale.recovery_storm_seconds)
        await asyncio.sleep(scale.recovered_after_seconds)
        after = await self._peak_now(door, seconds=scale.peak_seconds)
        self.report.keep("recovery", before=before, after=after)
        return after / before

    def _judge(self, name: str, figure: float) -> None:
        self.report.set(**{name: figure})
        self.report.say(f"{name}: {figure:.1%} of the peak around it")

    async def _peak_now(self, connections: int, *, seconds: float) -> float:
        """
        Reservations a second in a closed loop, at this moment.
        """
        async with lines(self.stand.port_of[WORKER], connections) as on:
            asks, (worker, store) = self._asks_for(seconds), self._clocks()
            seen = await closed_loop(on, asks, seconds=seconds, again=_AGAIN)
            worker, store = (now - then for now, then in zip(self._clocks(), (worker, store), strict=True))
        _only(seen, HELD, BUSY)
        rate = self._note(seen)
        self._keep("overload_peak", seen, connections=connections, worker_seconds=worker, valkey_seconds=store)
        self.report.say(
            f"peak around storms, {connections} connections: {rate:,.0f}/s; worker busy {worker / seen.seconds:.0%}"
        )
        return rate

    async def _storm(self, name: str, rate: float, *, connections: int, seconds: float) -> float:
        """
        Successes in time a second.
        """
        dues = poisson(rate, seconds, dice=self.dice)
        # Who was refused asks again with the same bytes.
        supply = self._asks_for(seconds)
        async with lines(self.stand.port_of[WORKER], connections) as on:
            worker, store = self._clocks()
            seen = await open_loop(on, supply, dues, wait=False, again=_AGAIN)
            worker, store = (now - then for now, then in zip(self._clocks(), (worker, store), strict=True))
        _only(seen, HELD, BUSY)
        if not supply:
            raise StackError(f"{seen.sent:,} requests were spelled out for {name}, and all were asked before its end")
        begins = seconds * FILLING_SHARE
        good = seen.in_time(HELD, deadline_seconds=DEADLINE_SECONDS, first_second=begins, last_second=seconds)
        good /= seconds - begins
        reached, due = seen.sent / seconds, len(dues) / seconds
        refused_p99 = seen.p_ms(99, BUSY) if seen.count(BUSY) else 0.0
        self._keep(
            f"overload_{name}",
            seen,
            connections=connections,
            due=due,
            reached=reached,
            worker_seconds=worker,
            valkey_seconds=store,
        )
        times = due / rate * float(name.partition("x")[0])
        self.report.set(**{f"offered_{name}": times * reached / due, f"refused_p99_ms_{name}": refused_p99})
        self.report.say(
            f"overload {name}, {connections:,} connections: {good:,.0f}/s in time;"
            f" due {due:,.0f}/s, reached the worker"
            f" {reached:,.0f}/s ({seen.turned_away:,} found no connection); {seen.statuses};"
            f" p99 held {seen.p_ms(99, HELD):.0f}, refused {refused_p99:.0f} ms;"
            f" longest silence {seen.silence_ms:.0f} ms;"
            f" worker busy {worker / seconds:.0%}, Valkey {store / seconds:.0%},"
            f" generator {seen.generator_seconds / seconds:.0%}"
        )
        return good

    async def measure_sold_out(self) -> None:
        """
        A storm on slots without a place.
        """
        await sell_out(self.stand)
        asks = self.stand.people.with_passes(self.stand.sold_out, REPEATS)
        await self._repeat("sold_out", asks, SOLD_OUT)

    async def measure_availability(self) -> None:
        """
        Looks at what is free, office by office.
        """
        offices = sorted({slot_id.partition(".")[0] for slot_id in self.stand.slots})
        await self._repeat("availability", [look(office_id) for office_id in offices], OK)

    async def _repeat(self, name: str, asks: Sequence[bytes], expected: int) -> None:
        """
        Requests that take nothing: as many as go, then latency at half of that.
        """
        seconds = self.scale.repeats_seconds

        def supply(count: float) -> deque[bytes]:
            return deque(itertools.islice(itertools.cycle(asks), int(count)))

        async with lines(self.stand.port_of[WORKER], PEAK_CONNECTIONS[0]) as on:
            fast = await closed_loop(on, supply(REPEATS_PER_SECOND_MAX * seconds), seconds=seconds)
        _only(fast, expected)
        rate = fast.count(expected) / fast.seconds
        dues = poisson(rate / 2, seconds, dice=self.dice)
        async with lines(self.stand.port_of[WORKER], OPEN_CONNECTIONS) as on:
            calm = await open_loop(on, supply(len(dues)), dues)
        _only(calm, expected)
        self._keep(name, fast)
        self._keep(f"{name}_half", calm, rate=rate / 2)
        self.report.set(**{f"{name}_per_second": rate, f"{name}_p99_ms_at_half": calm.p_ms(99)})
        self.report.say(
            f"{name}: {rate:,.0f}/s; at half of it p50 {calm.p_ms(50):.2f}  p99 {calm.p_ms(99):.2f} ms"
            f" (generator late by p99 {calm.lag_ms(99):.2f} ms)"
        )

    def _note(self, seen: Seen) -> float:
        """
        Reservations a second of a closed loop.
        """
        rate = seen.count(HELD) / seen.seconds
        self.quickest = max(self.quickest, rate)
        return rate

    def _asks_for(self, seconds: float) -> deque[bytes]:
        """
        More than can be answered within these seconds, also by as many connections as a crowd has.
        """
        per_second = SPARE * self.quickest or PER_SECOND_MAX
        return self._asks(per_second * seconds + 2 * CROWD_CONNECTIONS)

    def _asks(self, count: float) -> deque[bytes]:
        return deque(self.stand.people.with_passes(self.stand.slots, int(count) + 1))

    def _clocks(self) -> tuple[float, float]:
        return cpu_seconds(self.stand.pid_of(WORKER)), cpu_seconds(self.stand.pid_of(STORE))

    def _keep(self, scenario: str, seen: Seen, **more: float) -> None:
        self.report.keep(scenario, **summary(seen), **more)


def summary(seen: Seen) -> dict[str, object]:
    """
    A volley as a raw record.
    """
    return {
        "seconds": seen.seconds,
        "asked": seen.asked,
        "sent": seen.sent,
        "generator_us": seen.generator_seconds / max(1, seen.sent) * 1e6,
        "turned_away": seen.turned_away,
        "longest_silence_ms": seen.silence_ms,
        "statuses": seen.statuses,
        "latency_ms": {
            status: {f"p{percentile:g}": seen.p_ms(percentile, int(status)) for percentile in (50, 90, 99, 99.9, 100)}
            for status in seen.statuses
        },
        "generator_late_ms": {f"p{percentile:g}": seen.lag_ms(percentile) for percentile in (50, 99, 100)},
    }


def _door() -> int:
    """
    How many connections the gateway opens to a worker; where it sets no bound, a crowd's.
    """
    found = re.search(r"\$\{QUOTA_API\}[^;]*\bmax_conns=(\d+)", GATEWAY.read_text())
    return int(found[1]) if found else CROWD_CONNECTIONS


def _only(seen: Seen, *expected: int) -> None:
    """
    An answer of another kind ends the run.
    """
    if not set(seen.statuses) <= {str(status) for status in expected}:
        raise StackError(f"expected {expected}, got {seen.statuses}; one: {seen.example.decode(errors='replace')}")
