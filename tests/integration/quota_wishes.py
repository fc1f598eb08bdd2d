"""
Wishes of booking as tests say them, and what they look at afterwards.
"""

from typing import Any

from contracts.events import BookingConfirmed, PlacesWanted, QuotaEvent
from services.quota.domain.decisions import Ask, Held
from services.quota.domain.records import claims_record
from services.quota.domain.wishes import Answer
from services.quota.use_cases.following import Following
from services.quota.use_cases.wishing import Wishing
from tests.integration.quota_room import SLOT, Room, ask, heard, said, wish

LATER = "bandung.20261201.morning.regular.online"
ELSEWHERE = "makassar.20261130.morning.regular.online"
FULL = "makassar.20261201.morning.regular.online"


async def decide(room: Room, one: PlacesWanted) -> Answer:
    """What comes of one wish."""
    (answer,) = await room.wishes.decide([one])
    assert isinstance(answer, Answer)
    return answer


async def tell(room: Room, *events: PlacesWanted) -> None:
    """Booking says so."""
    await Wishing(room.wishes).wanted([heard(event) for event in events])


async def told_of(room: Room, booking_id: str, *slot_ids: str) -> list[QuotaEvent]:
    """What the streams tell of a booking."""
    told = {
        (event.partition, event.seq): event
        for slot_id in slot_ids
        for event in await room.told(slot_id)
        if getattr(event, "reservation_id", None) == booking_id
    }
    return list(told.values())


async def claims_on(room: Room, account_id: str) -> tuple[str | None, str | None]:
    """Who has the account, and who waits to inherit it."""
    found = await room.valkey.call("GET", room.keys.claims(account_id))
    if found is None:
        return None, None
    record = claims_record(found)
    return record.account and record.account.reservation_id, record.heir and record.heir.reservation_id


async def books_of(room: Room, slot_id: str) -> tuple[int, int, int]:
    """Free, held and confirmed places."""
    (books,) = await room.ledger.books([slot_id])
    assert books["capacity"] == sum(books[name] for name in ("free", "held", "confirmed", "withheld"))
    return books["free"], books["held"], books["confirmed"]


async def reserved(room: Room, slot_id: str = SLOT, *, persons: int = 1) -> Ask:
    """A family with confirmed places."""
    asked = ask(slot_id, persons=persons)
    assert isinstance(await room.decider.decide(asked), Held)
    await Following(room.holds, room.claims).bookings([said(BookingConfirmed, asked, **PAID)])
    return asked


PAID = {"ntpn": "N", "amount_rupiah": 1, "paid_at_ms": 1}


def in_its_place(asked: Ask, *slot_ids: str, **changes: Any) -> PlacesWanted:
    """A wish to be moved."""
    return wish(
        *slot_ids,
        account_id=asked.account_id,
        person_ids=asked.person_ids,
        replaces=asked.reservation_id,
        why="reschedule",
        **changes,
    )
