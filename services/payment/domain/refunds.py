"""
Money given back: who may do what with a refund, and when.

Called by use cases with the refund as it stands. A refund is asked for by one and approved by another,
then told to the treasury in a file; or it is rejected, and the money stays.
"""

import datetime as dt
import enum
from typing import Final

import msgspec

ROOM_ITSELF: Final = "payment"
"""Who asks where nobody did: money came for a booking without places."""


class RefundState(enum.StrEnum):
    """
    Where a refund stands. Rejected and reported are ends.
    """

    REQUESTED = "requested"
    APPROVED = "approved"
    REJECTED = "rejected"
    REPORTED = "reported"


COME_FROM: Final = {
    RefundState.APPROVED: frozenset({RefundState.REQUESTED}),
    RefundState.REJECTED: frozenset({RefundState.REQUESTED, RefundState.APPROVED}),
    RefundState.REPORTED: frozenset({RefundState.APPROVED}),
}
"""Which states a step starts from."""


class Refund(msgspec.Struct, frozen=True, kw_only=True):
    """
    One request to give one payment back, whole or in part.
    """

    refund_id: str
    booking_id: str | None
    """None where the money came under a code nobody issued."""
    account_id: str | None
    ntpn: str
    bank: str
    journal_number: str
    billing_code: str
    paid_rupiah: int
    amount_rupiah: int
    reason: str
    state: RefundState
    requested_by: str
    requested_at: dt.datetime
    approved_by: str | None
    approved_at: dt.datetime | None
    rejected_by: str | None
    rejected_at: dt.datetime | None
    batch_id: str | None
    reported_at: dt.datetime | None
    timezone: str
    """The office's."""
    exception_number: int | None = None
    """Of the list of exceptions, where the money was no payment."""


class StandingPayment(msgspec.Struct, frozen=True, kw_only=True):
    """
    The payment that stands for a booking.
    """

    ntpn: str
    account_id: str
    amount_rupiah: int
    moved_to: str | None
    """The booking whose money it has become."""


class Refusal(enum.Enum):
    """
    Why a refund is not asked for, approved or rejected.
    """

    UNKNOWN = "unknown"
    NOTHING_PAID = "nothing_paid"
    MOVED = "moved"
    ABOVE_PAYMENT = "above_payment"
    ALREADY_ASKED = "already_asked"
    SAME_PERSON = "same_person"
    NOT_NOW = "not_now"


def may_ask(paid: StandingPayment | None, *, booking_id: str, amount_rupiah: int | None) -> Refusal | None:
    """
    None where the money is there, is this booking's, and is enough.
    """
    if paid is None:
        return Refusal.NOTHING_PAID
    if paid.moved_to not in {None, booking_id}:
        return Refusal.MOVED
    return Refusal.ABOVE_PAYMENT if (amount_rupiah or 0) > paid.amount_rupiah else None


def may_become(refund: Refund, state: RefundState, *, actor: str) -> Refusal | None:
    """
    None where `actor` may take this step now.
    """
    if refund.state not in COME_FROM[state]:
        return Refusal.NOT_NOW
    if state is RefundState.APPROVED and refund.requested_by == actor:
        return Refusal.SAME_PERSON
    return None
