"""
The life of a booking: told to payment, notify and quota, one event per step that others need.
"""

from typing import ClassVar, Final

import msgspec

from contracts.events.base import Event
from contracts.topics import BOOKING_EVENTS, Topic

COUNTER_ACCOUNT: Final = "acc_counter"
"""How account ids of people without an account begin: an office booked for them, and nobody can be written to."""
MOVE_OVERTAKEN: Final = "move_overtaken"
"""Why the new places of a move are displaced when the booking has taken another way meanwhile: its holder knows."""


class Booking(msgspec.Struct, frozen=True, kw_only=True):
    """
    A booking as every event about it tells it, so that no reader has to ask back.
    """

    booking_id: str
    """The same string as quota's reservation_id."""
    account_id: str
    person_ids: tuple[str, ...]
    slot_id: str
    seats: tuple[int, ...]
    """Queue numbers, one per person, in the order of `person_ids`."""
    office_id: str
    office_name: str
    city: str
    timezone: str
    date: str
    session: str
    starts_at: str
    ends_at: str
    service: str
    channel: str
    pay_by_ms: int
    state: str
    version: int
    """Grows with every transition of this booking."""


class BookingEvent(Event, frozen=True, kw_only=True):
    """
    A step in a booking's life, with the booking as it is after that step.
    """

    TOPIC: ClassVar[Topic] = BOOKING_EVENTS

    booking: Booking
    at_ms: int


class BookingHeld(BookingEvent, frozen=True, kw_only=True):
    """
    The hold stands in Postgres.
    """

    TYPE: ClassVar[str] = "booking.held.v1"


class BookingAwaitingPayment(BookingEvent, frozen=True, kw_only=True):
    """
    There is an invoice to pay until `booking.pay_by_ms`.
    """

    TYPE: ClassVar[str] = "booking.awaiting_payment.v1"

    billing_code: str
    virtual_account: str
    amount_rupiah: int
    offered: str | None = None
    """`waitlist`, where the places came back and were offered to who was next in line."""


class BookingConfirmed(BookingEvent, frozen=True, kw_only=True):
    """
    Paid: the appointment stands.
    """

    TYPE: ClassVar[str] = "booking.confirmed.v1"

    ntpn: str
    amount_rupiah: int
    paid_at_ms: int


class BookingExpired(BookingEvent, frozen=True, kw_only=True):
    """
    Not paid by the deadline; the places go back.
    """

    TYPE: ClassVar[str] = "booking.expired.v1"


class BookingCancelled(BookingEvent, frozen=True, kw_only=True):
    """
    Given back by the holder; the places go back.
    """

    TYPE: ClassVar[str] = "booking.cancelled.v1"

    reason: str


class BookingPaidNoSeat(BookingEvent, frozen=True, kw_only=True):
    """
    Money came for a booking that no longer holds places: listed for refund, never silent.
    """

    TYPE: ClassVar[str] = "booking.paid_no_seat.v1"

    ntpn: str
    amount_rupiah: int
    paid_at_ms: int


class BookingDisplaced(BookingEvent, frozen=True, kw_only=True):
    """
    Quota announced places that another active booking already holds: named, never dropped.
    """

    TYPE: ClassVar[str] = "booking.displaced.v1"

    reason: str


class BookingRescheduled(BookingEvent, frozen=True, kw_only=True):
    """
    Moved to another booking, which has its places already; the places of this one go back.
    """

    TYPE: ClassVar[str] = "booking.rescheduled.v1"

    moved_to: str
    """The other booking's id."""
    reason: str


class BookingCheckedIn(BookingEvent, frozen=True, kw_only=True):
    """
    The family is at the counter.
    """

    TYPE: ClassVar[str] = "booking.checked_in.v1"


class BookingServed(BookingEvent, frozen=True, kw_only=True):
    """
    Documents, fingerprints and photo are taken: the visit is over, and its people may reserve again.
    """

    TYPE: ClassVar[str] = "booking.served.v1"


class BookingIncomplete(BookingEvent, frozen=True, kw_only=True):
    """
    Documents were missing: back to the queue from the start, without a block.
    """

    TYPE: ClassVar[str] = "booking.incomplete.v1"

    reason: str


class BookingReady(BookingEvent, frozen=True, kw_only=True):
    """
    The passports can be fetched from a day on.
    """

    TYPE: ClassVar[str] = "booking.ready.v1"

    pick_up_on: str
    """Local calendar day, YYYY-MM-DD."""


class BookingCollected(BookingEvent, frozen=True, kw_only=True):
    """
    The passports were fetched: the life is over.
    """

    TYPE: ClassVar[str] = "booking.collected.v1"


class BookingNoShow(BookingEvent, frozen=True, kw_only=True):
    """
    Nobody came. Its persons may reserve again from a moment on.
    """

    TYPE: ClassVar[str] = "booking.no_show.v1"

    blocked_until_ms: int


class BookingPardoned(BookingEvent, frozen=True, kw_only=True):
    """
    An officer lifted the block of a no-show, on appeal or for an incident.
    """

    TYPE: ClassVar[str] = "booking.pardoned.v1"

    reason: str


class PlacesWanted(Event, frozen=True, kw_only=True):
    """
    Booking asks quota for places, for a reason of the office's or a move. Quota answers `ReservationHeld` or
    `PlacesRefused`, with this booking_id as reservation_id; window, channel and closing do not matter to it, places do.
    """

    TYPE: ClassVar[str] = "booking.places_wanted.v1"
    TOPIC: ClassVar[Topic] = BOOKING_EVENTS

    booking_id: str
    """Chosen beforehand, so that asking again takes nothing."""
    account_id: str
    person_ids: tuple[str, ...]
    slot_ids: tuple[str, ...]
    """Tried in this order."""
    seats: tuple[int, ...] = ()
    """These numbers of the first slot if they are free, before anything else is tried."""
    why: str
    """reschedule, rebook, reseat, waitlist, walk_in, priority or assisted."""
    replaces: str | None = None
    """The booking whose claim on account and persons is handed over, and stays as it is if there are no places."""
    pay_by_ms: int
    good_until_ms: int
    """Later than this nothing is taken any more."""
    at_ms: int
