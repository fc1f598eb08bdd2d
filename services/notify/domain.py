"""
What notify knows by itself: which event is told how, what a ticket says, when to try again.

Called by use cases, the composer and routes. Pure: no clock, no driver, no store.
"""

import base64
import enum
import hashlib
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from contracts.events import (
    AccountRegistered,
    Booking,
    BookingAwaitingPayment,
    BookingCancelled,
    BookingConfirmed,
    BookingDisplaced,
    BookingExpired,
    BookingIncomplete,
    BookingNoShow,
    BookingPaidNoSeat,
    BookingPardoned,
    BookingReady,
    BookingRescheduled,
    BookingServed,
    Event,
)
from contracts.events.booking import COUNTER_ACCOUNT, MOVE_OVERTAKEN

LOCALES: Final = ("id", "en")
LOCALE_DEFAULT: Final = "id"
TICKET_PREFIX: Final = "AT1"
TICKET_STATES: Final = frozenset({"confirmed"})
RETRY_SECONDS_MAX: Final = 300
_ZONE_LABELS: Final = {
    "Asia/Jakarta": "WIB",
    "Asia/Pontianak": "WIB",
    "Asia/Makassar": "WITA",
    "Asia/Jayapura": "WIT",
}


class Template(enum.Enum):
    """
    A kind of mail; the value is its name in files, headers and metrics.
    """

    ACTIVATION = "activation"
    AWAITING_PAYMENT = "awaiting_payment"
    WAITLIST_OFFER = "waitlist_offer"
    CONFIRMED = "confirmed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    PAID_NO_SEAT = "paid_no_seat"
    DISPLACED = "displaced"
    RESCHEDULED = "rescheduled"
    NO_SHOW = "no_show"
    PARDONED = "pardoned"
    INCOMPLETE = "incomplete"
    SERVED = "served"
    READY = "ready"


_TEMPLATES: Final[dict[type[Event], Template]] = {
    BookingAwaitingPayment: Template.AWAITING_PAYMENT,
    BookingConfirmed: Template.CONFIRMED,
    BookingExpired: Template.EXPIRED,
    BookingCancelled: Template.CANCELLED,
    BookingPaidNoSeat: Template.PAID_NO_SEAT,
    BookingDisplaced: Template.DISPLACED,
    BookingRescheduled: Template.RESCHEDULED,
    BookingNoShow: Template.NO_SHOW,
    BookingPardoned: Template.PARDONED,
    BookingIncomplete: Template.INCOMPLETE,
    BookingServed: Template.SERVED,
    BookingReady: Template.READY,
}
_WORDED: Final = (BookingIncomplete, BookingPardoned)
"""Their reason is one of booking's words, and worded in the mail. Other reasons may be anybody's sentence."""


class Payload(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """
    What a mail is written from. Ids only: no name, no NIK.
    """

    booking: Booking | None = None
    billing_code: str | None = None
    virtual_account: str | None = None
    amount_rupiah: int | None = None
    ntpn: str | None = None
    moved_to: str | None = None
    blocked_until_ms: int | None = None
    pick_up_on: str | None = None
    reason: str | None = None
    activation_token: str | None = None
    activate_by_ms: int | None = None


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """
    A mail to be written, under an id that comes out the same on every try.
    """

    message_id: str
    account_id: str
    booking_id: str | None
    template: Template
    payload: Payload


def letter_of(event: Event) -> Letter | None:
    """
    The mail an event is told with, or None.
    """
    if isinstance(event, AccountRegistered):
        return _activation(event)
    template = Template.WAITLIST_OFFER if _is_offer(event) else _TEMPLATES.get(type(event))
    booking: Booking | None = getattr(event, "booking", None)
    if template is None or booking is None or _blocks_nobody(event) or _concerns_nobody(event, booking):
        return None
    return Letter(
        message_id=f"<{template.value}.{booking.booking_id}@antrean>",
        account_id=booking.account_id,
        booking_id=booking.booking_id,
        template=template,
        payload=Payload(
            booking=booking,
            billing_code=getattr(event, "billing_code", None),
            virtual_account=getattr(event, "virtual_account", None),
            amount_rupiah=getattr(event, "amount_rupiah", None),
            ntpn=getattr(event, "ntpn", None),
            moved_to=getattr(event, "moved_to", None),
            blocked_until_ms=getattr(event, "blocked_until_ms", None),
            pick_up_on=getattr(event, "pick_up_on", None),
            reason=event.reason if isinstance(event, _WORDED) else None,
        ),
    )


def _is_offer(event: Event) -> bool:
    return isinstance(event, BookingAwaitingPayment) and event.offered == "waitlist"


def _blocks_nobody(event: Event) -> bool:
    # Missed in the hours of an incident: the pardon that follows is the news.
    return isinstance(event, BookingNoShow) and event.blocked_until_ms <= event.at_ms


def _concerns_nobody(event: Event, booking: Booking) -> bool:
    # People of the counter have no address; and whoever overtook his own move knows.
    overtaken = isinstance(event, BookingDisplaced) and event.reason == MOVE_OVERTAKEN
    return overtaken or booking.account_id.startswith(COUNTER_ACCOUNT)


def _activation(event: AccountRegistered) -> Letter:
    # Another registration has another token and is another mail; the token itself is no part of an id.
    mark = hashlib.blake2b(event.activation_token.encode(), digest_size=6).hexdigest()
    return Letter(
        message_id=f"<activation.{event.account_id}.{mark}@antrean>",
        account_id=event.account_id,
        booking_id=None,
        template=Template.ACTIVATION,
        payload=Payload(activation_token=event.activation_token, activate_by_ms=event.activate_by_ms),
    )


class TicketClaims(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    rename={"booking_id": "b", "office_id": "o", "date": "d", "starts": "t", "seats": "s", "version": "v"},
):
    """
    What the QR code of a ticket says: which places, of which booking, where and when. Nobody's name.
    """

    booking_id: str
    office_id: str
    date: str
    starts: str
    """Local wall clock, HH:MM."""
    seats: tuple[int, ...]
    version: int


def claims_of(booking: Booking) -> TicketClaims:
    """
    A booking as its ticket tells it.
    """
    return TicketClaims(
        booking_id=booking.booking_id,
        office_id=booking.office_id,
        date=booking.date,
        starts=booking.starts_at[11:16],
        seats=booking.seats,
        version=booking.version,
    )


def signed_part(claims: TicketClaims) -> str:
    """
    The text of a ticket that is signed: `AT1.` and the claims.
    """
    return f"{TICKET_PREFIX}.{base64url(msgspec.json.encode(claims))}"


def base64url(raw: bytes) -> str:
    """
    Base64 for URLs and QR codes, without padding.
    """
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def zone_label(timezone: str, moment: datetime) -> str:
    """
    WIB, WITA or WIT; for any other zone its offset.
    """
    return _ZONE_LABELS.get(timezone) or moment.astimezone(ZoneInfo(timezone)).strftime("UTC%z")


def retry_seconds(tries: int) -> int:
    """
    How long a mail waits after its `tries`-th try was refused.
    """
    return int(min(2 ** min(tries, 20), RETRY_SECONDS_MAX))
