"""
An identity room that hears of visits, and the staff who ask it for names.

Used by `test_identity_name_sheet.py` and by whoever else lets identity hear booking's events.
"""

import datetime as dt
import uuid
from collections.abc import Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from contracts.envelope import Envelope
from contracts.events import Booking, BookingConfirmed, BookingEvent
from kernel.auth.tokens import TokenSigner, signing_key
from kernel.clock import now_ms
from services.identity.app import vault_of
from services.identity.consumers import booking_events
from services.identity.stores.vault import Field, Secret
from tests.integration.identity_room import Room, key, nik_of

SIGNER = TokenSigner(signing_key(key("j"), variable="TEST"))
OFFICER = "acc_officer"
ZONES = {"bandung": "Asia/Jakarta", "jayapura": "Asia/Jayapura"}
AT_MS = 1_790_000_000_000


def staff(*roles: str) -> str:
    """
    The token of a member of staff.
    """
    return SIGNER.issue(account_id=OFFICER, person_ids=(), roles=roles, now_ms=now_ms(), ttl_seconds=60)


def today(office_id: str = "bandung", *, days: int = 0) -> dt.date:
    """
    The day it is at an office, or so many days later.
    """
    return dt.datetime.now(ZoneInfo(ZONES[office_id])).date() + dt.timedelta(days=days)


def visit(name: str, people: Mapping[int, str], **other: Any) -> Booking:
    """
    A paid booking: person ids by queue number, today at eight in Bandung unless told otherwise.
    """
    office_id = other.get("office_id", "bandung")
    timezone = other.get("timezone") or ZONES[office_id]
    date = other.pop("date", None) or today(office_id)
    hour = other.pop("hour", 8)
    starts = dt.datetime.combine(date, dt.time(hour), tzinfo=ZoneInfo(timezone))
    booking = Booking(
        booking_id=f"rsv_{uuid.uuid5(uuid.NAMESPACE_OID, name).hex}",
        account_id="acc_somebody",
        person_ids=tuple(people.values()),
        slot_id=f"{office_id}.{date:%Y%m%d}.s{hour}.regular.online",
        seats=tuple(people),
        office_id=office_id,
        office_name=f"Kantor Imigrasi {office_id.title()}",
        city=office_id.title(),
        timezone=timezone,
        date=date.isoformat(),
        session=f"s{hour}",
        starts_at=starts.isoformat(),
        ends_at=(starts + dt.timedelta(hours=2)).isoformat(),
        service="regular",
        channel="online",
        pay_by_ms=AT_MS,
        state="confirmed",
        version=3,
    )
    return msgspec.structs.replace(booking, **other)


def confirmed(booking: Booking) -> BookingConfirmed:
    """
    The event that makes a booking a visit.
    """
    return BookingConfirmed(booking=booking, at_ms=AT_MS, ntpn="NTPN", amount_rupiah=350_000, paid_at_ms=AT_MS)


def became(kind: type[BookingEvent], booking: Booking, state: str, *, version: int, **more: Any) -> BookingEvent:
    """
    A later step of that booking.
    """
    after = msgspec.structs.replace(booking, state=state, version=version)
    return kind(booking=after, at_ms=AT_MS + version, **more)


def enveloped(*events: BookingEvent) -> list[Envelope]:
    """
    Events with booking's ids.
    """
    return [Envelope(event_id=f"b.{e.booking.booking_id}.{e.booking.version}", event=e) for e in events]


async def hear(room: Room, *batches: Sequence[BookingEvent]) -> None:
    """
    Let the room's consumer have batches, one after the other.
    """
    for batch in batches:
        await booking_events(room.db)(enveloped(*batch))


async def family(room: Room, *names: str) -> list[str]:
    """
    People the vault knows. Returns their person ids.
    """
    ids = [f"per_{number}" for number in range(1, len(names) + 1)]
    secrets = [
        Secret(owner_id=person_id, field=field, value=value)
        for number, (person_id, name) in enumerate(zip(ids, names, strict=True), start=1)
        for field, value in ((Field.FULL_NAME, name), (Field.NIK, nik_of(number)))
    ]
    async with room.db.connection() as connection:
        await vault_of(room.settings.vault).put(connection, secrets)
    return ids
