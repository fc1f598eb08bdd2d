"""
A bank's report of a day: how it is read, and what each of its lines is to us.

Called by the use case that reconciles, with the file's text. A report is taken whole or refused with
the number of its first bad line: half a report would look like money that is missing.
"""

import csv
import datetime as dt
import enum
import re
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from services.payment.domain.settlement import Payment
from services.payment.domain.snap import moment_ms

COLUMNS: Final = ("bank", "settled_on", "ntpn", "billing_code", "journal_number", "amount_rupiah", "paid_at")
LINES_MAX: Final = 200_000
ZONE: Final = dt.timezone(dt.timedelta(hours=7))
"""Banks' days are Jakarta's, wherever the office is."""

_FIELDS: Final = {
    "bank": re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,35}"),
    "settled_on": re.compile(r"2[0-9]{3}-[0-9]{2}-[0-9]{2}"),
    "ntpn": re.compile(r"[0-9A-Z]{16}"),
    "billing_code": re.compile(r"[0-9]{15}"),
    "journal_number": re.compile(r"[0-9A-Za-z-]{1,30}"),
    "amount_rupiah": re.compile(r"[1-9][0-9]{0,12}"),
    "paid_at": re.compile(r"[0-9T:.+Z-]{1,40}"),
}


class BankLine(msgspec.Struct, frozen=True, kw_only=True):
    """
    A payment as the bank lists it.
    """

    line_number: int
    ntpn: str
    billing_code: str
    journal_number: str
    amount_rupiah: int
    paid_at_ms: int
    repeats: int | None
    """The line that names the same NTPN first."""
    says_the_same: bool
    """Whether it adds nothing to the line it repeats."""


class BankDay(msgspec.Struct, frozen=True, kw_only=True):
    """
    What a bank says it took on one day.
    """

    bank: str
    settled_on: dt.date
    lines: tuple[BankLine, ...]

    @property
    def begins_ms(self) -> int:
        """
        The first moment of the day.
        """
        return _begins_ms(self.settled_on)

    @property
    def ends_ms(self) -> int:
        """
        The first moment of the next day.
        """
        return _begins_ms(self.settled_on + dt.timedelta(days=1))


class BadReport(Exception):
    """
    Not a report we can read. Nothing of it was taken.
    """

    def __init__(self, why: str, *, line_number: int) -> None:
        super().__init__(f"line {line_number}: {why}")
        self.line_number = line_number
        self.why = why


class Outcome(enum.StrEnum):
    """
    What a line is to us.
    """

    MATCHED = "matched"
    MISSING_HERE = "missing_here"
    AMOUNT_DIFFERS = "amount_differs"
    DETAILS_DIFFER = "details_differ"
    DUPLICATE = "duplicate"


def read(text: Iterable[str], *, bank: str | None = None, settled_on: dt.date | None = None) -> BankDay:
    """
    A report from the lines of its file. A report without payments cannot name its bank and day: they are given.
    Raises `BadReport`.
    """
    day = (bank, settled_on)
    firsts: dict[str, BankLine] = {}
    lines = []
    for number, row in _rows(text):
        own = (row["bank"], _date(row["settled_on"], number))
        if any(known not in {None, said} for known, said in zip(day, own, strict=True)):
            raise BadReport("another bank or day than before: one report is one bank's one day", line_number=number)
        day = own
        line = _line(number, row, own[1], firsts)
        firsts.setdefault(line.ntpn, line)
        lines.append(line)
    if day[0] is None or day[1] is None:
        raise BadReport("no payments: say whose report it is, and of which day", line_number=1)
    if not _FIELDS["bank"].fullmatch(day[0]) or not _FIELDS["settled_on"].fullmatch(day[1].isoformat()):
        raise BadReport("no bank and day of ours", line_number=1)
    return BankDay(bank=day[0], settled_on=day[1], lines=tuple(lines))


def compare(line: BankLine, payment: Payment, *, bank: str) -> Outcome:
    """
    A line against the payment of its NTPN.
    """
    if (line.billing_code, bank) != (payment.reported_code, payment.bank):
        return Outcome.DETAILS_DIFFER
    return Outcome.MATCHED if line.amount_rupiah == payment.amount_rupiah else Outcome.AMOUNT_DIFFERS


def _rows(text: Iterable[str]) -> Iterator[tuple[int, dict[str, str]]]:
    reader = csv.reader(text, strict=True)
    try:
        for number, fields in enumerate(reader, start=1):
            if number == 1:
                if tuple(fields) != COLUMNS:
                    raise BadReport(f"the columns are {','.join(COLUMNS)}", line_number=1)
                continue
            if number > LINES_MAX + 1:
                raise BadReport(f"more than {LINES_MAX} payments", line_number=number)
            if len(fields) != len(COLUMNS) or reader.line_num != number:
                raise BadReport(f"not {len(COLUMNS)} fields on one line", line_number=number)
            row = dict(zip(COLUMNS, fields, strict=True))
            bad = [name for name, value in row.items() if not _FIELDS[name].fullmatch(value)]
            if bad:
                raise BadReport(f"{bad[0]} is not well formed", line_number=number)
            yield number, row
    except csv.Error as error:
        raise BadReport(f"not CSV: {error}", line_number=reader.line_num) from None
    if reader.line_num == 0:
        raise BadReport("empty", line_number=1)


def _line(number: int, row: dict[str, str], day: dt.date, firsts: dict[str, BankLine]) -> BankLine:
    paid_at_ms = moment_ms(row["paid_at"])
    if paid_at_ms is None:
        raise BadReport("paid_at is no moment with an offset", line_number=number)
    if not _begins_ms(day) <= paid_at_ms < _begins_ms(day + dt.timedelta(days=1)):
        raise BadReport("paid_at is of another day", line_number=number)
    first = firsts.get(row["ntpn"])
    amount_rupiah = int(row["amount_rupiah"])
    return BankLine(
        line_number=number,
        ntpn=row["ntpn"],
        billing_code=row["billing_code"],
        journal_number=row["journal_number"],
        amount_rupiah=amount_rupiah,
        paid_at_ms=paid_at_ms,
        repeats=first.line_number if first else None,
        says_the_same=first is not None
        and (first.billing_code, first.amount_rupiah) == (row["billing_code"], amount_rupiah),
    )


def _date(text: str, number: int) -> dt.date:
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise BadReport("settled_on is no date", line_number=number) from None


def _begins_ms(day: dt.date) -> int:
    return int(dt.datetime.combine(day, dt.time(), tzinfo=ZONE).timestamp()) * 1000
