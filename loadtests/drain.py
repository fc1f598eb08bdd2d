"""
What a sold-out nation costs after the decision: stream → Kafka → Postgres → outbox → Kafka, stage by stage.

`python -m loadtests.drain` (`make bench-drain`). Starts stores of its own in a throw-away folder, writes one decision
per place into the streams as the scripts write them, and lets the real relay, the real recording and the real outbox
relay work in this process, one after the other, so that each stage's rate and CPU time are its own. Beside the
recording: a bare `COPY` of the very rows it wrote into equal tables. The last line is one JSON object.
"""

import argparse
import asyncio
import contextlib
import datetime as dt
import json
import os
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Final

import uvloop
from redis.asyncio import Redis

from kernel import log
from kernel.ids import derived
from kernel.kafka.consumer import Consumer
from kernel.kafka.producer import kafka_producer
from kernel.migrate import migrate
from kernel.outbox import OutboxRelay
from kernel.postgres import Database, database
from kernel.process import collect_seldom
from kernel.settings import KafkaSettings, PostgresSettings
from loadtests.apart import environ_apart
from loadtests.ratio.processor import cpu_seconds, machine
from ops.background import BackgroundStack
from ops.stack import Stack
from ops.state import PROJECT
from services.booking import consumers
from services.booking.stores import offices as office_store
from services.booking.stores.statements import MIGRATIONS
from services.booking.use_cases import planning
from services.booking.use_cases.seeding import load, read_seed
from services.quota.domain.records import HoldRecord, packed
from services.quota.keys import Keys
from services.quota.stores.leases import Leases
from services.quota.stores.outbox import Outbox
from services.quota.stores.valkey import Valkey
from services.quota.use_cases.leases import tenure
from services.quota.use_cases.telling import Relay

SEED: Final = PROJECT / "deploy" / "seed"
STAGE_SECONDS_MAX: Final = 60.0
GROW_SECONDS_MAX: Final = 300.0
LOOK_SECONDS: Final = 0.02
FILL_ROWS: Final = 1000
COPIED: Final = {
    "booking": "partition <> 99",
    "booking_seat": "booking_id IN (SELECT booking_id FROM booking WHERE partition <> 99)",
    "booking_person": "booking_id IN (SELECT booking_id FROM booking WHERE partition <> 99)",
    "booking_unpaid": "booking_id IN (SELECT booking_id FROM booking WHERE partition <> 99)",
    "outbox": "true",
}
"""What recording writes, and which rows of it are this run's."""
COPY_ROWS: Final = 2000
HOLD: Final = dt.timedelta(minutes=30)
"""Of offers to the waitlist, of which there are none here."""


class Meter:
    """
    Wall and CPU time of a stage, per program.
    """

    def __init__(self, stack: BackgroundStack) -> None:
        self._pids = {name: stack.pid_of(name) for name in ("valkey", "postgres", "kafka")}

    def _read(self) -> dict[str, float]:
        used = {name: _family_cpu(pid) for name, pid in self._pids.items()}
        return {"wall": time.perf_counter(), "python": time.process_time(), **used}

    async def stage(self, name: str, messages: int, done: Callable[[], Awaitable[int]]) -> dict[str, float]:
        """
        From the first to the last message: what one cost in microseconds, and how many went by in a second.
        """
        async with asyncio.timeout(STAGE_SECONDS_MAX):
            while not (first := await done()):  # noqa: ASYNC110 - the other end is another process
                await asyncio.sleep(LOOK_SECONDS)
            before = self._read()
            while await done() < messages:  # noqa: ASYNC110
                await asyncio.sleep(LOOK_SECONDS)
        after = self._read()
        spent = {key: (after[key] - before[key]) / (messages - first) * 1e6 for key in before}
        rate = 1e6 / spent["wall"]
        costs = "  ".join(f"{key} {value:5.1f} µs" for key, value in spent.items() if key != "wall")
        print(f"  {name:<10} {rate:9,.0f}/s   {costs}", flush=True)
        return {"per_second": round(rate), **{f"{key}_us": round(value, 1) for key, value in spent.items()}}


def _family_cpu(pid: int) -> float:
    """
    A program with its children, those that have ended included.
    """
    total = 0.0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            if int(stat.parent.name) == pid:
                total += (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")
            if pid in {int(stat.parent.name), int(fields[1])}:
                total += cpu_seconds(int(stat.parent.name))
    return total


async def _plan(db: Database) -> list[tuple[str, int]]:
    """
    The real nation, with a window open: slots and capacities.
    """
    seed = read_seed(offices=SEED / "offices.csv", holidays=SEED / "holidays.csv", calendar=SEED / "calendar.toml")
    async with db.transaction() as connection:
        await load(connection, seed)
        await planning.open_window(
            connection,
            now=await office_store.read_now(connection),
            opens_in=dt.timedelta(0),
            open_for=dt.timedelta(hours=2),
        )
        await connection.execute("TRUNCATE outbox")
        rows = await connection.fetch("SELECT slot_id, capacity FROM slot ORDER BY slot_id")
    return [(row["slot_id"], row["capacity"]) for row in rows]


def families(slots: Sequence[tuple[str, int]], *, size: int, places: int) -> list[tuple[str, tuple[int, ...]]]:
    """
    Who gets which places: round about the slots, `size` at a time, up to `places` in all.
    """
    found: list[tuple[str, tuple[int, ...]]] = []
    left, first = places, 1
    while left > 0:
        fitting = [(slot_id, capacity) for slot_id, capacity in slots if capacity >= first]
        if not fitting:
            break
        for slot_id, capacity in fitting:
            seats = tuple(range(first, min(first + size, capacity + 1)))[:left]
            if seats:
                found.append((slot_id, seats))
                left -= len(seats)
        first += size
    return found


async def _decide(redis: Redis, keys: Keys, sold: Sequence[tuple[str, tuple[int, ...]]]) -> None:
    """
    The streams as the scripts leave them.
    """
    now_ms = time.time_ns() // 1_000_000
    seqs = dict.fromkeys(range(keys.partitions), 0)
    for start in range(0, len(sold), FILL_ROWS):
        pipe = redis.pipeline(transaction=False)
        for number, (slot_id, seats) in enumerate(sold[start : start + FILL_ROWS], start):
            partition = keys.partition_of(slot_id)
            seqs[partition] += 1
            pipe.xadd(keys.outbox(partition), _entry(number, slot_id, seats, now_ms), id=f"1-{seqs[partition]}")
        await pipe.execute()
    for partition, seq in seqs.items():
        await redis.set(keys.position(partition), f"1-{seq}")


def _entry(number: int, slot_id: str, seats: tuple[int, ...], now_ms: int) -> dict[Any, Any]:
    hold = HoldRecord(
        state="held",
        slot_id=slot_id,
        account_id=derived("acc", str(number)),
        person_ids=tuple(derived("per", str(number), str(seat)) for seat in seats),
        seats=seats,
        at_ms=now_ms,
        pay_by_ms=now_ms + 7_200_000,
    )
    return {"held": derived("rsv", str(number)), "hold": packed(hold)}


@contextlib.asynccontextmanager
async def _running(work: Awaitable[None]) -> AsyncIterator[None]:
    task = asyncio.ensure_future(work)
    watched = asyncio.current_task()
    task.add_done_callback(
        lambda ended: None if ended.cancelled() or watched is None else watched.cancel(repr(ended.exception()))
    )
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task], timeout=5)


async def _copy(db: Database, messages: int) -> dict[str, float]:
    """
    The same rows into equal tables, in transactions of the same size, by nothing but COPY.
    """
    rows: dict[str, list[Any]] = {}
    async with db.connection() as connection:
        for table, ours in COPIED.items():
            await connection.execute(f"CREATE TABLE copy_{table} (LIKE {table} INCLUDING ALL)")
            rows[table] = await connection.fetch(f"SELECT * FROM {table} WHERE {ours}")  # noqa: S608 - names of our own
        began = time.perf_counter()
        for start in range(0, messages, COPY_ROWS):
            async with connection.transaction():
                for table, all_rows in rows.items():
                    share = len(all_rows) / messages
                    part = all_rows[round(start * share) : round((start + COPY_ROWS) * share)]
                    await connection.copy_records_to_table(f"copy_{table}", records=part)
        seconds = time.perf_counter() - began
    print(f"  {'bare COPY':<10} {messages / seconds:9,.0f}/s", flush=True)
    return {"per_second": round(messages / seconds)}


async def measure(stack: BackgroundStack, given: argparse.Namespace) -> dict[str, Any]:
    """
    All stages in turn.
    """
    keys = Keys(int(stack.env["PARTITIONS"]))
    kafka = KafkaSettings(bootstrap=stack.env["KAFKA_BOOTSTRAP"])
    settings = PostgresSettings(url=stack.env["DATABASE_URL"])
    await migrate(settings, schema="booking", folder=MIGRATIONS)
    redis: Redis = Redis.from_url(stack.env["VALKEY_URL"])
    async with contextlib.AsyncExitStack() as held:
        held.push_async_callback(redis.aclose)
        db = await held.enter_async_context(database(settings, schema="booking"))
        producer = await held.enter_async_context(kafka_producer(kafka, name="drain"))
        sold = families(await _plan(db), size=given.family, places=given.places)
        if given.grown:
            await _grow(db, given.grown)
        await _decide(redis, keys, sold)
        meter, count = Meter(stack), len(sold)
        print(f"{count:,} bookings of {given.family} in {len({slot for slot, _ in sold}):,} slots", flush=True)
        valkey = Valkey(redis, timeout_seconds=5.0)
        leases = Leases(valkey, keys, relay_id="drain", lease_seconds=60.0)
        ours = await held.enter_async_context(tenure(leases, partitions=keys.partitions))
        relay = Relay(Outbox(valkey, keys), producer, kafka, ours, partitions=keys.partitions)

        async def told() -> int:
            return sum(standing.told.seq for standing in relay._standing.values())  # noqa: SLF001

        async def recorded() -> int:
            async with db.connection() as connection:
                return int(await connection.fetchval("SELECT coalesce(sum(seq), 0) FROM partition_watermark"))

        async def announced() -> int:
            async with db.connection() as connection:
                return int(
                    await connection.fetchval(
                        "SELECT coalesce(sum(messages), 0) FROM outbox WHERE published_at IS NOT NULL"
                    )
                )

        found: dict[str, Any] = {"bookings": count, "family": given.family, "grown": given.grown}
        async with _running(relay.run()):
            found["relay"] = await meter.stage("relay", count, told)
        async with _running(Consumer(kafka, producer, consumers.quota_events(db, waitlist_hold=HOLD)).run()):
            found["record"] = await meter.stage("record", count, recorded)
        found["copy"] = await _copy(db, count)
        async with _running(OutboxRelay(db, producer, kafka).run()):
            found["outbox"] = await meter.stage("outbox", count, announced)
    found["record_vs_copy"] = round(found["record"]["per_second"] / found["copy"]["per_second"], 2)
    return found


async def _grow(db: Database, bookings: int) -> None:
    """
    Years before: bookings of other slots and people.
    """
    print(f"  growing by {bookings:,} bookings", flush=True)
    async with db.connection() as connection:
        await connection.execute(
            """
            INSERT INTO booking (booking_id, account_id, slot_id, seats, person_ids, state, pay_by, held_at,
                partition, epoch, seq)
            SELECT 'rsv_' || md5('g' || n), 'acc_' || md5('g' || n), 'old.20200101.morning.regular.online', ARRAY[n],
                ARRAY['per_' || md5('g' || n)], 'held', now() + interval '9 h', now(), 99, 1, n
            FROM generate_series(1, $1::integer) AS n
            """,
            bookings,
            timeout=GROW_SECONDS_MAX,
        )
        await connection.execute(
            "INSERT INTO booking_seat (booking_id, slot_id, seat)"
            " SELECT booking_id, slot_id, seats[1] FROM booking WHERE partition = 99",
            timeout=GROW_SECONDS_MAX,
        )
        await connection.execute(
            "INSERT INTO booking_person (booking_id, person_id)"
            " SELECT booking_id, person_ids[1] FROM booking WHERE partition = 99",
            timeout=GROW_SECONDS_MAX,
        )
        for statement in ("VACUUM ANALYZE", "CHECKPOINT"):
            await connection.execute(statement, timeout=GROW_SECONDS_MAX)


def main() -> None:
    """
    Read the command line, measure, and say.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--places", type=int, default=95_920)
    parser.add_argument("--family", type=int, default=1, choices=range(1, 6))
    parser.add_argument("--grown", type=int, default=0, help="bookings in the tables beforehand")
    given = parser.parse_args()
    log.configure("drain", "warning")
    collect_seldom()
    environ = environ_apart()
    with tempfile.TemporaryDirectory(prefix="antrean-drain-") as name:
        Path(name).chmod(0o755)

        def build() -> Stack:
            return Stack(Path(name) / "stores", environ, services=False, kafka="embedded", ports="free")

        with BackgroundStack(build) as stack:
            found = uvloop.run(measure(stack, given))
    print(json.dumps({**found, "machine": machine(), "load_before": os.getloadavg()[0]}))


if __name__ == "__main__":
    main()
