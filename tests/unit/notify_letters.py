"""
Events of a booking's life as notify hears them.

Used by `test_notify_*.py` of the unit and the integration tests.
"""

import base64

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
from kernel.auth.tokens import signing_key
from kernel.ids import derived
from services.notify.composer import Composer
from services.notify.documents import Documents
from services.notify.domain import Letter, Template, letter_of
from services.notify.tickets import TicketSigner

SEED = base64.b64encode(b"t" * 32).decode()
MAIL_FROM = "Antrean <antrean@example.go.id>"
PUBLIC_URL = "http://127.0.0.1:8080"
ACCOUNT = "acc_reader"
AMOUNT_RUPIAH = 1_050_000
PAY_BY_MS = 1_795_766_400_000
NTPN = "ABCDEFGH12345678"
ZONES = {
    "Asia/Jakarta": ("+07:00", "WIB"),
    "Asia/Makassar": ("+08:00", "WITA"),
    "Asia/Jayapura": ("+09:00", "WIT"),
}


def booking(
    name: str = "one", *, state: str = "confirmed", version: int = 3, timezone: str = "Asia/Makassar"
) -> Booking:
    """
    A family of three on a Monday morning.
    """
    offset, _ = ZONES[timezone]
    return Booking(
        booking_id=derived("rsv", name),
        account_id=ACCOUNT,
        person_ids=("per_1", "per_2", "per_3"),
        slot_id="makassar.20261130.morning.electronic.online",
        seats=(117, 118, 119),
        office_id="makassar",
        office_name="Kantor Imigrasi <Kelas I> TPI Makassar",
        city="Kota Makassar",
        timezone=timezone,
        date="2026-11-30",
        session="morning",
        starts_at=f"2026-11-30T08:00:00{offset}",
        ends_at=f"2026-11-30T10:00:00{offset}",
        service="electronic",
        channel="online",
        pay_by_ms=PAY_BY_MS,
        state=state,
        version=version,
    )


def event_of(template: Template, told: Booking | None = None) -> Event:
    """
    The event that is told with a mail of this kind.
    """
    told = told or booking()
    paid = {"ntpn": NTPN, "amount_rupiah": AMOUNT_RUPIAH, "paid_at_ms": 1}
    events: dict[Template, Event] = {
        Template.ACTIVATION: AccountRegistered(
            account_id=ACCOUNT,
            email="reader@example.id",
            locale="id",
            activation_token="dGhlLXRva2VuLW9mLXRoZS1tYWls",
            activate_by_ms=PAY_BY_MS,
            at_ms=1,
        ),
        Template.AWAITING_PAYMENT: BookingAwaitingPayment(
            booking=told,
            at_ms=1,
            billing_code="812345678901234",
            virtual_account="988101234567890123",
            amount_rupiah=AMOUNT_RUPIAH,
        ),
        Template.WAITLIST_OFFER: BookingAwaitingPayment(
            booking=told,
            at_ms=1,
            billing_code="812345678901234",
            virtual_account="988101234567890123",
            amount_rupiah=AMOUNT_RUPIAH,
            offered="waitlist",
        ),
        Template.CONFIRMED: BookingConfirmed(booking=told, at_ms=1, **paid),
        Template.EXPIRED: BookingExpired(booking=told, at_ms=1),
        Template.CANCELLED: BookingCancelled(booking=told, at_ms=1, reason="holder"),
        Template.PAID_NO_SEAT: BookingPaidNoSeat(booking=told, at_ms=1, **paid),
        Template.DISPLACED: BookingDisplaced(booking=told, at_ms=1, reason="seat_taken"),
        Template.RESCHEDULED: BookingRescheduled(
            booking=told, at_ms=1, moved_to=derived("rsv", "next"), reason="a sentence of Mr. Budi's"
        ),
        Template.NO_SHOW: BookingNoShow(booking=told, at_ms=1, blocked_until_ms=PAY_BY_MS),
        Template.PARDONED: BookingPardoned(booking=told, at_ms=1, reason="incident"),
        Template.INCOMPLETE: BookingIncomplete(booking=told, at_ms=1, reason="family_card"),
        Template.SERVED: BookingServed(booking=told, at_ms=1),
        Template.READY: BookingReady(booking=told, at_ms=1, pick_up_on="2026-12-03"),
    }
    return events[template]


def letter(template: Template, told: Booking | None = None) -> Letter:
    """
    The letter of that event.
    """
    found = letter_of(event_of(template, told))
    if found is None:
        raise AssertionError(f"{template} is told with no mail")
    return found


def signer() -> TicketSigner:
    """
    The tests' signer.
    """
    return TicketSigner(signing_key(SEED, variable="TICKET_SIGNING_KEY"))


def composer() -> Composer:
    """
    The real composer.
    """
    return Composer(Documents(signer()), mail_from=MAIL_FROM, public_url=PUBLIC_URL)
