"""
Where the bench happens: a throw-away stack of stores, workers on one core, everything else on another.

Called by the bench once per run. Two workers of quota's api (fsynced, and on a second
Valkey that writes nothing down) and the rivals stay up throughout; one at a time is asked.
"""

import dataclasses
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, NamedTuple

import asyncpg
from redis.asyncio import Redis

from contracts.envelope import Envelope
from kernel.auth.passes import PassKeys
from kernel.auth.tokens import TokenSigner, signing_key
from loadtests.apart import environ_apart, published
from loadtests.ratio import places, rivals
from loadtests.ratio.client import LOCAL
from loadtests.ratio.people import People
from loadtests.ratio.processor import Cores, pin, two_cores
from ops import ports, services, valkey
from ops.errors import StackError
from ops.programs import Program
from ops.stack import Stack
from ops.state import PROJECT
from services.quota.keys import Keys
from services.quota.settings import FSYNC, MEMORY
from services.quota.stores.claims import Claims
from services.quota.stores.histories import Histories
from services.quota.stores.holds import Holds
from services.quota.stores.outbox import START, Position
from services.quota.stores.valkey import Valkey
from services.quota.use_cases.following import Following

FREE_PLACES: Final = 1_000_000
UNWRITTEN: Final = "memory"
"""The pair without a file that is always there."""
BESIDE: Final = "beside"
"""The fsynced pair whose store is filled by others than `reserve`."""
CROWD: Final = "crowd"
CROWD_UNWRITTEN: Final = "crowd-memory"
"""The pairs that many ask at once, fsynced and without a file."""
MINIMAL: Final = "valkey-minimal"
CONNECT_SECONDS: Final = 10.0
WORKERS_GRACE_SECONDS: Final = 10.0


class Pair(NamedTuple):
    """
    A worker of quota's api and its Valkey, by their names.
    """

    worker: str
    store: str


def pair_of(name: str) -> Pair:
    """
    What they are called that have a store of their own.
    """
    return Pair(worker=f"quota-{name}", store=f"valkey-{name}")


@dataclasses.dataclass(slots=True, kw_only=True)
class Stand:
    """
    Everything a scenario may ask for.
    """

    stack: Stack
    cores: Cores
    people: People
    slots: list[str]
    sold_out: list[str]
    jwks_url: str = ""
    port_of: dict[str, int] = dataclasses.field(default_factory=dict)
    """By program: where it answers."""
    workers: list[str] = dataclasses.field(default_factory=list)
    """Programs that go before the stores do."""

    async def start(self, program: Program, *, core: int) -> None:
        """
        Run a program on a core until the stand ends.
        """
        if core == self.cores.worker:
            self.workers.append(program.name)
        supervisor = self.stack.supervisor
        supervisor.start(program)
        await supervisor.wait_ready(program.name, deadline_seconds=30.0)
        pin(self.pid_of(program.name), core)
        self.port_of[program.name] = program.port

    def pid_of(self, name: str) -> int:
        """
        The process of a program. Raises `StackError` if it is no longer the one that was pinned.
        """
        if self.stack.supervisor.keepers[name].restarts:
            raise StackError(f"{name} ended under the load; its log is in {self.stack.state.log_of(name)}")
        return self.stack.pid_of(name)


@asynccontextmanager
async def stand(folder: Path, *, offices: int, say: Callable[[str], None]) -> AsyncIterator[Stand]:
    """
    Start everything and load the slots; nothing is left running at the end.
    """
    cores = two_cores()
    # Children inherit it: the stores, the broker and this process share a core.
    os.sched_setaffinity(0, {cores.rest})
    async with Stack(folder, environ_apart(), services=False, kafka="embedded", ports="free", say=say) as stack:
        signer = TokenSigner(signing_key(stack.env["JWT_SIGNING_KEY"], variable="JWT_SIGNING_KEY"))
        passes = PassKeys.parse(stack.env["PASS_KEYS"], variable="PASS_KEYS")
        slots, sold_out = places.slot_ids(offices), places.sold_out_ids(offices)
        made = Stand(stack=stack, cores=cores, people=People(passes, signer), slots=slots, sold_out=sold_out)
        made.port_of["valkey"] = stack.ports["VALKEY_PORT"]
        await _fill_valkey(made, "valkey")
        await _fill_postgres(made)
        async with published(signer) as made.jwks_url:
            await made.start(_quota(made, "quota-fsync", "valkey", FSYNC), core=cores.worker)
            await without_a_file(made, UNWRITTEN)
            for name, url in (
                ("bare", ""),
                ("redis-py", _url(made, "valkey")),
                ("row-lock", stack.env["DATABASE_URL"]),
            ):
                await made.start(_rival(made, name, url), core=cores.worker)
            try:
                yield made
            finally:
                # Before the stores: a worker without its store waits for it while it drains.
                await stack.supervisor.stop(made.workers, grace_seconds=WORKERS_GRACE_SECONDS)


async def without_a_file(made: Stand, name: str) -> Pair:
    """
    One more worker on a Valkey of its own that writes nothing down.
    """
    return await _pair(made, name, MEMORY)


async def stores_apart(made: Stand) -> None:
    """
    A Valkey costs more the more it holds: so that those compared hold as much, others fill other ones.
    """
    await _pair(made, BESIDE, FSYNC)
    await _pair(made, CROWD, FSYNC)
    await without_a_file(made, CROWD_UNWRITTEN)
    await _store(made, MINIMAL, FSYNC)


async def _pair(made: Stand, name: str, durability: str) -> Pair:
    pair = pair_of(name)
    await _store(made, pair.store, durability)
    await _fill_valkey(made, pair.store)
    await made.start(_quota(made, pair.worker, pair.store, durability), core=made.cores.worker)
    return pair


async def _store(made: Stand, name: str, durability: str) -> None:
    folder = made.stack.state.data(name)
    program = valkey.program(folder, port=_free_ports(made, 1)[0])
    if durability == MEMORY:
        config = folder / "valkey.conf"
        config.write_text(config.read_text().replace("appendonly yes", "appendonly no"))
    await made.start(dataclasses.replace(program, name=name), core=made.cores.rest)


def _url(made: Stand, name: str) -> str:
    return f"redis://{LOCAL}:{made.port_of[name]}/0"


async def _fill_valkey(made: Stand, name: str) -> None:
    keys = Keys(int(made.stack.env["PARTITIONS"]))
    client: Redis = Redis.from_url(_url(made, name), socket_timeout=CONNECT_SECONDS)
    try:
        # A rewrite of the file in the middle of a round would be counted against whoever is measured then.
        await client.config_set("auto-aof-rewrite-percentage", 0)
        await client.mset({rivals.PLAIN_KEY.format(slot_id=slot_id): FREE_PLACES for slot_id in made.slots})
        store = Valkey(client, timeout_seconds=CONNECT_SECONDS)
        # Nobody else knows of a decision: as a relay leaves a new installation.
        await Histories(store, keys).clear(dict.fromkeys(range(keys.partitions), START))
        following = Following(Holds(store, keys), Claims(store, keys))
        plans = places.plans(made.slots, capacity=FREE_PLACES) + places.plans(made.sold_out, capacity=1)
        nothing_elsewhere = dict.fromkeys(range(keys.partitions), Position(0, 0))
        await Histories(store, keys).clear(nothing_elsewhere)
        await following.plans([Envelope(event_id=f"ratio.{plan.slot_id}", event=plan) for plan in plans])
    finally:
        await client.aclose()


async def _fill_postgres(made: Stand) -> None:
    connection = await asyncpg.connect(made.stack.env["DATABASE_URL"], timeout=CONNECT_SECONDS)
    try:
        await connection.execute(rivals.SCHEMA)
        await connection.execute("INSERT INTO plain_slot VALUES ($1, $2)", made.slots[0], FREE_PLACES)
    finally:
        await connection.close(timeout=CONNECT_SECONDS)


def _free_ports(made: Stand, count: int) -> list[int]:
    taken = {*made.stack.ports.values(), *made.port_of.values()}
    found: list[int] = []
    while len(found) < count:
        found.append(ports.free_port(taken | set(found)))
    return found


def _quota(made: Stand, name: str, store: str, durability: str) -> Program:
    (service,) = services.chosen(["quota-api"])
    http_port, admin_port = _free_ports(made, 2)
    env = {
        **made.stack.env,
        "VALKEY_URL": _url(made, store),
        "VALKEY_DURABILITY": durability,
        "JWKS_URL": made.jwks_url,
    }
    drawn = {service.http_variable: http_port, service.admin_variable: admin_port}
    program = services.program(service, python=sys.executable, env=env, ports=drawn)
    return dataclasses.replace(program, name=name, needs=())


def _rival(made: Stand, name: str, url: str) -> Program:
    (port,) = _free_ports(made, 1)
    return Program(
        name=name,
        what="to compare with",
        command=(sys.executable, "-m", "loadtests.ratio.rivals", name, "--port", str(port), "--url", url),
        env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
        probe=f"http://{LOCAL}:{port}/readyz",
        port=port,
        cwd=PROJECT,
    )
