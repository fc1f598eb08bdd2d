"""
The forms in which banks tell of payments: the pushed notification, our inquiry, its answer.

Used by the callback route, the bank adapter and the sandbox bank. Fields nobody knows are
passed over: a signature covers them, nobody reads them.
"""

from typing import Annotated, Final

import msgspec

from services.payment.domain.inquiry import Paid
from services.payment.domain.snap import moment_ms

FOUND: Final = ("2002600", "Successful")
NOT_FOUND: Final = ("4042601", "Transaction Not Found")
NOT_YOURS: Final = ("4012600", "Unauthorized")
NOT_READ: Final = ("4002601", "Invalid Field Format")
"""Codes of SNAP's service 26, transfer to a virtual account: inquiry of its status."""

JOURNAL_NUMBER: Final = "^[0-9A-Za-z-]{1,30}$"
_CENTURY_BEGINS_MS: Final = 946_684_800_000
_CENTURY_ENDS_MS: Final = 4_102_444_800_000
BillingCode = Annotated[str, msgspec.Meta(pattern="^[0-9]{15}$")]
Journal = Annotated[str, msgspec.Meta(pattern=JOURNAL_NUMBER)]


class Amount(msgspec.Struct, frozen=True, kw_only=True):
    """
    An amount as banks write it: `350000.00`.
    """

    value: Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,13}\.[0-9]{2}$")]
    currency: Annotated[str, msgspec.Meta(pattern="^[A-Z]{3}$")]


class Notification(msgspec.Struct, frozen=True, kw_only=True):
    """
    A bank's report of a payment. Banks may add fields; the signature covers them, nobody reads them.
    """

    billing_code: BillingCode
    amount: Amount
    ntpn: Annotated[str, msgspec.Meta(pattern="^[0-9A-Z]{16}$")]
    journal_number: Journal
    paid_at: Annotated[str, msgspec.Meta(max_length=40)]


class Inquiry(msgspec.Struct, frozen=True, kw_only=True):
    """
    Which payment a bank is asked about.
    """

    billing_code: BillingCode
    journal_number: Journal


class InquiryAnswer(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    rename={"code": "responseCode", "message": "responseMessage"},
):
    """
    A bank's answer to an inquiry: the payment it knows, or none.
    """

    code: str
    message: str
    payment: Notification | None = None


def paid_of(told: Notification) -> Paid | None:
    """
    What was told, or None when its moment has no offset, is none, or is of another century.
    """
    paid_at_ms = moment_ms(told.paid_at)
    if paid_at_ms is None or not _CENTURY_BEGINS_MS <= paid_at_ms < _CENTURY_ENDS_MS:
        return None
    return Paid(
        billing_code=told.billing_code,
        amount_value=told.amount.value,
        currency=told.amount.currency,
        ntpn=told.ntpn,
        journal_number=told.journal_number,
        paid_at_ms=paid_at_ms,
    )
