"""
What a service costs on a day.

Called by use cases that issue invoices and load fees. A day is a calendar day of the office, as the
slot's date is one: what day it is anywhere else does not matter.
"""

import itertools
from collections.abc import Sequence

import msgspec

from services.payment.domain.billing import Line


class Tariff(msgspec.Struct, frozen=True, kw_only=True):
    """
    A fee from a day on, until its last day or the next row of the same service and validity.
    """

    service: str
    validity_years: int
    """0 where a fee has no validity, as the surcharge for the same day."""
    amount_rupiah: int
    valid_from: str
    """YYYY-MM-DD."""
    valid_until: str | None = None
    """The last day, YYYY-MM-DD; None until the next row."""


class ServiceItem(msgspec.Struct, frozen=True, kw_only=True):
    """
    A part of a slot's service, charged by itself.
    """

    service: str
    """As slots name it."""
    item: str
    """As tariffs name it."""
    validity_years: int


def fee(tariffs: Sequence[Tariff], *, service: str, validity_years: int, date: str) -> Tariff | None:
    """
    The one tariff valid on `date`, or None where there is none.
    """
    begun = [
        tariff
        for tariff in tariffs
        if (tariff.service, tariff.validity_years) == (service, validity_years) and tariff.valid_from <= date
    ]
    newest = max(begun, key=lambda tariff: tariff.valid_from, default=None)
    over = newest is not None and newest.valid_until is not None and newest.valid_until < date
    return None if over else newest


def priced(
    items: Sequence[ServiceItem], tariffs: Sequence[Tariff], *, service: str, date: str, applicants: int
) -> tuple[Line, ...] | None:
    """
    The lines of an invoice, or None where the service or a fee of it is not known: half a price is none.
    """
    own = [part for part in items if part.service == service]
    parts = sorted(own, key=lambda part: (part.validity_years == 0, part.item))
    fees = [fee(tariffs, service=part.item, validity_years=part.validity_years, date=date) for part in parts]
    lines = tuple(_line(each, applicants) for each in fees if each is not None)
    return lines if lines and len(lines) == len(parts) else None


def overlap(tariffs: Sequence[Tariff]) -> tuple[Tariff, Tariff] | None:
    """
    Two fees of one service and validity that are both valid on some day, if there are such.
    """
    in_order = sorted(tariffs, key=lambda tariff: (tariff.service, tariff.validity_years, tariff.valid_from))
    for one, following in itertools.pairwise(in_order):
        if (one.service, one.validity_years) != (following.service, following.validity_years):
            continue
        if one.valid_from == following.valid_from or (one.valid_until or "") >= following.valid_from:
            return one, following
    return None


def _line(tariff: Tariff, applicants: int) -> Line:
    return Line(
        service=tariff.service,
        validity_years=tariff.validity_years,
        applicants=applicants,
        unit_rupiah=tariff.amount_rupiah,
        amount_rupiah=tariff.amount_rupiah * applicants,
    )
