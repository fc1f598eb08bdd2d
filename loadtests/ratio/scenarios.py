"""
What is measured, one scenario at a time: who is asked, with what, and which processes are billed for it.

Called by the bench once per scenario and round. Requests are made before the clock
starts; CPU time is read before the first is sent and after the last is answered.
"""

import dataclasses
import gc
import itertools
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final

from loadtests.ratio import minimal
from loadtests.ratio.client import Connection, Volley, connections, fire
from loadtests.ratio.processor import core_seconds, cpu_seconds
from loadtests.ratio.stand import BESIDE, CROWD, CROWD_UNWRITTEN, MINIMAL, UNWRITTEN, Pair, Stand, pair_of

CONNECTIONS: Final = 64
MANY_CONNECTIONS: Final = 256
"""At which a worker makes about the most it can, with a file and without."""
POOL: Final = 4096
"""Requests that may come again: they take nothing, or their server does not mind."""
RESERVATIONS_PER_SECOND_MAX: Final = 40_000
TOKENS_PER_SECOND_MAX: Final = 8_000
"""Signing and remembering more than this takes longer than the round."""
REPEATS_PER_SECOND_MAX: Final = 60_000
SELLING_OUT_SECONDS_MAX: Final = 10.0
LOOKING_SECONDS_MAX: Final = 30.0
"""For making the worker remember the tokens of a round."""
HELD, SOLD_OUT, NOT_FOUND = 201, 409, 404


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """
    One line of the table.
    """

    name: str
    what: str
    worker: str | None
    """The program that is asked; None: Valkey itself."""
    valkey: str | None = None
    """The program that decides, where there is one."""
    expected: int = HELD
    make: Callable[[Stand, float], Iterable[bytes]] | None = None
    tokens_known: bool | None = None
    """With a JWT of each account's own: seen before, or not."""
    connections: int = CONNECTIONS


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """
    One scenario, once. CPU in microseconds per request, busy as a share of the time the round took.
    """

    scenario: str
    number: int
    requests: int
    per_second: float
    p50_ms: float
    p99_ms: float
    worker_us: float
    valkey_us: float
    worker_busy: float
    valkey_busy: float
    generator_busy: float
    others_busy: float
    """Of the worker's core, for programs that are not the worker's: strangers, while the bench runs alone nearly 0."""


def _reservations(stand: Stand, seconds: float) -> Iterable[bytes]:
    return stand.people.with_passes(stand.slots, int(seconds * RESERVATIONS_PER_SECOND_MAX))


def _hot_reservations(stand: Stand, seconds: float) -> Iterable[bytes]:
    return stand.people.with_passes(stand.slots[:1], int(seconds * RESERVATIONS_PER_SECOND_MAX))


def _again_and_again(slots: Callable[[Stand], list[str]]) -> Callable[[Stand, float], Iterable[bytes]]:
    def make(stand: Stand, seconds: float) -> Iterable[bytes]:
        pool = stand.people.with_passes(slots(stand), POOL)
        return itertools.islice(itertools.cycle(pool), int(seconds * REPEATS_PER_SECOND_MAX))

    return make


_everywhere = _again_and_again(lambda stand: stand.slots)
_sold_out = _again_and_again(lambda stand: stand.sold_out)
_one_slot = _again_and_again(lambda stand: stand.slots[:1])


def _reserving(name: str, what: str, pair: Pair, *, connections: int = CONNECTIONS) -> Scenario:
    return Scenario(
        name=name, what=what, worker=pair.worker, valkey=pair.store, make=_reservations, connections=connections
    )


_FSYNCED: Final = Pair(worker="quota-fsync", store="valkey")
_BESIDE: Final = pair_of(BESIDE)

SCENARIOS: Final = (
    Scenario(name="bare", what="bare aiohttp POST", worker="bare", make=_everywhere),
    _reserving("reserve", "ours: all rules, fsync, pass, many slots", _FSYNCED),
    Scenario(
        name="reserve_hot",
        what="ours: the same on one slot",
        worker=_BESIDE.worker,
        valkey=_BESIDE.store,
        make=_hot_reservations,
    ),
    Scenario(
        name="sold_out",
        what="ours: sold out",
        worker=_FSYNCED.worker,
        valkey=_FSYNCED.store,
        expected=SOLD_OUT,
        make=_sold_out,
    ),
    _reserving("memory", "ours: nothing written to disk", pair_of(UNWRITTEN)),
    _reserving("crowd", "ours: 256 connections, fsync", pair_of(CROWD), connections=MANY_CONNECTIONS),
    _reserving(
        "crowd_memory", "ours: 256 connections, nothing written", pair_of(CROWD_UNWRITTEN), connections=MANY_CONNECTIONS
    ),
    Scenario(
        name="jwt_cold",
        what="ours: a JWT never seen before",
        worker=_BESIDE.worker,
        valkey=_BESIDE.store,
        tokens_known=False,
    ),
    Scenario(
        name="jwt_cached",
        what="ours: a JWT verified before",
        worker=_BESIDE.worker,
        valkey=_BESIDE.store,
        tokens_known=True,
    ),
    Scenario(
        name="redis_py",
        what="aiohttp, redis-py per request, no rules",
        worker="redis-py",
        valkey=_FSYNCED.store,
        make=_everywhere,
    ),
    Scenario(
        name="pg_hot_row",
        what="aiohttp, Postgres row lock, one slot",
        worker="row-lock",
        make=_one_slot,
    ),
    Scenario(name="minimal", what="minimal durable hold, Valkey alone", worker=None, valkey=MINIMAL),
)


async def sell_out(stand: Stand) -> None:
    """
    Take the only place of every slot that is to be sold out.
    """
    requests = stand.people.with_passes(stand.sold_out, len(stand.sold_out))
    async with connections(stand.port_of[_FSYNCED.worker], 1) as lines:
        await fire(lines, requests, seconds=SELLING_OUT_SECONDS_MAX, expected=HELD)


async def measure(scenario: Scenario, stand: Stand, *, number: int, seconds: float) -> Round:
    """
    Play one round.
    """
    worker = scenario.worker
    if worker is None:
        port = stand.port_of[MINIMAL]
        return await _billed(scenario, stand, number, minimal.hold(port, seconds=seconds, batch=CONNECTIONS))
    async with connections(stand.port_of[worker], scenario.connections) as lines:
        requests = await _requests(scenario, stand, lines, seconds)
        volley = fire(lines, requests, seconds=seconds, expected=scenario.expected)
        return await _billed(scenario, stand, number, volley)


async def _requests(scenario: Scenario, stand: Stand, lines: Sequence[Connection], seconds: float) -> Iterable[bytes]:
    if scenario.make is not None:
        return scenario.make(stand, seconds)
    asked = stand.people.with_tokens(stand.slots, int(seconds * TOKENS_PER_SECOND_MAX))
    if scenario.tokens_known:
        await fire(lines, asked.looks, seconds=LOOKING_SECONDS_MAX, expected=NOT_FOUND)
    return asked.reservations


async def _billed(scenario: Scenario, stand: Stand, number: int, volley: Awaitable[Volley]) -> Round:
    """
    Wait for the volley and read the clocks around it.
    """
    gc.collect()
    pids = {name: stand.pid_of(name) for name in (scenario.worker, scenario.valkey) if name is not None}
    before = {name: cpu_seconds(pid) for name, pid in pids.items()}
    generator_before, core_before = time.process_time(), core_seconds(stand.cores.worker)
    seen = await volley
    generator = time.process_time() - generator_before
    core = core_seconds(stand.cores.worker) - core_before
    used = {name: cpu_seconds(stand.pid_of(name)) - before[name] for name in pids}
    worker, store = used.get(scenario.worker or "", 0.0), used.get(scenario.valkey or "", 0.0)
    return Round(
        scenario=scenario.name,
        number=number,
        requests=seen.answers,
        per_second=seen.answers / seen.seconds,
        p50_ms=seen.percentile_ms(0.50),
        p99_ms=seen.percentile_ms(0.99),
        worker_us=worker / seen.answers * 1e6,
        valkey_us=store / seen.answers * 1e6,
        worker_busy=worker / seen.seconds,
        valkey_busy=store / seen.seconds,
        generator_busy=generator / seen.seconds,
        others_busy=max(0.0, core - worker) / seen.seconds,
    )
