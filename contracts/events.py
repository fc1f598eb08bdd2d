"""
Every event of the house: one frozen struct each, named by what has happened.

Writers build them, readers get them decoded by `contracts.envelope`. A struct
changes additively only: new fields have defaults, none is renamed or removed.
No event holds a name or a NIK; people are `person_id`s.

Units are last in names: `_ms` are milliseconds since 1970 UTC by the clock of
the server that decided; rupiah are whole.
"""

from typing import ClassVar

import msgspec

from contracts.topics import (
    BOOKING_EVENTS,
    BOOKING_SLOTS,
    BOOKING_WATERMARKS,
    IDENTITY_EVENTS,
    PAYMENT_EVENTS,
    QUOTA_EVENTS,
    Topic,
)


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """
    Something that has happened. `TYPE` is its CloudEvents type, `TOPIC` where it is told.
    """

    TYPE: ClassVar[str]
    TOPIC: ClassVar[Topic]


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


class QuotaEvent(Event, frozen=True, kw_only=True):
    """
    A decision of quota. `seq` counts the decisions of one partition and epoch without a gap.
    """

    partition: int
    epoch: int
    seq: int
    slot_id: str
    at_ms: int


class ReservationHeld(QuotaEvent, frozen=True, kw_only=True):
    """
    Places taken for a family, by number, until `pay_by_ms`.
    """

    TYPE: ClassVar[str] = "quota.reservation.held.v1"
    TOPIC: ClassVar[Topic] = QUOTA_EVENTS

    reservation_id: str
    account_id: str
    person_ids: tuple[str, ...]
    seats: tuple[int, ...]
    pay_by_ms: int


class ReservationConfirmed(QuotaEvent, frozen=True, kw_only=True):
    """
    A hold became a confirmed place, because booking said so.
    """

    TYPE: ClassVar[str] = "quota.reservation.confirmed.v1"
    TOPIC: ClassVar[Topic] = QUOTA_EVENTS

    reservation_id: str
    seats: tuple[int, ...]


class ReservationReleased(QuotaEvent, frozen=True, kw_only=True):
    """
    A hold's places are free again, because booking said so.
    """

    TYPE: ClassVar[str] = "quota.reservation.released.v1"
    TOPIC: ClassVar[Topic] = QUOTA_EVENTS

    reservation_id: str
    seats: tuple[int, ...]
    reason: str


class GiveBackAsked(QuotaEvent, frozen=True, kw_only=True):
    """
    The holder wants to give the places back. Booking decides whether that still can be.
    """

    TYPE: ClassVar[str] = "quota.reservation.give_back_asked.v1"
    TOPIC: ClassVar[Topic] = QUOTA_EVENTS

    reservation_id: str
    account_id: str


class SlotApplied(QuotaEvent, frozen=True, kw_only=True):
    """
    A plan of booking took effect: a slot was loaded, resized, opened or closed.
    """

    TYPE: ClassVar[str] = "quota.slot.applied.v1"
    TOPIC: ClassVar[Topic] = QUOTA_EVENTS

    version: int
    capacity: int
    free: int
    held: int
    confirmed: int
    withheld: int


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


class BookingWatermark(Event, frozen=True, kw_only=True):
    """
    Every quota event of `partition` up to (`epoch`, `seq`) is recorded for good.
    """

    TYPE: ClassVar[str] = "booking.watermark.v1"
    TOPIC: ClassVar[Topic] = BOOKING_WATERMARKS

    partition: int
    epoch: int
    seq: int


class InvoiceIssued(Event, frozen=True, kw_only=True):
    """
    A booking can be paid with this code until `pay_by_ms`.
    """

    TYPE: ClassVar[str] = "payment.invoice_issued.v1"
    TOPIC: ClassVar[Topic] = PAYMENT_EVENTS

    booking_id: str
    billing_code: str
    virtual_account: str
    amount_rupiah: int
    pay_by_ms: int
    at_ms: int


class PaymentReceived(Event, frozen=True, kw_only=True):
    """
    The bank reported the full amount for a booking, and the report was verified.
    """

    TYPE: ClassVar[str] = "payment.received.v1"
    TOPIC: ClassVar[Topic] = PAYMENT_EVENTS

    booking_id: str
    billing_code: str
    bank: str
    journal_number: str
    ntpn: str
    amount_rupiah: int
    paid_at_ms: int
    at_ms: int


class AccountRegistered(Event, frozen=True, kw_only=True):
    """
    Somebody asks for an account; the activation link must reach the address.
    """

    TYPE: ClassVar[str] = "identity.account_registered.v1"
    TOPIC: ClassVar[Topic] = IDENTITY_EVENTS

    account_id: str
    email: str
    locale: str
    activation_token: str
    activate_by_ms: int
    at_ms: int


class AccountActivated(Event, frozen=True, kw_only=True):
    """
    The account can be used; messages for it go to `email`.
    """

    TYPE: ClassVar[str] = "identity.account_activated.v1"
    TOPIC: ClassVar[Topic] = IDENTITY_EVENTS

    account_id: str
    email: str
    locale: str
    at_ms: int


EVENTS: tuple[type[Event], ...] = (
    SlotPlanned,
    ReservationHeld,
    ReservationConfirmed,
    ReservationReleased,
    GiveBackAsked,
    SlotApplied,
    BookingHeld,
    BookingAwaitingPayment,
    BookingConfirmed,
    BookingExpired,
    BookingCancelled,
    BookingPaidNoSeat,
    BookingDisplaced,
    BookingWatermark,
    InvoiceIssued,
    PaymentReceived,
    AccountRegistered,
    AccountActivated,
)
"""All of them. The envelope, the golden samples and the AsyncAPI document walk this."""
