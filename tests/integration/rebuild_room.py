"""
Quota and booking side by side on stores of a test's own: told by hand, hurt on purpose, rebuilt, and judged.
"""

import dataclasses
import io
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import MappingProxyType

from contracts.envelope import Envelope
from kernel.settings import ValkeySettings
from services.booking.domain.lifecycle import KEEPS_PLACES
from services.booking.stores import slots as slot_store
from services.booking.use_cases import snapshotting
from services.quota.domain.decisions import Ask, Held
from services.quota.domain.facts import event_id, event_of
from services.quota.rebuild import chunks_of
from services.quota.stores.opening import open_valkey
from services.quota.stores.outbox import START, Position
from services.quota.stores.restores import Restores
from services.quota.use_cases.restoring import Report, Restoring
from tests.integration import booking_room
from tests.integration.own_valkey import Server, own_valkey
from tests.integration.quota_room import PARTITIONS, Room, ask

MARK = "rebuild:test"
ALL = range(PARTITIONS)


@dataclasses.dataclass
class House:
    """
    Both rooms.
    """

    server: Server
    booking: booking_room.Room
    quota: Room

    @property
    def restores(self) -> Restores:
        """A rebuild's writes: one object per rebuild."""
        return Restores(self.quota.valkey, self.quota.keys)

    async def plan_all(self) -> None:
        """Booking's slots, applied."""
        async with self.booking.db.connection() as connection:
            plans = await slot_store.read(connection, await self.booking.slots(office_id="bandung"))
            plans += await slot_store.read(connection, await self.booking.slots(office_id="jayapura"))
        await self.quota.holds.apply(plans)

    async def public_slots(self, *, office_id: str = "bandung") -> list[str]:
        """Slots people can have places of."""
        return [one for one in await self.booking.slots(office_id=office_id) if one.endswith(".online")]

    async def take(self, count: int, slot_id: str, *, persons: int = 2) -> dict[Ask, tuple[int, ...]]:
        """So many families get places, and are told so."""
        told = {}
        for _ in range(count):
            asked = ask(slot_id, persons=persons)
            decision = await self.quota.decider.decide(asked)
            assert isinstance(decision, Held), decision
            told[asked] = decision.seats
        return told

    async def untold(self) -> list[Envelope]:
        """What the streams keep, as the relay would tell it."""
        entries = await self.quota.outbox.after(dict.fromkeys(ALL, START))
        return [
            Envelope(
                event_id=event_id(entry.partition, *entry.position),
                event=event_of(entry.partition, *entry.position, entry.fields),
            )
            for entry in entries
        ]

    async def record(self, envelopes: Iterable[Envelope]) -> None:
        """Booking hears."""
        await self.booking.record(*envelopes)

    async def snapshot(self) -> bytes:
        """Booking's snapshot of now."""
        lines = io.BytesIO()

        async def take(chunk: bytes) -> None:
            lines.write(chunk)

        await snapshotting.snapshot(self.booking.db, take)
        return lines.getvalue()

    async def rebuild(
        self,
        snapshot: bytes | None = None,
        *,
        partitions: Iterable[int] = ALL,
        told: Mapping[int, Position] = MappingProxyType({}),
    ) -> Report:
        """Stop, restore, open. Kafka was `told` so much, where that matters."""
        restores, chosen = self.restores, list(partitions)
        await restores.stop(chosen, MARK)
        lines = io.BytesIO(await self.snapshot() if snapshot is None else snapshot)
        whole = Restoring(restores, self.quota.keys, chosen, mark=MARK, told=told, say=print)
        return await whole.run(chunks_of(lines))

    async def books(self) -> dict[str, dict[str, int]]:
        """Every slot's books in Valkey."""
        ids = await self.quota.ledger.slot_ids()
        return dict(zip(ids, await self.quota.ledger.books(ids), strict=True))

    async def seats_in_valkey(self) -> list[tuple[str, int]]:
        """Every place somebody has there, with repeats."""
        holds = await self.quota.records("hold")
        return sorted(
            (hold["slot_id"], seat) for hold in holds if hold["state"] != "released" for seat in hold["seats"]
        )

    async def seats_in_postgres(self) -> list[tuple[str, int]]:
        """Every place somebody has there."""
        async with self.booking.db.connection() as connection:
            rows = await connection.fetch(
                "SELECT slot_id, unnest(seats) AS seat FROM booking WHERE state = ANY ($1) ORDER BY 1, 2",
                [state.value for state in KEEPS_PLACES],
            )
        return [(row["slot_id"], row["seat"]) for row in rows]

    async def state_of(self, asked: Ask) -> str | None:
        """What booking says of an ask."""
        async with self.booking.db.connection() as connection:
            state: str | None = await connection.fetchval(
                "SELECT state FROM booking WHERE booking_id = $1", asked.reservation_id
            )
        return state


@asynccontextmanager
async def house(folder: Path, dsn: str, *, cluster: str = "") -> AsyncIterator[House]:
    """
    Both rooms, the slots planned and applied; over a server of their own, or over the cluster that is given.
    """
    async with own_valkey(folder / "valkey") as server, booking_room.booking_room(dsn) as booking:
        settings = ValkeySettings(url=cluster or server.url, partitions=PARTITIONS, call_timeout_seconds=10.0)
        async with open_valkey(settings) as valkey:
            await valkey.call("FLUSHALL")
            both = House(server, booking, Room(valkey))
            await both.plan_all()
            yield both
