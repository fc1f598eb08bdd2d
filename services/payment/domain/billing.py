"""
Billing codes, virtual accounts and the lines of an invoice.

Called by use cases that issue invoices. A code is a running number, scrambled so that the
next one cannot be guessed from the last, and closed by a check digit, so that a typing
error at a teller's desk meets no other person's invoice.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

CURRENCY: Final = "IDR"

_KIND_DIGIT: Final = "8"
"""First digit of a SIMPONI code for revenue that is not a tax."""
_NUMBERS: Final = 10**13
_STEP: Final = 7_368_787_053_481
"""Shares no factor with 10**13, so multiplying by it permutes the numbers: distinct stays distinct."""
_VIRTUAL_ACCOUNT_PREFIX: Final = "98810"

_DAMM: Final = (
    (0, 3, 1, 7, 5, 9, 8, 6, 4, 2),
    (7, 0, 9, 2, 1, 5, 4, 8, 6, 3),
    (4, 2, 0, 6, 8, 7, 1, 3, 5, 9),
    (1, 7, 5, 0, 9, 8, 3, 4, 2, 6),
    (6, 1, 2, 3, 0, 4, 5, 9, 7, 8),
    (3, 6, 7, 4, 2, 0, 9, 5, 8, 1),
    (5, 8, 6, 9, 7, 2, 0, 1, 3, 4),
    (8, 9, 4, 5, 3, 6, 2, 0, 1, 7),
    (9, 4, 3, 8, 6, 1, 7, 2, 0, 5),
    (2, 5, 8, 1, 4, 3, 6, 7, 9, 0),
)
"""Damm's quasigroup (2004): catches every single wrong digit and every swap of neighbours."""


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """
    One row of an invoice.
    """

    service: str
    validity_years: int
    applicants: int
    unit_rupiah: int
    amount_rupiah: int


def check_digit(digits: str) -> str:
    """
    The digit that makes `digits` plus itself valid.
    """
    state = 0
    for digit in digits:
        state = _DAMM[state][int(digit)]
    return str(state)


def is_valid(code: str) -> bool:
    """
    Whether `code` has the right length and check digit.
    """
    return len(code) == 15 and code.isascii() and code.isdigit() and check_digit(code) == "0"  # noqa: PLR2004 - SIMPONI


def billing_code(number: int) -> str:
    """
    The 15-digit code of running `number`. Distinct for 10**13 numbers.
    """
    body = f"{_KIND_DIGIT}{_scrambled(number):013d}"
    return body + check_digit(body)


def virtual_account(number: int) -> str:
    """
    The 18-digit account that stands for the same invoice at a bank.
    """
    return f"{_VIRTUAL_ACCOUNT_PREFIX}{_scrambled(number):013d}"


def total_rupiah(lines: Sequence[Line]) -> int:
    """
    The sum of an invoice's lines.
    """
    return sum(line.amount_rupiah for line in lines)


def _scrambled(number: int) -> int:
    return number * _STEP % _NUMBERS
