"""
Quota's stores over a real Valkey, and the plans, asks and events tests feed them with.
"""

import dataclasses
import itertools
import time
from datetime import date
from typing import Any

import msgspec
from redis.asyncio import Redis

from contracts.envelope import Envelope
from contracts.events import Booking, BookingEvent, Event, PlacesWanted, QuotaEvent, SlotPlanned
from kernel.clock import now_ms
from services.quota.domain.decisions import Ask, Decision
from services.quota.domain.facts import event_of
from services.quota.domain.gate import Gate
from services.quota.domain.limit import Limit
from services.quota.domain.records import ClaimsRecord, packed, slot_books
from services.quota.keys import Keys
from services.quota.stores.batching import BatchingDecider
from services.quota.stores.catalogue import Catalogue
from services.quota.stores.claims import Claims
from services.quota.stores.free import FreePlaces
from services.quota.stores.holds import Holds
from services.quota.stores.leases import Leases, untold
from services.quota.stores.ledger import Ledger
from services.quota.stores.outbox import START, Outbox
from services.quota.stores.passes import Passes, Stepped, Whole
from services.quota.stores.steps import Claimed
from services.quota.stores.valkey import Valkey
from services.quota.stores.wishes import Wishes
from services.quota.use_cases.leases import Tenure
from services.quota.use_cases.reservations import ask_of

PARTITIONS = 32
HOUR_MS = 3_600_000
SLOT_DAY = date(2026, 11, 30)
"""Over some day: who looks at what is free from today on sees nothing of it then."""
SLOT = f"bandung.{SLOT_DAY:%Y%m%d}.morning.regular.online"
_numbers = itertools.count()


class OneByOne:
    """
    The decide step one ask at a time: what a batch has to answer.
    """

    full = False

    def __init__(self, passes: Passes) -> None:
        self._passes = passes

    async def decide(self, asked: Ask) -> Decision:
        """Places, or why not."""
        (outcome,), _ = await self._passes.decide([asked])
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


@dataclasses.dataclass(slots=True)
class Room:
    """
    The stores of one worker.
    """

    valkey: Valkey
    keys: Keys = dataclasses.field(default_factory=lambda: Keys(PARTITIONS))

    @property
    def whole(self) -> Whole:
        """Passes in one call."""
        return Whole(self.valkey, self.keys)

    @property
    def stepped(self) -> Stepped:
        """Passes in three steps, as on a cluster."""
        return Stepped(self.valkey, self.keys)

    @property
    def passes(self) -> Passes:
        """Passes as `app.py` wires them."""
        return self.stepped if self.valkey.cluster else self.whole

    @property
    def decider(self) -> OneByOne:
        """The decide step, one ask at a time."""
        return OneByOne(self.passes)

    def batching(
        self,
        *,
        batch_max: int = 128,
        lanes: int = 2,
        wait_max_seconds: float = 5.0,
        passes: Passes | None = None,
        gate: Gate | None = None,
        limit: Limit | None = None,
    ) -> BatchingDecider:
        """The decide step as `app.py` wires it."""
        return BatchingDecider(
            passes or self.passes,
            gate or Gate(),
            limit or Limit(floor=10_000, ceiling=10_000, target_seconds=1),
            batch_max=batch_max,
            lanes=lanes,
            wait_max_seconds=wait_max_seconds,
        )

    async def claim(self, asked: Ask) -> Claimed:
        """A claim and nothing more, as a crash after the first step leaves it."""
        (claimed,) = await self.stepped.claim([asked])
        assert isinstance(claimed, Claimed)
        return claimed

    async def reserve(self, asked: Ask, claimed: Claimed) -> Decision:
        """The second step alone."""
        (outcome,), _ = await self.stepped.reserve([(asked, claimed)])
        assert not isinstance(outcome, Exception)
        return outcome

    async def tamper(self, slot_id: str, **changes: int) -> None:
        """Write into a slot's books what no script would."""
        key = self.keys.books(slot_id)
        books = slot_books(await self.valkey.call("GET", key))
        await self.valkey.call("SET", key, packed(msgspec.structs.replace(books, **changes)))

    async def block(self, asked: Ask, **persons: str) -> None:
        """Write down what holds for persons beyond their account's claim."""
        await self.valkey.call("SET", self.keys.claims(asked.account_id), packed(ClaimsRecord(persons=persons)))

    @property
    def holds(self) -> Holds:
        """Holds after the decision."""
        return Holds(self.valkey, self.keys)

    @property
    def claims(self) -> Claims:
        """Claims after the decision."""
        return Claims(self.valkey, self.keys)

    @property
    def wishes(self) -> Wishes:
        """Places booking wants."""
        return Wishes(self.valkey, self.keys)

    async def told(self, slot_id: str) -> list[QuotaEvent]:
        """Every fact of a slot's partition, in order."""
        entries = await self.outbox.after({self.keys.partition_of(slot_id): START})
        return [event_of(one.partition, *one.position, one.fields) for one in entries]

    @property
    def ledger(self) -> Ledger:
        """The books."""
        return Ledger(self.valkey, self.keys)

    @property
    def outbox(self) -> Outbox:
        """The streams."""
        return Outbox(self.valkey, self.keys)

    def tenure(self, relay_id: str, *, lease_seconds: float = 30.0) -> Tenure:
        """A relay's partitions; none before its first turn."""
        leases = Leases(self.valkey, self.keys, relay_id=relay_id, lease_seconds=lease_seconds)
        return Tenure(leases, partitions=self.keys.partitions)

    async def untold(self) -> list[int]:
        """Partitions nobody has a lease of."""
        return await untold(self.valkey, self.keys)

    @property
    def free(self) -> FreePlaces:
        """Free places as readers see them."""
        return FreePlaces(self.valkey, self.keys)

    def catalogue(self) -> Catalogue:
        """A catalogue that knows nothing yet."""
        return Catalogue(self.valkey, self.keys, now_ms)

    async def records(self, kind: str) -> list[dict[str, Any]]:
        """What the snapshot says of a kind."""
        return [record async for record in self.ledger.everything() if record["kind"] == kind]


def room_of(client: Redis | Valkey) -> Room:
    """
    A room over a client, or over a store that is open already.
    """
    return Room(client if isinstance(client, Valkey) else Valkey(client, timeout_seconds=5.0, calls_max=16))


def plan(slot_id: str = SLOT, **changes: Any) -> SlotPlanned:
    """
    An open slot of ten places, changed as asked.
    """
    office_id, day, session, service, channel = slot_id.split(".")
    at_ms = time.time_ns() // 1_000_000
    facts: dict[str, Any] = {
        "version": 1,
        "office_name": f"Kanim {office_id.title()}",
        "city": f"Kota {office_id.title()}",
        "province": "Jawa Barat",
        "timezone": "Asia/Jakarta",
        "date": f"{day[:4]}-{day[4:6]}-{day[6:]}",
        "starts_at": f"{day[:4]}-{day[4:6]}-{day[6:]}T08:00:00+07:00",
        "ends_at": f"{day[:4]}-{day[4:6]}-{day[6:]}T10:00:00+07:00",
        "capacity": 10,
        "opens_at_ms": at_ms - HOUR_MS,
        "closes_at_ms": at_ms + HOUR_MS,
        "next_opens_at_ms": at_ms + 7 * 24 * HOUR_MS,
    }
    return SlotPlanned(
        slot_id=slot_id, office_id=office_id, session=session, service=service, channel=channel, **(facts | changes)
    )


def ask(slot_id: str = SLOT, *, persons: int = 1, account_id: str | None = None, key: str = "key-00000001") -> Ask:
    """
    What a family asks for; a family of its own unless an account is named.
    """
    account_id = account_id or f"acc_{next(_numbers):032x}"
    return ask_of(account_id, key, slot_id, tuple(f"per_{account_id[4:]}{number}" for number in range(persons)))


def wish(*slot_ids: str, persons: int = 1, account_id: str | None = None, **changes: Any) -> PlacesWanted:
    """
    What booking wants for a family of its own, or for an account's, within the next minute.
    """
    account_id = account_id or f"acc_{next(_numbers):032x}"
    facts: dict[str, Any] = {
        "booking_id": f"rsv_{next(_numbers):032x}",
        "person_ids": tuple(f"per_{account_id[4:]}{number}" for number in range(persons)),
        "why": "walk_in",
        "pay_by_ms": 7,
        "good_until_ms": now_ms() + 60_000,
        "at_ms": now_ms(),
    }
    return PlacesWanted(account_id=account_id, slot_ids=slot_ids or (SLOT,), **(facts | changes))


def heard(event: Event) -> Envelope:
    """
    An event as a consumer gets it.
    """
    return Envelope(event_id=f"test.{next(_numbers)}", event=event)


def said(kind: type[BookingEvent], one: Ask, seats: tuple[int, ...] = (), **more: Any) -> Envelope:
    """
    What booking says about an ask.
    """
    slot = plan(one.slot_id)
    booking = Booking(
        booking_id=one.reservation_id,
        account_id=one.account_id,
        person_ids=one.person_ids,
        slot_id=one.slot_id,
        seats=seats,
        office_id=slot.office_id,
        office_name=slot.office_name,
        city=slot.city,
        timezone=slot.timezone,
        date=slot.date,
        session=slot.session,
        starts_at=slot.starts_at,
        ends_at=slot.ends_at,
        service=slot.service,
        channel=slot.channel,
        pay_by_ms=0,
        state="told",
        version=2,
    )
    return heard(kind(booking=booking, at_ms=now_ms(), **more))
