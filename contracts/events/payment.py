"""
Money: told to booking.
"""

from typing import ClassVar

from contracts.events.base import Event
from contracts.topics import PAYMENT_EVENTS, Topic


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


class PaymentRefunded(Event, frozen=True, kw_only=True):
    """
    The treasury was told to give money back to whoever paid for a booking.
    """

    TYPE: ClassVar[str] = "payment.refunded.v1"
    TOPIC: ClassVar[Topic] = PAYMENT_EVENTS

    booking_id: str
    ntpn: str
    amount_rupiah: int
    """What is given back: all of the payment or a part."""
    at_ms: int
