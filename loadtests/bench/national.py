"""
A whole week of the whole nation, from the first request to the last row in Postgres.

Called by the bench. A stack of its own with the programs a place passes through: quota's
api, relay and worker, the broker, booking's worker, Postgres. The offices, their quotas
and their windows are booking's, from `deploy/seed`; every place is public and of one
service, so that 95,920 are to be had. Requests take every place exactly. Nothing is
pinned: the programs share the cores as they do in a deployment. Ends with an audit.
"""

import asyncio
import contextlib
import dataclasses
import os
import random
import re
import tempfile
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import asyncpg
import msgspec
from aiohttp import web
from redis.asyncio import Redis

from kernel.auth.passes import PassKeys
from kernel.auth.tokens import TokenSigner, signing_key
from loadtests.bench.crowd import Families
from loadtests.bench.generator import Seen, closed_loop, lines
from loadtests.bench.report import Report
from loadtests.bench.scale import Scale
from loadtests.ratio.client import LOCAL
from loadtests.ratio.processor import cpu_seconds
from ops import rooms
from ops.audit.findings import zeros
from ops.audit.run import audit
from ops.errors import StackError
from ops.release.tally import Acknowledged
from ops.stack import Stack
from services.quota.keys import Keys

Say = Callable[[str], None]
SEED: Final = Path(__file__).parents[2] / "deploy" / "seed"
PROGRAMS: Final = ("quota-api", "quota-worker", "quota-relay", "booking-worker")
STORES: Final = ("valkey", "kafka", "postgres")
CONNECTIONS: Final = 64
STORE_SECONDS: Final = 10.0
PLAN_SECONDS_MAX: Final = 60.0
SELL_SECONDS_MAX: Final = 120.0
DRAIN_SECONDS_MAX: Final = 180.0
AUDIT_SECONDS: Final = 30.0
LOOK_SECONDS: Final = 0.05
PROGRESS_SECONDS: Final = 2.0
HELD, BUSY = 201, b"503"
_GIVEN: Final = {"VALKEY_URL", "DATABASE_URL", "KAFKA_BOOTSTRAP", "SMTP_URL", "MAIL_LOOKUP_URL", "PUBLIC_URL"}
"""A developer's own stores must never be the ones that are measured and filled."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """
    How a release went.
    """

    places: int
    offices: int
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


class _Slot(msgspec.Struct, frozen=True):
    slot_id: str
    capacity: int


async def release(*, offices: int | None, family_max: int, seed: int, say: Say) -> Release:
    """
    Sell everything and wait for the last row. `offices`: all of the seed's, or its first few.
    """
    with tempfile.TemporaryDirectory(prefix="antrean-national-") as name:
        folder = Path(name)
        # Postgres, run as another account when we are root, must be able to pass through.
        await asyncio.to_thread(folder.chmod, 0o755)
        async with _stack(folder, say) as stack:
            slots = await _open_window(stack, folder, offices)
            families = Families(PassKeys.parse(stack.env["PASS_KEYS"], variable="PASS_KEYS"))
            requests = families.filling(
                [(slot.slot_id, slot.capacity) for slot in slots], family_max=family_max, dice=random.Random(seed)
            )
            say(f"  {len(requests):,} families for {sum(slot.capacity for slot in slots):,} places")
            return await _measure(stack, slots, requests, say)


async def _measure(stack: Stack, slots: list[_Slot], requests: list[bytes], say: Say) -> Release:
    async with _watch(stack) as watch, lines(stack.ports["QUOTA_API_HTTP_PORT"], CONNECTIONS) as on:
        before = {name: _cpu_seconds(stack.pid_of(name)) for name in (*PROGRAMS, *STORES)}
        own = time.process_time()
        started = time.perf_counter()
        reporter = asyncio.create_task(_report(watch, started, say))
        try:
            supply = deque(requests)
            sold = await closed_loop(on, supply, seconds=SELL_SECONDS_MAX, again=frozenset({BUSY}), bodies=True)
            sold_seconds = time.perf_counter() - started
            await watch.until_recorded()
            seconds = time.perf_counter() - started
        finally:
            reporter.cancel()
        used = {name: _cpu_seconds(stack.pid_of(name)) - before[name] for name in before}
        used["generator"] = time.process_time() - own
    say(f"  the last row stands after {seconds:.1f} s, the last answer came after {sold_seconds:.1f} s; auditing")
    found, taken = await _audited(stack, sold, say)
    places = sum(slot.capacity for slot in slots)
    if taken < places:
        say(f"✗ {places - taken:,} places were asked for and not sold: {sold.statuses} {sold.example[:300]!r}")
    return Release(
        places=places,
        offices=len({slot.slot_id.partition(".")[0] for slot in slots}),
        reservations=sold.count(HELD),
        sold_seconds=sold_seconds,
        seconds=seconds,
        cpu_seconds=used,
        zeros=found,
        unsold=places - taken,
    )


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
    await rooms.command("payment", "migrate", env=stack.env)
    evidence, findings = await audit(stack.env, patience_seconds=AUDIT_SECONDS, acknowledged=acknowledged)
    for finding in findings[:5]:
        say(f"  ✗ {finding.kind.value} {finding.subject}: {finding.sentence}")
    return zeros(findings), sum(len(row.seats) for row in evidence.active())


class _Answer(msgspec.Struct, frozen=True):
    reservation_id: str
    slot_id: str
    seats: tuple[int, ...]
    person_ids: tuple[str, ...]


@asynccontextmanager
async def _stack(folder: Path, say: Say) -> AsyncIterator[Stack]:
    """
    The programs a place passes through. Keys for tokens are published here; nobody has a token.
    """
    environ = {name: value for name, value in os.environ.items() if name not in _GIVEN}
    async with _published() as jwks_url:
        environ |= {"JWKS_URL": jwks_url}
        async with Stack(
            folder / "state", environ, services=PROGRAMS, kafka="embedded", ports="free", say=say
        ) as stack:
            yield stack


@asynccontextmanager
async def _published() -> AsyncIterator[str]:
    signer = TokenSigner(signing_key("A" * 43 + "=", variable="JWT_SIGNING_KEY"))

    async def jwks(_: web.Request) -> web.Response:
        return web.json_response(signer.jwks())

    app = web.Application()
    app.router.add_get("/jwks.json", jwks)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, LOCAL, 0).start()
        yield f"http://{LOCAL}:{runner.addresses[0][1]}/jwks.json"
    finally:
        await runner.cleanup()


async def _open_window(stack: Stack, folder: Path, offices: int | None) -> list[_Slot]:
    """
    Seed, open, and wait until quota knows every slot.
    """
    calendar, few, none = folder / "calendar.toml", folder / "offices.csv", folder / "holidays.csv"
    calendar.write_text(_public_only((SEED / "calendar.toml").read_text()))
    rows = (SEED / "offices.csv").read_text().splitlines(keepends=True)
    few.write_text("".join(rows[: None if offices is None else 1 + offices]))
    # In a week with holidays fewer places would be released than in another.
    none.write_text((SEED / "holidays.csv").read_text().splitlines(keepends=True)[0])
    files = ("--calendar", str(calendar), "--offices", str(few), "--holidays", str(none))
    await rooms.command("booking", "seed", *files, env=stack.env)
    await rooms.command("booking", "window", "open", "--in", "0s", "--for", "2h", env=stack.env)
    out = folder / "plans.jsonl"
    await rooms.command("booking", "export", "--out", str(out), env=stack.env)
    exported = [msgspec.json.decode(line) for line in out.read_bytes().splitlines()]
    slots = [msgspec.convert(one, _Slot) for one in exported if one["kind"] == "slot" and not one["closed"]]
    await _until_quota_sells(stack, {slot.slot_id for slot in slots})
    return slots


def _public_only(calendar: str) -> str:
    """
    The calendar with all places in one service and one channel, the public one.
    """
    for table, share in (("service", "regular = 1.0"), ("channel", "online = 1.0")):
        calendar, count = re.subn(
            rf"(\[shares\.{table}\]\n)(?:[a-z_]+ = [0-9.]+\n)+", rf"\g<1>{share}\n", calendar, count=1
        )
        if count != 1:
            raise StackError(f"deploy/seed/calendar.toml has no [shares.{table}] as the bench knows it")
    return calendar


async def _until_quota_sells(stack: Stack, slot_ids: set[str]) -> None:
    keys = Keys(int(stack.env["PARTITIONS"]))
    client: Redis = Redis.from_url(stack.env["VALKEY_URL"], socket_timeout=STORE_SECONDS)
    try:
        async with asyncio.timeout(PLAN_SECONDS_MAX):
            while True:
                pipe = client.pipeline(transaction=False)
                for slot_id in slot_ids:
                    pipe.hget(keys.slot(slot_id), "opens_at_ms")
                told = await pipe.execute()
                now_ms = time.time() * 1000
                if all(opens is not None and int(opens) <= now_ms for opens in told):
                    break
                await asyncio.sleep(LOOK_SECONDS)
        # The api's catalogue follows within its own refresh.
        await asyncio.sleep(2.0)
    finally:
        await client.aclose()


class _Watch:
    """
    How far Valkey has decided and Postgres has recorded, by the sequence numbers of all partitions.
    """

    def __init__(self, client: Redis, connection: asyncpg.Connection, keys: Keys) -> None:
        self._client, self._connection, self._keys = client, connection, keys
        self._lock = asyncio.Lock()

    async def decided(self) -> int:
        """
        Decisions made.
        """
        pipe = self._client.pipeline(transaction=False)
        for partition in range(self._keys.partitions):
            pipe.hget(self._keys.seq(partition), "seq")
        return sum(int(seq or 0) for seq in await pipe.execute())

    async def recorded(self) -> int:
        """
        Decisions in Postgres, committed.
        """
        async with self._lock:
            return int(
                await self._connection.fetchval(
                    "SELECT coalesce(sum(seq), 0) FROM booking.partition_watermark", timeout=STORE_SECONDS
                )
            )

    async def until_recorded(self) -> None:
        """
        Return when nothing that was decided is missing in Postgres.
        """
        decided = await self.decided()
        async with asyncio.timeout(DRAIN_SECONDS_MAX):
            while decided > await self.recorded():  # noqa: ASYNC110
                # Nobody tells when a transaction of others commits.
                await asyncio.sleep(LOOK_SECONDS)


@asynccontextmanager
async def _watch(stack: Stack) -> AsyncIterator[_Watch]:
    client: Redis = Redis.from_url(stack.env["VALKEY_URL"], socket_timeout=STORE_SECONDS)
    connection = await asyncpg.connect(stack.env["DATABASE_URL"], timeout=STORE_SECONDS)
    try:
        yield _Watch(client, connection, Keys(int(stack.env["PARTITIONS"])))
    finally:
        await connection.close(timeout=STORE_SECONDS)
        await client.aclose()


async def _report(watch: _Watch, started: float, say: Say) -> None:
    with contextlib.suppress(asyncio.CancelledError):
        while True:
            await asyncio.sleep(PROGRESS_SECONDS)
            decided, recorded = await watch.decided(), await watch.recorded()
            say(f"  {time.perf_counter() - started:5.1f} s  decided {decided:,}  recorded {recorded:,}")


def _cpu_seconds(pid: int) -> float:
    """
    What a process and its children have used: Postgres works in children that live as long as a connection.
    """
    return sum(map(_alive, (pid, *_children(pid))))


def _alive(pid: int) -> float:
    try:
        return cpu_seconds(pid)
    except (FileNotFoundError, ProcessLookupError):
        return 0.0


def _children(parent: int) -> Iterator[int]:
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if int((folder / "stat").read_text().rpartition(")")[2].split()[1]) == parent:
                yield int(folder.name)


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
