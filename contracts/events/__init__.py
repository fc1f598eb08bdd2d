"""
Every event of the house: one frozen struct each, named by what has happened.

Writers build them, readers get them decoded by `contracts.envelope`. A struct
changes additively only: new fields have defaults, none is renamed or removed.
No event holds a name or a NIK; people are `person_id`s.

Units are last in names: `_ms` are milliseconds since 1970 UTC by the clock of
the server that decided; rupiah are whole.
"""

from contracts.events.base import Event
from contracts.events.booking import (
    Booking,
    BookingAwaitingPayment,
    BookingCancelled,
    BookingCheckedIn,
    BookingCollected,
    BookingConfirmed,
    BookingDisplaced,
    BookingEvent,
    BookingExpired,
    BookingHeld,
    BookingIncomplete,
    BookingNoShow,
    BookingPaidNoSeat,
    BookingPardoned,
    BookingReady,
    BookingRescheduled,
    BookingServed,
    PlacesWanted,
)
from contracts.events.identity import AccountActivated, AccountRegistered
from contracts.events.payment import InvoiceIssued, PaymentReceived, PaymentRefunded
from contracts.events.quota import (
    GiveBackAsked,
    PlacesRefused,
    QuotaEvent,
    ReservationConfirmed,
    ReservationHeld,
    ReservationReleased,
    SlotApplied,
)
from contracts.events.slots import BookingWatermark, SlotPlanned

__all__ = [
    "EVENTS",
    "AccountActivated",
    "AccountRegistered",
    "Booking",
    "BookingAwaitingPayment",
    "BookingCancelled",
    "BookingCheckedIn",
    "BookingCollected",
    "BookingConfirmed",
    "BookingDisplaced",
    "BookingEvent",
    "BookingExpired",
    "BookingHeld",
    "BookingIncomplete",
    "BookingNoShow",
    "BookingPaidNoSeat",
    "BookingPardoned",
    "BookingReady",
    "BookingRescheduled",
    "BookingServed",
    "BookingWatermark",
    "Event",
    "GiveBackAsked",
    "InvoiceIssued",
    "PaymentReceived",
    "PaymentRefunded",
    "PlacesRefused",
    "PlacesWanted",
    "QuotaEvent",
    "ReservationConfirmed",
    "ReservationHeld",
    "ReservationReleased",
    "SlotApplied",
    "SlotPlanned",
]

EVENTS: tuple[type[Event], ...] = (
    SlotPlanned,
    BookingWatermark,
    ReservationHeld,
    ReservationConfirmed,
    ReservationReleased,
    GiveBackAsked,
    SlotApplied,
    PlacesRefused,
    BookingHeld,
    BookingAwaitingPayment,
    BookingConfirmed,
    BookingExpired,
    BookingCancelled,
    BookingPaidNoSeat,
    BookingDisplaced,
    BookingRescheduled,
    BookingCheckedIn,
    BookingServed,
    BookingIncomplete,
    BookingReady,
    BookingCollected,
    BookingNoShow,
    BookingPardoned,
    PlacesWanted,
    InvoiceIssued,
    PaymentReceived,
    PaymentRefunded,
    AccountRegistered,
    AccountActivated,
)
"""All of them. The envelope, the golden samples and the AsyncAPI document walk this."""
