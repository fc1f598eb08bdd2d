"""
The whole path of a place on a stack of its own, with the nation's offices and an open window.

Called by the scenarios that go through every store. Offices, quotas and windows are
booking's, from `deploy/seed`; all places are public and of one service. Nothing is pinned:
the programs share the cores as they do in a deployment.
"""

import asyncio
import contextlib
import csv
import re
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import asyncpg
import msgspec
from redis.asyncio import Redis

from kernel.auth.tokens import TokenSigner, signing_key
from loadtests.apart import environ_apart, published, thrown_away
from loadtests.ratio.processor import cpu_seconds
from ops import rooms
from ops.errors import StackError
from ops.stack import Stack
from services.quota.domain.records import slot_books
from services.quota.keys import Keys
from services.quota.stores.outbox import position_of

Say = Callable[[str], None]
PROGRAMS: Final = ("quota-api", "quota-worker", "quota-relay", "booking-worker")
STORES: Final = ("valkey", "kafka", "postgres")
STORE_SECONDS: Final = 10.0
PLAN_SECONDS_MAX: Final = 60.0
DRAIN_SECONDS_MAX: Final = 180.0
LOOK_SECONDS: Final = 0.05
CATALOGUE_SECONDS: Final = 2.0
"""An api follows new plans within its own refresh."""
_SEED: Final = Path(__file__).parents[2] / "deploy" / "seed"


class Slot(msgspec.Struct, frozen=True):
    """
    A slot as booking has planned it.
    """

    slot_id: str
    capacity: int


@asynccontextmanager
async def whole_path(say: Say) -> AsyncIterator[Stack]:
    """
    The programs a place passes through. Keys for tokens are published here; nobody has a token.
    """
    signer = TokenSigner(signing_key("A" * 43 + "=", variable="JWT_SIGNING_KEY"))
    async with thrown_away("nation") as folder, published(signer) as jwks_url:
        environ = environ_apart() | {"JWKS_URL": jwks_url}
        async with Stack(
            folder / "state", environ, services=PROGRAMS, kafka="embedded", ports="free", say=say
        ) as stack:
            yield stack


async def open_window(stack: Stack, *, offices: int, quota_times: int = 1) -> list[Slot]:
    """
    Seed the first `offices`, open their coming week, and wait until quota knows every slot.
    """
    with tempfile.TemporaryDirectory(prefix="antrean-seed-") as name:
        folder = Path(name)
        files = await asyncio.to_thread(_seed_files, folder, offices, quota_times)
        await rooms.command("booking", "seed", *files, env=stack.env)
        await rooms.command("booking", "window", "open", "--in", "0s", "--for", "2h", env=stack.env)
        out = folder / "plans.jsonl"
        await rooms.command("booking", "export", "--out", str(out), env=stack.env)
        exported = [msgspec.json.decode(line) for line in await asyncio.to_thread(_lines, out)]
    slots = [msgspec.convert(one, Slot) for one in exported if one["kind"] == "slot" and not one["closed"]]
    await _until_quota_sells(stack, slots)
    return slots


def _lines(file: Path) -> list[bytes]:
    return file.read_bytes().splitlines()


def _seed_files(folder: Path, offices: int, quota_times: int) -> tuple[str, ...]:
    calendar, few, none = folder / "calendar.toml", folder / "offices.csv", folder / "holidays.csv"
    calendar.write_text(_public_only((_SEED / "calendar.toml").read_text()))
    with (_SEED / "offices.csv").open(newline="") as source, few.open("w", newline="") as target:
        rows = list(csv.DictReader(source))[:offices]
        writer = csv.DictWriter(target, rows[0])
        writer.writeheader()
        writer.writerows(row | {"daily_quota": int(row["daily_quota"]) * quota_times} for row in rows)
    # In a week with holidays fewer places would be released than in another.
    none.write_text((_SEED / "holidays.csv").read_text().splitlines(keepends=True)[0])
    return ("--calendar", str(calendar), "--offices", str(few), "--holidays", str(none))


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
    # There is no other channel that places could spill over from.
    return re.sub(r"\[\[spill_over\]\]\n(?:[a-z_]+ = .+\n)+", "", calendar)


async def _until_quota_sells(stack: Stack, slots: list[Slot]) -> None:
    async with valkey(stack) as (client, keys), asyncio.timeout(PLAN_SECONDS_MAX):
        while not await _all_open(client, keys, slots):  # noqa: ASYNC110  # quota tells nobody
            await asyncio.sleep(LOOK_SECONDS)
    await asyncio.sleep(CATALOGUE_SECONDS)


async def _all_open(client: Redis, keys: Keys, slots: list[Slot]) -> bool:
    pipe = client.pipeline(transaction=False)
    for slot in slots:
        pipe.get(keys.books(slot.slot_id))
    now_ms = time.time() * 1000
    return all(books is not None and slot_books(books).opens_at_ms <= now_ms for books in await pipe.execute())


@asynccontextmanager
async def valkey(stack: Stack) -> AsyncIterator[tuple[Redis, Keys]]:
    """
    A connection to the stack's Valkey, and how keys are spelled there.
    """
    client: Redis = Redis.from_url(stack.env["VALKEY_URL"], socket_timeout=STORE_SECONDS)
    try:
        yield client, Keys(int(stack.env["PARTITIONS"]))
    finally:
        await client.aclose()


class Watch:
    """
    How far Valkey has decided and Postgres has recorded, by the sequence numbers of all partitions.
    """

    def __init__(self, client: Redis, keys: Keys, connection: asyncpg.Connection) -> None:
        self._client, self._keys, self._connection = client, keys, connection
        self._lock = asyncio.Lock()

    async def decided(self) -> int:
        """
        Decisions made.
        """
        pipe = self._client.pipeline(transaction=False)
        for partition in range(self._keys.partitions):
            pipe.get(self._keys.position(partition))
        return sum(position_of(at).seq for at in await pipe.execute())

    async def recorded(self) -> int:
        """
        Decisions in Postgres, committed.
        """
        query = "SELECT coalesce(sum(seq), 0)::bigint FROM booking.partition_watermark"
        async with self._lock:
            return int(await self._connection.fetchval(query, timeout=STORE_SECONDS))

    async def until_recorded(self) -> None:
        """
        Return when nothing that was decided is missing in Postgres.
        """
        decided = await self.decided()
        async with asyncio.timeout(DRAIN_SECONDS_MAX):
            while decided > await self.recorded():  # noqa: ASYNC110  # nobody tells when others commit
                await asyncio.sleep(LOOK_SECONDS)


@asynccontextmanager
async def watching(stack: Stack) -> AsyncIterator[Watch]:
    """
    Connections of its own to both stores.
    """
    connection = await asyncpg.connect(stack.env["DATABASE_URL"], timeout=STORE_SECONDS)
    try:
        async with valkey(stack) as (client, keys):
            yield Watch(client, keys, connection)
    finally:
        await connection.close(timeout=STORE_SECONDS)


def clocks(stack: Stack) -> dict[str, float]:
    """
    CPU seconds by program, so far.
    """
    return {name: _with_children(stack.pid_of(name)) for name in (*PROGRAMS, *STORES)}


def _with_children(pid: int) -> float:
    """
    Postgres works in children that live as long as a connection.
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
