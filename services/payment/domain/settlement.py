"""
What a bank's report of a payment means for an invoice.

Called by the use cases that take reports, with the invoice, any earlier payment of the same NTPN
and what the bank said when asked in hand. Every report ends in exactly one verdict; whatever is
not taken as a payment waits to be confirmed, or is kept as an exception for a person to look at.
"""

import enum
import re
from typing import Final

import msgspec

from services.payment.domain.billing import CURRENCY, Line
from services.payment.domain.inquiry import Paid, Said
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


class Report(Paid, frozen=True, kw_only=True):
    """
    A verified notification, or the answer to an inquiry of ours: somebody paid.
    """

    bank: str
    external_id: str
    body_sha256: str

    @property
    def paid(self) -> Paid:
        """
        The payment alone, without how it was told.
        """
        return Paid(**{name: getattr(self, name) for name in Paid.__struct_fields__})

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
    told_code: str | None = None
    """Under which the bank told of it, where a person has matched it with another."""

    @property
    def reported_code(self) -> str:
        """
        The code the bank knows it by.
        """
        return self.told_code or self.billing_code


class Verdict(enum.Enum):
    """
    The outcome of a report. The value is its name in metrics and in the list of exceptions.
    """

    ACCEPTED = "accepted"
    REPEATED = "repeated"
    UNCONFIRMED = "unconfirmed"
    CONTRADICTED = "contradicted"
    UNKNOWN_CODE = "unknown_code"
    PARTIAL = "partial"
    OVERPAID = "overpaid"
    AMOUNT_DIFFERS = "amount_differs"
    """Another currency, or no whole rupiah."""
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
        Whether a person has to look at it now. What is unconfirmed is asked about first.
        """
        return self not in {Verdict.ACCEPTED, Verdict.REPEATED, Verdict.UNCONFIRMED}


_CODES: Final = {
    Verdict.ACCEPTED: Code.SUCCESSFUL,
    Verdict.REPEATED: Code.SUCCESSFUL,
    Verdict.UNCONFIRMED: Code.IN_PROGRESS,
    Verdict.CONTRADICTED: Code.INCONSISTENT,
    Verdict.UNKNOWN_CODE: Code.UNKNOWN_BILL,
    Verdict.PARTIAL: Code.INVALID_AMOUNT,
    Verdict.OVERPAID: Code.INVALID_AMOUNT,
    Verdict.AMOUNT_DIFFERS: Code.INVALID_AMOUNT,
    Verdict.ALREADY_PAID: Code.PAID_BILL,
    Verdict.NTPN_REUSED: Code.DUPLICATE_REFERENCE,
}
_CONFIRMED: Final = {
    Said.SAME: Verdict.ACCEPTED,
    Said.OTHER: Verdict.CONTRADICTED,
    Said.UNKNOWN: Verdict.UNCONFIRMED,
}


def judge(
    report: Report, *, invoice: Invoice | None, known: Payment | None, said: Said, is_given_back: bool = False
) -> Verdict:
    """
    The verdict. `known` is the payment already stored under the report's NTPN, `said` what the bank said when asked;
    `is_given_back` tells that money of this NTPN, which was no payment, goes back to who paid it.

    A closed invoice takes money too, and so does one past its time: whether a place is left for it is
    booking's decision, by the bank's clock.
    """
    if known is not None:
        same = (known.bank, known.reported_code, known.amount_rupiah) == (
            report.bank,
            report.billing_code,
            report.amount_rupiah,
        )
        return Verdict.REPEATED if same else Verdict.NTPN_REUSED
    if invoice is None:
        return Verdict.UNKNOWN_CODE
    if report.amount_rupiah != invoice.amount_rupiah:
        return _wrong_amount(report.amount_rupiah, invoice.amount_rupiah)
    if invoice.state == "paid":
        return Verdict.ALREADY_PAID
    return Verdict.NTPN_REUSED if is_given_back else _CONFIRMED[said]


def _wrong_amount(told_rupiah: int | None, due_rupiah: int) -> Verdict:
    if told_rupiah is None:
        return Verdict.AMOUNT_DIFFERS
    return Verdict.PARTIAL if told_rupiah < due_rupiah else Verdict.OVERPAID
