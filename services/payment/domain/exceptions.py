"""
Money that is no payment, and how it ends: given back, matched with an invoice, or dismissed.

Called by the use case that resolves, with what is stored, what the bank says being asked and what its
reports of days say. Money goes nowhere on a push alone, here as everywhere; and what a bank says it has
taken is not dismissed.
"""

import enum
import re
from typing import Final

import msgspec

from services.payment.domain.billing import CURRENCY
from services.payment.domain.inquiry import Paid, Said
from services.payment.domain.settlement import Invoice

_WHOLE_RUPIAH: Final = re.compile(r"([0-9]{1,13})\.00")


class End(enum.StrEnum):
    """
    The ways out.
    """

    REFUND = "refund"
    """A refund of all of it is asked for; somebody else approves."""
    MATCHED = "matched"
    """It pays an invoice in full, and is a payment from now on."""
    DISMISSED = "dismissed"
    """No money moved, or it has had its end under another row."""


class Told(enum.Enum):
    """
    What the bank's reports of days say of this NTPN.
    """

    SAME = "same"
    OTHER = "other"
    """They name it with another code or amount: that line has had an end of its own."""
    ABSENT = "absent"
    """The report of its day is reconciled, and does not name it."""
    NOT_YET = "not_yet"
    """The report of its day is not here."""


class KeptReport(Paid, frozen=True, kw_only=True):
    """
    A report that is no payment, as it was kept.
    """

    number: int
    bank: str
    external_id: str
    reason: str
    is_resolved: bool

    @property
    def paid(self) -> Paid:
        """
        What the bank told, to compare with what it says now.
        """
        return Paid(**{name: getattr(self, name) for name in Paid.__struct_fields__})

    @property
    def amount_rupiah(self) -> int | None:
        """
        Whole rupiah, or None when it is no such amount.
        """
        match = _WHOLE_RUPIAH.fullmatch(self.amount_value)
        return (int(match[1]) or None) if match and self.currency == CURRENCY else None


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """
    What is known of the money besides the report.
    """

    said: Said
    """By the bank, being asked just now."""
    told: Told
    is_taken: bool
    """Its NTPN stands for a payment."""
    is_given_back: bool
    """A refund under its NTPN is on its way or reported."""

    @property
    def is_confirmed(self) -> bool:
        """
        Whether the bank stands by the report.
        """
        return self.told is Told.SAME or (self.said is Said.SAME and self.told is not Told.OTHER)


class Refusal(enum.Enum):
    """
    Why an exception does not end this way.
    """

    UNKNOWN = "unknown"
    RESOLVED = "resolved"
    NOT_RUPIAH = "not_rupiah"
    MONEY_TAKEN = "money_taken"
    GIVEN_BACK = "given_back"
    UNCONFIRMED = "unconfirmed"
    CODE_UNKNOWN = "code_unknown"
    INVOICE_PAID = "invoice_paid"
    OTHER_AMOUNT = "other_amount"
    MONEY_MOVED = "money_moved"
    DAY_NOT_SETTLED = "day_not_settled"


def may_end(kept: KeptReport, end: End, known: Evidence, *, invoice: Invoice | None = None) -> Refusal | None:
    """
    None where the report may end this way. `invoice` is the one it is to be matched with.
    """
    if kept.is_resolved:
        return Refusal.RESOLVED
    if end is End.DISMISSED:
        return _may_dismiss(kept, known)
    refusal = _may_use(kept, known)
    if refusal is None and end is End.MATCHED:
        return _may_match(kept, invoice)
    return refusal


def _may_use(kept: KeptReport, known: Evidence) -> Refusal | None:
    if known.is_taken:
        return Refusal.MONEY_TAKEN
    if known.is_given_back:
        return Refusal.GIVEN_BACK
    if kept.amount_rupiah is None:
        return Refusal.NOT_RUPIAH
    return None if known.is_confirmed else Refusal.UNCONFIRMED


def _may_match(kept: KeptReport, invoice: Invoice | None) -> Refusal | None:
    if invoice is None:
        return Refusal.CODE_UNKNOWN
    if invoice.state == "paid":
        return Refusal.INVOICE_PAID
    return None if invoice.amount_rupiah == kept.amount_rupiah else Refusal.OTHER_AMOUNT


def _may_dismiss(kept: KeptReport, known: Evidence) -> Refusal | None:
    if known.is_taken or known.is_given_back:
        return None
    if kept.amount_rupiah is not None and known.is_confirmed:
        return Refusal.MONEY_MOVED
    return Refusal.DAY_NOT_SETTLED if known.told is Told.NOT_YET else None
