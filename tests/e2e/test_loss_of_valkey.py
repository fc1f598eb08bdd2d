"""
Valkey wiped, rolled back, and replaced by a stale replica: nothing is sold before it is rebuilt, and nothing twice.

A stack of its own with a Valkey in the test's hands, behind an address that can be pointed
elsewhere. Every scenario takes places up to the loss, looks on while everything is closed,
rebuilds with `antrean rebuild`'s own function, and holds every acknowledgement against the stores.
"""

import asyncio
import dataclasses
import itertools
import os
import shutil
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import pytest

from kernel.auth.passes import PassKeys
from kernel.clock import now_ms
from kernel.settings import KafkaSettings
from ops import rooms
from ops.audit.collect import collect
from ops.audit.compare import judge
from ops.audit.findings import Finding, Kind
from ops.background import BackgroundStack
from ops.ports import free_port
from ops.rebuild import Rebuilt, rebuild
from ops.release.tally import Acknowledged, acknowledged
from ops.stack import Stack
from ops.state import PROJECT
from services.quota.keys import Keys
from services.quota.stores.outbox import START, position_of
from services.quota.use_cases.clearing import told_last
from tests.e2e.conftest import GIVEN
from tests.e2e.forwarder import Forwarder
from tests.integration.own_valkey import Server

Sweep = Callable[[], None]
Eventually = Callable[..., Any]
OFFICES = ("bandung", "jayapura", "semarang")
HOUR_MS = 3_600_000
PLAN_SECONDS_MAX = 60.0
DEADLINE = aiohttp.ClientTimeout(total=15)
REPEATS_MAX = 5
MONEY_AND_MAIL = {Kind.MAIL_MISSING, Kind.MAIL_DUPLICATE}


@dataclasses.dataclass(frozen=True)
class Asked:
    """A request as its client can repeat it."""

    account_id: str
    key: str
    slot_id: str


@dataclasses.dataclass
class Site:
    """The stack, its Valkey, and what clients have in their hands."""

    stack: BackgroundStack
    master: Server
    address: Forwarder
    folder: Path
    passes: PassKeys
    slots: list[str] = dataclasses.field(default_factory=list)
    acknowledged: dict[Asked, Acknowledged] = dataclasses.field(default_factory=dict)
    turns: Iterator[int] = dataclasses.field(default_factory=itertools.count)

    async def ask(self, http: aiohttp.ClientSession, asked: Asked) -> tuple[int, dict[str, Any], dict[str, str]]:
        """One request through the gateway."""
        pass_ = self.passes.issue(
            account_id=asked.account_id, person_ids=(f"per_{asked.account_id[4:]}",), expires_at_ms=now_ms() + HOUR_MS
        )
        body = {"slot_id": asked.slot_id, "person_ids": [f"per_{asked.account_id[4:]}"]}
        headers = {"Authorization": f"Pass {pass_}", "Idempotency-Key": asked.key}
        async with http.post(f"{self.stack.url}/v1/reservations", json=body, headers=headers) as response:
            return response.status, await response.json(content_type=None), dict(response.headers)

    def stranger(self) -> Asked:
        """Somebody new."""
        return Asked(f"acc_{uuid.uuid4().hex}", uuid.uuid4().hex, self.slots[next(self.turns) % len(self.slots)])

    async def reserve(self, count: int) -> None:
        """So many strangers at once get their places."""
        async with aiohttp.ClientSession(timeout=DEADLINE) as http:
            crowd = [self.stranger() for _ in range(count)]
            for asked, (status, body, _) in zip(
                crowd, await asyncio.gather(*(self.ask(http, one) for one in crowd)), strict=True
            ):
                assert 201 == status, (asked.slot_id, body)
                self.acknowledged[asked] = acknowledged(asked.account_id, body)

    async def answers(self, *, seconds: float) -> set[tuple[int, str]]:
        """What strangers are told for a while: status and code."""
        heard = set()
        end = asyncio.get_running_loop().time() + seconds
        async with aiohttp.ClientSession(timeout=DEADLINE) as http:
            while asyncio.get_running_loop().time() < end:
                for status, body, headers in await asyncio.gather(*(self.ask(http, self.stranger()) for _ in range(5))):
                    heard.add((status, body.get("code", "")))
                    assert status == 201 or "Retry-After" in headers, body
        return heard

    async def all_told(self) -> bool:
        """Whether Kafka has been told every decision."""
        told = await told_last(KafkaSettings(bootstrap=self.stack.env["KAFKA_BOOTSTRAP"]), self._partitions)
        keys = Keys(self._partitions)
        async with self.master.client() as client:
            ends = {number: position_of(await client.get(keys.position(number))) for number in range(self._partitions)}
        return all(told.get(number, START) == end for number, end in ends.items() if end.seq)

    @property
    def _partitions(self) -> int:
        return int(self.stack.env["PARTITIONS"])

    async def recorded(self) -> bool:
        """Whether booking has every acknowledged reservation."""
        async with self.postgres() as connection:
            rows = await connection.fetch("SELECT booking_id FROM booking")
        known = {row["booking_id"] for row in rows}
        return all(one.reservation_id in known for one in self.acknowledged.values())

    async def bookings(self) -> int:
        """How many booking has."""
        async with self.postgres() as connection:
            number: int = await connection.fetchval("SELECT count(*) FROM booking")
        return number

    @asynccontextmanager
    async def postgres(self) -> AsyncIterator[Any]:
        """Booking's tables."""
        settings = {"search_path": "booking"}
        connection = await asyncpg.connect(self.stack.env["DATABASE_URL"], server_settings=settings, timeout=10)
        try:
            yield connection
        finally:
            await connection.close()

    async def rebuild(self) -> Rebuilt:
        """As an operator does it."""
        return await rebuild(self.stack.env, wait_seconds=30, say=print)

    async def contradictions(self) -> list[Finding]:
        """What the audit finds, mails aside: these accounts have no address."""
        evidence = await collect(self.stack.env, list(self.acknowledged.values()))
        return [finding for finding in judge(evidence) if finding.kind not in MONEY_AND_MAIL]

    async def replayed(self) -> dict[str, tuple[int, tuple[int, ...], str]]:
        """Everybody asks again, as clients do: status, seats, and whether it was known, or why not."""
        told: dict[str, tuple[int, tuple[int, ...], str]] = {}
        asked = list(self.acknowledged)
        async with aiohttp.ClientSession(timeout=DEADLINE) as http:
            for _ in range(REPEATS_MAX):
                heard = await asyncio.gather(*(self.ask(http, one) for one in asked))
                for one, (status, body, headers) in zip(asked, heard, strict=True):
                    known = headers.get("Idempotency-Replayed", body.get("code", ""))
                    told[self.acknowledged[one].reservation_id] = (status, tuple(body.get("seats", ())), known)
                # Unknown is not no: who is told to come back does so. Every other answer is the last word.
                asked = [one for one, (status, _, _) in zip(asked, heard, strict=True) if status == 503]
                if not asked:
                    break
                await asyncio.sleep(1)
        return told

    @property
    def promised(self) -> dict[str, tuple[int, tuple[int, ...], str]]:
        """What `replayed` has to say."""
        return {one.reservation_id: (201, one.seats, "true") for one in self.acknowledged.values()}

    @asynccontextmanager
    async def without(self, name: str) -> AsyncIterator[None]:
        """A program that is down for a while."""
        keeper = self.stack.stack.supervisor.keepers[name]

        async def move(hold: bool) -> None:  # noqa: FBT001
            keeper.hold() if hold else keeper.release()

        await self.stack.ask(move(True))
        try:
            yield
        finally:
            await self.stack.ask(move(False))


@pytest.fixture(scope="module")
def site(what_the_driver_drops: Sweep) -> Iterator[Site]:
    """A stack of its own on a Valkey of our own."""
    # Postgres, running as another account when we are root, must reach its data.
    folder = Path(tempfile.mkdtemp(prefix="antrean-loss-"))
    folder.chmod(0o755)
    opened: Site | None = None
    port = free_port(set())
    master = Server(folder / "valkey", free_port({port}))
    try:
        asyncio.run(master.start())
        with Forwarder(port, master.port) as address:
            environ = {name: value for name, value in os.environ.items() if name not in GIVEN}
            environ["VALKEY_URL"] = f"redis://127.0.0.1:{port}/0"
            kafka = os.environ.get("ANTREAN_TEST_KAFKA", "embedded")
            with BackgroundStack(
                lambda: Stack(folder / "state", environ, kafka=kafka, ports="free", say=print)
            ) as running:
                what_the_driver_drops()
                passes = PassKeys.parse(running.env["PASS_KEYS"], variable="PASS_KEYS")
                opened = Site(running, master, address, folder, passes)
                asyncio.run(_open_window(opened))
                yield opened
    finally:
        for server in (master, *((opened.master,) if opened else ())):
            server.kill()
        shutil.rmtree(folder, ignore_errors=True)


async def _open_window(site: Site) -> None:
    few = site.folder / "offices.csv"
    few.write_text(_few_offices((PROJECT / "deploy" / "seed" / "offices.csv").read_text(encoding="utf-8")))
    await rooms.command("booking", "seed", "--offices", str(few), env=site.stack.env)
    offices = [argument for office in OFFICES for argument in ("--office", office)]
    await rooms.command("booking", "window", "open", "--in", "0s", "--for", "2h", *offices, env=site.stack.env)
    planned = await _planned(site)
    give_up_at = time.monotonic() + PLAN_SECONDS_MAX
    async with aiohttp.ClientSession(timeout=DEADLINE) as http:
        # All of them: quota is told slot by slot, and the few that come first are sold out before the last scenario.
        while {office: await _open_slots(http, site, office) for office in OFFICES} != planned:
            assert time.monotonic() < give_up_at, "quota was not told the window"
            await asyncio.sleep(0.2)
    # Offices in turn, so that whatever is lost is lost in every partition that sells. Their weeks may differ:
    # on a Sunday afternoon the east of the country is past its window's end, and the west is not.
    site.slots = [slot_id for in_turn in zip(*planned.values(), strict=False) for slot_id in in_turn]


async def _planned(site: Site) -> dict[str, list[str]]:
    async with site.postgres() as connection:
        rows = await connection.fetch(
            "SELECT office_id, slot_id FROM slot WHERE channel = 'online' AND opens_at <= now() AND closes_at > now()"
        )
    return {office: sorted(row["slot_id"] for row in rows if row["office_id"] == office) for office in OFFICES}


def _few_offices(everything: str) -> str:
    header, *offices = everything.splitlines(keepends=True)
    return header + "".join(office for office in offices if office.startswith(tuple(f"{one}," for one in OFFICES)))


async def _open_slots(http: aiohttp.ClientSession, site: Site, office: str) -> list[str]:
    async with http.get(f"{site.stack.url}/v1/offices/{office}/availability") as response:
        shown = await response.json(content_type=None)
    return sorted(
        slot["slot_id"] for slot in shown.get("slots", ()) if (slot["channel"], slot["state"]) == ("online", "open")
    )


async def closed_then_rebuilt(site: Site, eventually: Eventually) -> Rebuilt:
    """Nobody gets a place until the rebuild; afterwards everybody has his own, and only his own."""
    told = await site.answers(seconds=3.0)
    rebuilt = await site.rebuild()

    async def sells() -> bool:
        return {(201, "")} == await site.answers(seconds=0.1)

    assert {503} == {status for status, _ in told}
    assert (503, "not_ready") in told
    assert (0, 0) == (rebuilt.figures["differences"], rebuilt.figures["displaced"])
    await eventually(sells, within_seconds=15, every_seconds=0.2)
    assert site.promised == await site.replayed()
    await site.reserve(40)

    async def balanced() -> bool:
        return not await site.contradictions()

    await eventually(balanced, within_seconds=40, every_seconds=1.0)
    return rebuilt


async def test_wiped(site: Site, eventually: Eventually) -> None:
    """
    No file is left, and booking is late: what only Kafka knows is recorded first, then everything is put back.
    """
    await site.reserve(60)
    async with site.without("booking-worker"):
        await site.reserve(20)
        await eventually(site.all_told, within_seconds=20, every_seconds=0.2)
        site.master.kill()
        site.master.put_files(None)
        await site.master.start()
        assert {503} == {status for status, _ in await site.answers(seconds=1.0)}
    await eventually(site.recorded, within_seconds=40, every_seconds=0.5)

    existing = len(site.acknowledged)
    rebuilt = await closed_then_rebuilt(site, eventually)

    assert existing == rebuilt.figures["holds"]


async def test_rolled_back(site: Site, eventually: Eventually) -> None:
    """
    An older append-only file in the place of the newer: what it lacks is found out before anybody can have it again.
    """
    await site.reserve(20)
    aside = site.folder / "aside"
    site.master.copy_files(aside)
    await site.reserve(30)
    await eventually(site.recorded, within_seconds=40, every_seconds=0.5)
    existing = await site.bookings()
    site.master.kill()
    site.master.put_files(aside)
    await site.master.start()

    rebuilt = await closed_then_rebuilt(site, eventually)

    assert existing == rebuilt.figures["holds"]


async def test_a_stale_replica_promoted(site: Site, eventually: Eventually) -> None:
    """
    A replica that had lost its line is made the master: it is another history, and behind.
    """
    replica = Server(site.folder / "replica", free_port(set()))
    with Forwarder(free_port(set()), site.master.port) as line:
        await replica.start()
        async with replica.client() as client:
            await client.replicaof("127.0.0.1", str(line.port))

            async def follows() -> bool:
                return (await client.info("replication")).get("master_link_status") == "up"

            await eventually(follows, within_seconds=20)
            await site.reserve(10)
            line.close_for_ever()
            await site.reserve(30)
            await eventually(site.recorded, within_seconds=40, every_seconds=0.5)
            existing = await site.bookings()
            site.master.kill()
            await client.replicaof("NO", "ONE")
            site.address.point_at(replica.port)
    site.master = replica

    rebuilt = await closed_then_rebuilt(site, eventually)

    assert existing == rebuilt.figures["holds"]
