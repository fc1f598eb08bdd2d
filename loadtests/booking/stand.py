"""
Databases with a planned nation on the bench's own Postgres, and holds to be recorded in them, as quota tells them.

Called by the modules of the figures.
"""

import asyncio
import contextlib
import datetime as dt
import itertools
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Final

from contracts.envelope import seal
from contracts.events import ReservationHeld
from kernel.ids import derived
from kernel.kafka.consumer import Consumer
from kernel.kafka.message import Message
from kernel.kafka.producer import Producer
from kernel.migrate import migrate
from kernel.postgres import Database, database
from kernel.settings import KafkaSettings, PostgresSettings
from ops.state import PROJECT
from services.booking import consumers
from services.booking.stores import offices as office_store
from services.booking.stores.statements import MIGRATIONS
from services.booking.use_cases import planning
from services.booking.use_cases.seeding import load, read_seed

SEED: Final = PROJECT / "deploy" / "seed"
STATEMENT_SECONDS_MAX: Final = 600.0
ROUND_SECONDS_MAX: Final = 120.0
LOOK_SECONDS: Final = 0.01
EPOCH: Final = 1
HOLD: Final = dt.timedelta(minutes=30)
"""Of offers to the waitlist, of which there are none here."""
PAY_WITHIN_MS: Final = 7_200_000


class Stand:
    """
    One database: its slots, its partitions, and how far it was told.
    """

    def __init__(self, db: Database, url: str, slots: Sequence[str], partitions: Sequence[int], name: str) -> None:
        self.db = db
        self.url = url
        self.seqs = dict.fromkeys(partitions, 0)
        self._name = name
        self._slots = slots
        self._numbers = itertools.count()

    def holds(self, count: int, *, pay_by_ms: int | None = None) -> list[ReservationHeld]:
        """
        The next decisions of quota: one person each, round about slots and partitions.
        """
        now_ms = time.time_ns() // 1_000_000
        return [self._hold(next(self._numbers), now_ms, pay_by_ms or now_ms + PAY_WITHIN_MS) for _ in range(count)]

    def _hold(self, number: int, now_ms: int, pay_by_ms: int) -> ReservationHeld:
        partition = list(self.seqs)[number % len(self.seqs)]
        self.seqs[partition] += 1
        return ReservationHeld(
            partition=partition,
            epoch=EPOCH,
            seq=self.seqs[partition],
            slot_id=self._slots[number % len(self._slots)],
            at_ms=now_ms,
            reservation_id=derived("rsv", self._name, str(number)),
            account_id=derived("acc", self._name, str(number)),
            person_ids=(derived("per", self._name, str(number)),),
            seats=(1 + number // len(self._slots),),
            pay_by_ms=pay_by_ms,
        )

    async def recorded(self) -> int:
        """
        How many decisions are recorded.
        """
        async with self.db.connection() as connection:
            return int(await connection.fetchval("SELECT coalesce(sum(seq), 0) FROM partition_watermark"))

    async def execute(self, *orders: str) -> None:
        """
        Orders that take their time.
        """
        async with self.db.connection() as connection:
            for order in orders:
                await connection.execute(order, timeout=STATEMENT_SECONDS_MAX)


def told(holds: Sequence[ReservationHeld]) -> list[Message]:
    """
    Holds as quota's relay publishes them.
    """
    return [
        seal(
            hold,
            event_id=f"q{hold.partition}:{hold.epoch}:{hold.seq}",
            key=str(hold.partition),
            source="quota",
            partition=hold.partition,
        )
        for hold in holds
    ]


@contextlib.asynccontextmanager
async def stand(settings: PostgresSettings, name: str, *, partitions: Sequence[int]) -> AsyncIterator[Stand]:
    """
    A database of its own with the real offices and an open window.
    """
    root, _, _ = settings.url.rpartition("/")
    async with database(settings, schema="public") as everything, everything.connection() as connection:
        await connection.execute(f'CREATE DATABASE "{name}"', timeout=STATEMENT_SECONDS_MAX)
    own = PostgresSettings(url=f"{root}/{name}")
    await migrate(own, schema="booking", folder=MIGRATIONS)
    async with database(own, schema="booking") as db:
        yield Stand(db, own.url, await _plan(db), partitions, name)


async def _plan(db: Database) -> list[str]:
    seed = read_seed(offices=SEED / "offices.csv", holidays=SEED / "holidays.csv", calendar=SEED / "calendar.toml")
    async with db.transaction() as connection:
        await load(connection, seed)
        now = await office_store.read_now(connection)
        await planning.open_window(connection, now=now, opens_in=dt.timedelta(0), open_for=dt.timedelta(hours=2))
        await connection.execute("TRUNCATE outbox")
        return [row["slot_id"] for row in await connection.fetch("SELECT slot_id FROM slot ORDER BY slot_id")]


async def consume(stand: Stand, kafka: KafkaSettings, dead: Producer, count: int) -> float:
    """
    Let the real consumer record what waits in Kafka. Returns reservations a second, from the first to the last.
    """
    before = await stand.recorded()
    task = asyncio.create_task(Consumer(kafka, dead, consumers.quota_events(stand.db, waitlist_hold=HOLD)).run())
    try:
        async with asyncio.timeout(ROUND_SECONDS_MAX):
            asked = time.perf_counter()
            first = await _past(stand, lambda now: now > before, task)
            began = time.perf_counter()
            last = await _past(stand, lambda now: now >= before + count, task)
            if last == first:
                # A tiny run is over at the first look: then joining the group counts as well.
                return count / (began - asked)
            return (last - first) / (time.perf_counter() - began)
    finally:
        task.cancel()
        await asyncio.wait([task], timeout=5)


async def _past(stand: Stand, enough: Callable[[int], bool], task: "asyncio.Task[None]") -> int:
    while not enough(now := await stand.recorded()):
        if task.done():
            task.result()
        await asyncio.sleep(LOOK_SECONDS)
    return now
