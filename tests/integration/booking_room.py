"""
A booking room on a database of the test's own: two offices planned, a window open, time to tell it things.

Used by `test_booking_*.py`.
"""

import dataclasses
import datetime as dt
import itertools
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from contracts.envelope import Envelope
from contracts.events import (
    Event,
    GiveBackAsked,
    InvoiceIssued,
    PaymentReceived,
    PlacesRefused,
    PlacesWanted,
    ReservationHeld,
)
from kernel.ids import derived
from kernel.migrate import migrate
from kernel.outbox import messages_of
from kernel.postgres import Database, database
from kernel.settings import PostgresSettings
from services.booking.stores import offices as office_store
from services.booking.stores.statements import MIGRATIONS
from services.booking.stores.visits import Visits
from services.booking.use_cases import paying, planning, recording
from services.booking.use_cases.seeding import Seed, load, read_seed

SEED = Path(__file__).parents[2] / "deploy" / "seed"
OFFICES = ("bandung", "jayapura")
AMOUNT_RUPIAH = 350_000


def real_seed() -> Seed:
    """
    The real seed files.
    """
    return read_seed(
        offices=SEED / "offices.csv",
        holidays=SEED / "holidays.csv",
        calendar=SEED / "calendar.toml",
        booklets=SEED / "booklets.csv",
    )


def booking_id(name: str) -> str:
    """
    An id as quota derives them, the same for the same name.
    """
    return derived("rsv", name)


@dataclasses.dataclass
class Room:
    """
    Booking's use cases, and short words for what the other rooms say.
    """

    db: Database
    slot_id: str
    visits: Visits = dataclasses.field(default_factory=Visits)
    _seqs: Iterator[int] = dataclasses.field(default_factory=lambda: itertools.count(1))

    def held(
        self,
        name: str,
        *,
        seats: Sequence[int] = (1,),
        persons: Sequence[str] | None = None,
        account: str = "acc_1",
        slot_id: str | None = None,
        pay_in_seconds: float = 7200,
        seq: int | None = None,
        partition: int = 7,
        epoch: int = 1,
    ) -> Envelope:
        """
        Quota says: a hold. Numbered on unless `seq` is given.
        """
        now_ms = int(dt.datetime.now(dt.UTC).timestamp() * 1000)
        number = next(self._seqs) if seq is None else seq
        return Envelope(
            event_id=f"q{partition}:{epoch}:{number}",
            event=ReservationHeld(
                partition=partition,
                epoch=epoch,
                seq=number,
                slot_id=slot_id or self.slot_id,
                at_ms=now_ms,
                reservation_id=booking_id(name),
                account_id=account,
                person_ids=tuple(persons if persons is not None else (f"per_{name}_{seat}" for seat in seats)),
                seats=tuple(seats),
                pay_by_ms=now_ms + int(pay_in_seconds * 1000),
            ),
        )

    def give_back(self, name: str) -> Envelope:
        """
        Quota says: the holder wants to give it back.
        """
        number = next(self._seqs)
        event = GiveBackAsked(
            partition=7,
            epoch=1,
            seq=number,
            slot_id=self.slot_id,
            at_ms=0,
            reservation_id=booking_id(name),
            account_id="acc_1",
        )
        return Envelope(event_id=f"q7:1:{number}", event=event)

    def invoice(self, name: str) -> Envelope:
        """
        Payment says: there is something to pay.
        """
        event = InvoiceIssued(
            booking_id=booking_id(name),
            billing_code="820261100000017",
            virtual_account="8808000000000017",
            amount_rupiah=AMOUNT_RUPIAH,
            pay_by_ms=0,
            at_ms=0,
        )
        return Envelope(event_id=f"p.invoice.{name}", event=event)

    def refuse(self, reservation_id: str, *, reason: str = "sold_out") -> Envelope:
        """
        Quota says: places booking asked for could not be had.
        """
        number = next(self._seqs)
        event = PlacesRefused(
            partition=7,
            epoch=1,
            seq=number,
            slot_id=self.slot_id,
            at_ms=0,
            reservation_id=reservation_id,
            account_id="acc_1",
            reason=reason,
        )
        return Envelope(event_id=f"q7:1:{number}", event=event)

    async def wanted(self) -> list[PlacesWanted]:
        """
        What booking has asked quota for, in order.
        """
        told = await self.said()
        return [msgspec.json.decode(body, type=PlacesWanted) for kind, body in told if kind == PlacesWanted.TYPE]

    async def grant(self, wanted: PlacesWanted, *, seats: Sequence[int] | None = None, slot_id: str = "") -> None:
        """
        Quota says: they are held, and booking hears it. By default what was asked for first.
        """
        hold = self.held(
            "", seats=seats or wanted.seats, slot_id=slot_id or wanted.slot_ids[0], persons=wanted.person_ids
        )
        assert isinstance(hold.event, ReservationHeld)
        event = msgspec.structs.replace(
            hold.event, reservation_id=wanted.booking_id, account_id=wanted.account_id, pay_by_ms=wanted.pay_by_ms
        )
        await self.record(msgspec.structs.replace(hold, event=event))

    def paid(self, name: str, *, ntpn: str = "0000000000000001", late: bool = False) -> Envelope:
        """
        Payment says: the money is there. Paid in time, or `late` by the bank's clock.
        """
        paid_at_ms = 4_000_000_000_000 if late else 1_790_000_000_000
        event = PaymentReceived(
            booking_id=booking_id(name),
            billing_code="820261100000017",
            bank="sandbox",
            journal_number="J1",
            ntpn=ntpn,
            amount_rupiah=AMOUNT_RUPIAH,
            paid_at_ms=paid_at_ms,
            at_ms=paid_at_ms,
        )
        return Envelope(event_id=f"p.paid.{name}.{ntpn}", event=event)

    async def record(self, *envelopes: Envelope) -> None:
        """
        Hear quota.
        """
        await recording.record(self.db, self.visits, envelopes)

    async def hear_payment(self, *envelopes: Envelope) -> None:
        """
        Hear payment.
        """
        await paying.take(self.db, envelopes)

    async def state(self, name: str) -> str | None:
        """
        Where a booking is in its life; None if it is not known.
        """
        async with self.db.connection() as connection:
            state: str | None = await connection.fetchval(
                "SELECT state FROM booking WHERE booking_id = $1", booking_id(name)
            )
            return state

    async def told(self, name: str | None = None) -> list[str]:
        """
        The types of booking events said, in order; of one booking, or of all.
        """
        return [kind for kind, _ in await self.said(name)]

    async def said(self, name: str | None = None) -> list[tuple[str, bytes]]:
        """
        The booking events said, in order: type and body.
        """
        async with self.db.connection() as connection:
            rows = await connection.fetch("SELECT * FROM outbox WHERE topic = 'booking.events' ORDER BY id")
        return [
            (dict(message.headers)["ce_type"].decode(), message.body)
            for row in rows
            for message in messages_of(row)
            if name is None or message.key == booking_id(name)
        ]

    async def event(self, name: str, kind: type[Event]) -> Event:
        """
        The one event of that type about a booking.
        """
        [body] = [body for told, body in await self.said(name) if told == kind.TYPE]
        return msgspec.json.decode(body, type=kind)

    async def count(self, sql: str, *arguments: object) -> int:
        """
        A number from Postgres.
        """
        async with self.db.connection() as connection:
            number: int = await connection.fetchval(sql, *arguments)
            return number

    async def watermark(self, partition: int = 7, epoch: int = 1) -> int | None:
        """
        How far a line is recorded.
        """
        async with self.db.connection() as connection:
            seq: int | None = await connection.fetchval(
                "SELECT seq FROM partition_watermark WHERE partition = $1 AND epoch = $2", partition, epoch
            )
            return seq

    async def slots(self, *, office_id: str = "bandung") -> list[str]:
        """
        An office's slots.
        """
        async with self.db.connection() as connection:
            return [
                row["slot_id"]
                for row in await connection.fetch(
                    "SELECT slot_id FROM slot WHERE office_id = $1 ORDER BY date, starts_at, slot_id", office_id
                )
            ]


@asynccontextmanager
async def booking_room(dsn: str, *, offices: Sequence[str] = OFFICES) -> AsyncIterator[Room]:
    """
    A migrated, seeded room with an open window.
    """
    settings = PostgresSettings(url=dsn)
    await migrate(settings, schema="booking", folder=MIGRATIONS)
    seed = real_seed()
    few = msgspec.structs.replace(seed, offices=tuple(o for o in seed.offices if o.office_id in offices))
    async with database(settings, schema="booking") as db:
        async with db.transaction() as connection:
            await load(connection, few)
            await planning.open_window(
                connection,
                now=await office_store.read_now(connection),
                opens_in=dt.timedelta(0),
                open_for=dt.timedelta(hours=2),
            )
        room = Room(db=db, slot_id="")
        room.slot_id = (await room.slots())[0]
        yield room
