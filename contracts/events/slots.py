"""
What booking plans and what it has recorded: told to quota.
"""

from typing import ClassVar

from contracts.events.base import Event
from contracts.topics import BOOKING_SLOTS, BOOKING_WATERMARKS, Topic


class SlotPlanned(Event, frozen=True, kw_only=True):
    """
    A slot as booking plans it now: all of it, so the newest `version` replaces the older.
    """

    TYPE: ClassVar[str] = "booking.slot.planned.v1"
    TOPIC: ClassVar[Topic] = BOOKING_SLOTS

    slot_id: str
    version: int
    """Grows with every change of the plan; a reader ignores what is not newer."""
    office_id: str
    office_name: str
    city: str
    province: str
    timezone: str
    """IANA name, such as Asia/Makassar."""
    date: str
    """Local calendar day, YYYY-MM-DD."""
    session: str
    starts_at: str
    """RFC 3339 with the office's offset."""
    ends_at: str
    service: str
    channel: str
    capacity: int
    opens_at_ms: int
    closes_at_ms: int
    next_opens_at_ms: int | None = None
    """When this office opens a window again after this one."""
    pay_seconds: int = 7200
    """How long a hold waits for money."""
    closed: bool = False
    return_times: tuple[str, ...] = ()
    """Local clock times, HH:MM, at which places that came back are offered again; none: after a random delay each."""


class BookingWatermark(Event, frozen=True, kw_only=True):
    """
    Every quota event of `partition` up to (`epoch`, `seq`) is recorded for good.
    """

    TYPE: ClassVar[str] = "booking.watermark.v1"
    TOPIC: ClassVar[Topic] = BOOKING_WATERMARKS

    partition: int
    epoch: int
    seq: int
