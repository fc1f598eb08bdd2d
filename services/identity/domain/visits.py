"""
Visits: who is awaited at which office on which day, and which day an officer may read names of.

Called by use cases. Knows people by id alone. Pure: no clock, no store.
"""

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from contracts.events import Booking, BookingEvent

ENDED: Final = frozenset({"cancelled", "rescheduled"})
"""Nobody is awaited any more. What ended before it was paid never was a visit, and is not heard of at all."""


class Visit(msgspec.Struct, frozen=True, kw_only=True):
    """
    A booking's people at their office, as the newest event tells it. One that ended has no people.
    """

    booking_id: str
    version: int
    office_id: str
    date: dt.date
    session: str
    starts_at: dt.datetime
    ends_at: dt.datetime
    service: str
    channel: str
    state: str
    seats: tuple[int, ...]
    person_ids: tuple[str, ...]


class Office(msgspec.Struct, frozen=True, kw_only=True):
    """
    An office as an event tells it.
    """

    office_id: str
    name: str
    timezone: str
    told_at_ms: int


class OfficeTime(msgspec.Struct, frozen=True, kw_only=True):
    """
    An office's name and zone, and the time of the server that decides.
    """

    name: str
    timezone: str
    now: dt.datetime

    def today(self) -> dt.date:
        """
        Which day it is at the office.
        """
        return self.now.astimezone(ZoneInfo(self.timezone)).date()

    def begins(self, day: dt.date) -> dt.datetime:
        """
        The day's first moment at the office.
        """
        return dt.datetime.combine(day, dt.time(), tzinfo=ZoneInfo(self.timezone))

    def local(self, moment: dt.datetime) -> str:
        """
        RFC 3339 with the office's offset.
        """
        return moment.astimezone(ZoneInfo(self.timezone)).isoformat()


def newest_visits(events: Sequence[BookingEvent]) -> list[Visit]:
    """
    What these events tell of bookings, each in its newest version, by id: writers at once wait in one order.
    """
    newest: dict[str, Booking] = {}
    for event in events:
        booking = event.booking
        known = newest.setdefault(booking.booking_id, booking)
        if known.version < booking.version:
            newest[booking.booking_id] = booking
    return [_visit(newest[booking_id]) for booking_id in sorted(newest)]


def newest_offices(events: Sequence[BookingEvent]) -> list[Office]:
    """
    What these events tell of offices, the latest word of each, by id.

    Visits that ended tell nothing: what is moved away from a slot that was never planned knows no zone.
    """
    awaited = [event for event in events if event.booking.state not in ENDED]
    latest = {event.booking.office_id: event for event in sorted(awaited, key=lambda event: event.at_ms)}
    return [
        Office(
            office_id=office_id,
            name=latest[office_id].booking.office_name,
            timezone=latest[office_id].booking.timezone,
            told_at_ms=latest[office_id].at_ms,
        )
        for office_id in sorted(latest)
    ]


def said_twice(names: Iterable[str]) -> set[str]:
    """
    Names, without regard to case, that stand more than once.
    """
    seen: set[str] = set()
    twice: set[str] = set()
    for name in map(str.casefold, names):
        (twice if name in seen else seen).add(name)
    return twice


def _visit(booking: Booking) -> Visit:
    ended = booking.state in ENDED
    return Visit(
        booking_id=booking.booking_id,
        version=booking.version,
        office_id=booking.office_id,
        date=dt.date.fromisoformat(booking.date),
        session=booking.session,
        starts_at=dt.datetime.fromisoformat(booking.starts_at),
        ends_at=dt.datetime.fromisoformat(booking.ends_at),
        service=booking.service,
        channel=booking.channel,
        state=booking.state,
        seats=() if ended else booking.seats,
        person_ids=() if ended else booking.person_ids,
    )
