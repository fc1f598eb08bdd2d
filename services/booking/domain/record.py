"""
A booking as Postgres remembers it, and how the house is told about each step of its life.

Stores build records from rows; use cases turn them into events with `announcement`.
The words of the events are those of `contracts`; no other room sees a record.
"""

import datetime as dt
from collections.abc import Callable, Mapping
from typing import Final, TypeVar
from zoneinfo import ZoneInfo

import msgspec

from contracts import events
from services.booking.domain.lifecycle import State

T = TypeVar("T")
FIRST_VERSION: Final = 1
"""Of a booking that has just begun."""


class Visit(msgspec.Struct, frozen=True, kw_only=True):
    """
    Where and when: the slot a booking is for.
    """

    slot_id: str
    office_id: str
    office_name: str
    city: str
    province: str
    timezone: str
    date: dt.date
    session: str
    starts_at: dt.datetime
    ends_at: dt.datetime
    service: str
    channel: str


class BookingRecord(msgspec.Struct, frozen=True, kw_only=True):
    """
    Everything about one booking. `seats` and `person_ids` stand in the same order.
    """

    booking_id: str
    account_id: str
    person_ids: tuple[str, ...]
    seats: tuple[int, ...]
    state: State
    version: int
    pay_by: dt.datetime
    held_at: dt.datetime
    changed_at: dt.datetime
    billing_code: str | None
    virtual_account: str | None
    amount_rupiah: int | None
    ntpn: str | None
    paid_at: dt.datetime | None
    reason: str | None
    moved_to: str | None
    pick_up_on: dt.date | None
    blocked_until: dt.datetime | None
    pardoned_at: dt.datetime | None
    unseated_at: dt.datetime | None
    refund_asked_at: dt.datetime | None
    visit: Visit


def visit_by_id(slot_id: str) -> Visit:
    """
    What a slot id alone tells. For places of a slot that was never planned here: they are named, not dropped.
    """
    office_id, day, session, service, channel = (*slot_id.split("."), "", "", "", "", "")[:5]
    try:
        date = dt.datetime.strptime(day, "%Y%m%d").replace(tzinfo=dt.UTC)
    except ValueError:
        date = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    return Visit(
        slot_id=slot_id,
        office_id=office_id,
        office_name="",
        city="",
        province="",
        timezone="UTC",
        date=date.date(),
        session=session,
        starts_at=date,
        ends_at=date,
        service=service,
        channel=channel,
    )


def in_zone(moment: dt.datetime, timezone: str) -> str:
    """
    RFC 3339 with the zone's offset.
    """
    return moment.astimezone(ZoneInfo(timezone)).isoformat()


def ms_of(moment: dt.datetime) -> int:
    """
    Milliseconds since 1970 UTC, rounded down.
    """
    return int(moment.timestamp() * 1_000_000) // 1000


def announcement(record: BookingRecord, *, offered: str | None = None) -> events.BookingEvent | None:
    """
    The event of the step a booking has just taken; None for steps nobody outside needs.

    `offered` is who its places were offered to, where they had come back.
    """
    tell = _TELLERS.get(record.state)
    event = tell(record) if tell else None
    if isinstance(event, events.BookingAwaitingPayment):
        return msgspec.structs.replace(event, offered=offered)
    return event


def event_id_of(booking_id: str, version: int) -> str:
    """
    Stable over every try: a version of a booking is announced once.
    """
    return f"b.{booking_id}.{version}"


def words_of(visit: Visit) -> dict[str, str]:
    """
    Where and when, as events tell it.
    """
    return {
        "slot_id": visit.slot_id,
        "office_id": visit.office_id,
        "office_name": visit.office_name,
        "city": visit.city,
        "timezone": visit.timezone,
        "date": visit.date.isoformat(),
        "session": visit.session,
        "starts_at": in_zone(visit.starts_at, visit.timezone),
        "ends_at": in_zone(visit.ends_at, visit.timezone),
        "service": visit.service,
        "channel": visit.channel,
    }


def held(hold: events.ReservationHeld, words: Mapping[str, str], *, at_ms: int) -> events.BookingHeld:
    """
    The event of a hold that became a booking as it is. `words` are those of its slot's visit.
    """
    booking = events.Booking(
        booking_id=hold.reservation_id,
        account_id=hold.account_id,
        person_ids=hold.person_ids,
        seats=hold.seats,
        pay_by_ms=hold.pay_by_ms,
        state=State.HELD.value,
        version=FIRST_VERSION,
        **words,
    )
    return events.BookingHeld(booking=booking, at_ms=at_ms)


def _told(record: BookingRecord) -> events.Booking:
    return events.Booking(
        booking_id=record.booking_id,
        account_id=record.account_id,
        person_ids=record.person_ids,
        seats=record.seats,
        pay_by_ms=ms_of(record.pay_by),
        state=record.state.value,
        version=record.version,
        **words_of(record.visit),
    )


def _held(record: BookingRecord) -> events.BookingEvent:
    return events.BookingHeld(booking=_told(record), at_ms=ms_of(record.changed_at))


def _awaiting_payment(record: BookingRecord) -> events.BookingEvent:
    return events.BookingAwaitingPayment(
        booking=_told(record),
        at_ms=ms_of(record.changed_at),
        billing_code=_there(record.billing_code),
        virtual_account=_there(record.virtual_account),
        amount_rupiah=_there(record.amount_rupiah),
    )


def _confirmed(record: BookingRecord) -> events.BookingEvent:
    return events.BookingConfirmed(
        booking=_told(record),
        at_ms=ms_of(record.changed_at),
        ntpn=_there(record.ntpn),
        amount_rupiah=_there(record.amount_rupiah),
        paid_at_ms=ms_of(_there(record.paid_at)),
    )


def _paid_no_seat(record: BookingRecord) -> events.BookingEvent:
    return events.BookingPaidNoSeat(
        booking=_told(record),
        at_ms=ms_of(record.changed_at),
        ntpn=_there(record.ntpn),
        amount_rupiah=_there(record.amount_rupiah),
        paid_at_ms=ms_of(_there(record.paid_at)),
    )


def _expired(record: BookingRecord) -> events.BookingEvent:
    return events.BookingExpired(booking=_told(record), at_ms=ms_of(record.changed_at))


def _cancelled(record: BookingRecord) -> events.BookingEvent:
    return events.BookingCancelled(booking=_told(record), at_ms=ms_of(record.changed_at), reason=_there(record.reason))


def _displaced(record: BookingRecord) -> events.BookingEvent:
    return events.BookingDisplaced(booking=_told(record), at_ms=ms_of(record.changed_at), reason=_there(record.reason))


def _rescheduled(record: BookingRecord) -> events.BookingEvent:
    return events.BookingRescheduled(
        booking=_told(record),
        at_ms=ms_of(record.changed_at),
        moved_to=_there(record.moved_to),
        reason=_there(record.reason),
    )


def _checked_in(record: BookingRecord) -> events.BookingEvent:
    return events.BookingCheckedIn(booking=_told(record), at_ms=ms_of(record.changed_at))


def _served(record: BookingRecord) -> events.BookingEvent:
    return events.BookingServed(booking=_told(record), at_ms=ms_of(record.changed_at))


def _incomplete(record: BookingRecord) -> events.BookingEvent:
    return events.BookingIncomplete(booking=_told(record), at_ms=ms_of(record.changed_at), reason=_there(record.reason))


def _ready(record: BookingRecord) -> events.BookingEvent:
    return events.BookingReady(
        booking=_told(record), at_ms=ms_of(record.changed_at), pick_up_on=_there(record.pick_up_on).isoformat()
    )


def _collected(record: BookingRecord) -> events.BookingEvent:
    return events.BookingCollected(booking=_told(record), at_ms=ms_of(record.changed_at))


def _no_show(record: BookingRecord) -> events.BookingEvent:
    if record.pardoned_at is not None:
        return events.BookingPardoned(
            booking=_told(record), at_ms=ms_of(record.changed_at), reason=_there(record.reason)
        )
    return events.BookingNoShow(
        booking=_told(record),
        at_ms=ms_of(record.changed_at),
        blocked_until_ms=ms_of(_there(record.blocked_until)),
    )


def _there(value: T | None) -> T:
    if value is None:
        raise AssertionError("a booking in this state has the facts of this state")
    return value


_TELLERS: Final[Mapping[State, Callable[[BookingRecord], events.BookingEvent]]] = {
    State.HELD: _held,
    State.AWAITING_PAYMENT: _awaiting_payment,
    State.CONFIRMED: _confirmed,
    State.EXPIRED: _expired,
    State.CANCELLED: _cancelled,
    State.PAID_NO_SEAT: _paid_no_seat,
    State.DISPLACED: _displaced,
    State.RESCHEDULED: _rescheduled,
    State.CHECKED_IN: _checked_in,
    State.SERVED: _served,
    State.INCOMPLETE: _incomplete,
    State.READY: _ready,
    State.COLLECTED: _collected,
    State.NO_SHOW: _no_show,
}
