"""
What a bank's report of a payment means for an invoice.

Called by the use case that settles a callback, with the invoice and any earlier payment of
the same NTPN in hand. Every report ends in exactly one verdict; whatever is not taken as a
payment is kept as an exception for a person to look at.
"""

import enum
import re
from typing import Final

import msgspec

from services.payment.domain.billing import CURRENCY, Line
from services.payment.domain.snap import Code

_WHOLE_RUPIAH: Final = re.compile(r"([0-9]{1,13})\.00")


class Invoice(msgspec.Struct, frozen=True, kw_only=True):
    """
    What a booking owes.
    """

    booking_id: str
    account_id: str
    billing_code: str
    virtual_account: str
    amount_rupiah: int
    lines: tuple[Line, ...]
    pay_by_ms: int
    timezone: str
    state: str
    """open, paid or closed."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """
    A verified notification: somebody paid.
    """

    bank: str
    external_id: str
    body_sha256: str
    billing_code: str
    amount_value: str
    currency: str
    ntpn: str
    journal_number: str
    paid_at_ms: int

    @property
    def amount_rupiah(self) -> int | None:
        """
        Whole rupiah, or None when it is no such amount.
        """
        match = _WHOLE_RUPIAH.fullmatch(self.amount_value)
        return int(match[1]) if match and self.currency == CURRENCY else None


class Payment(msgspec.Struct, frozen=True, kw_only=True):
    """
    Money that came, once.
    """

    ntpn: str
    bank: str
    journal_number: str
    billing_code: str
    booking_id: str
    amount_rupiah: int
    paid_at_ms: int


class Verdict(enum.Enum):
    """
    The outcome of a report. The value is its name in metrics and in the list of exceptions.
    """

    ACCEPTED = "accepted"
    REPEATED = "repeated"
    UNKNOWN_CODE = "unknown_code"
    AMOUNT_DIFFERS = "amount_differs"
    ALREADY_PAID = "already_paid"
    NTPN_REUSED = "ntpn_reused"

    @property
    def code(self) -> Code:
        """
        What the bank is told.
        """
        return _CODES[self]

    @property
    def is_exception(self) -> bool:
        """
        Whether a person has to look at it.
        """
        return self not in {Verdict.ACCEPTED, Verdict.REPEATED}


_CODES: Final = {
    Verdict.ACCEPTED: Code.SUCCESSFUL,
    Verdict.REPEATED: Code.SUCCESSFUL,
    Verdict.UNKNOWN_CODE: Code.UNKNOWN_BILL,
    Verdict.AMOUNT_DIFFERS: Code.INVALID_AMOUNT,
    Verdict.ALREADY_PAID: Code.PAID_BILL,
    Verdict.NTPN_REUSED: Code.DUPLICATE_REFERENCE,
}


def judge(report: Report, *, invoice: Invoice | None, known: Payment | None) -> Verdict:
    """
    The verdict. `known` is the payment already stored under the report's NTPN.

    A closed invoice takes money too: whether a place is left for it is booking's decision.
    """
    if known is not None:
        same = (known.bank, known.billing_code, known.amount_rupiah) == (
            report.bank,
            report.billing_code,
            report.amount_rupiah,
        )
        return Verdict.REPEATED if same else Verdict.NTPN_REUSED
    if invoice is None:
        return Verdict.UNKNOWN_CODE
    if report.amount_rupiah != invoice.amount_rupiah:
        return Verdict.AMOUNT_DIFFERS
    return Verdict.ALREADY_PAID if invoice.state == "paid" else Verdict.ACCEPTED
