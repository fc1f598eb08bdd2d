"""
The office's own places: who may have which, on what ground, and how long there is to pay.

Called by the seating use case. Nothing here reads a clock or knows what is free.
"""

import datetime as dt
import enum
from collections.abc import Mapping
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from services.booking.domain.wishes import Why

CHANNELS: Final[Mapping[Why, str]] = {Why.WALK_IN: "walk_in", Why.PRIORITY: "priority", Why.ASSISTED: "online"}
"""Whose places an officer gives. Who is helped to book takes one of those everybody books."""


class Ground(enum.StrEnum):
    """
    Why somebody goes first.
    """

    ELDERLY = "elderly"
    CHILD = "child"
    PREGNANT = "pregnant"
    DISABLED = "disabled"


class Party(msgspec.Struct, frozen=True, kw_only=True):
    """
    Whose booking it is, and who comes. `person_ids` are as many as come.
    """

    account_id: str
    person_ids: tuple[str, ...]


class CounterTerms(msgspec.Struct, frozen=True, kw_only=True):
    """
    What an office may give away by hand, and on which terms.
    """

    caps: Mapping[Why, int]
    """Places an office and day; what is not named is bounded by its channel alone."""
    pay_seconds: int
    """Time to pay, except for walk-ins, who have until the end of their day."""


def pay_by(why: Why, *, now: dt.datetime, day: dt.date, zone: ZoneInfo, pay_seconds: int) -> dt.datetime:
    """
    Until when to pay: never later than the end of the visit's day at the office.
    """
    midnight = _end_of(day, zone)
    if why is Why.WALK_IN:
        return midnight
    return min(now + dt.timedelta(seconds=pay_seconds), midnight)


def pay_by_noted(*, now: dt.datetime, today: dt.date, zone: ZoneInfo, pay_seconds: int) -> dt.datetime:
    """
    Until when people pay who were served without a network: their own day may be over, so the end of the day on
    which it is known, and never less than everybody has.
    """
    return max(_end_of(today, zone), now + dt.timedelta(seconds=pay_seconds))


def _end_of(day: dt.date, zone: ZoneInfo) -> dt.datetime:
    return dt.datetime.combine(day + dt.timedelta(days=1), dt.time(), zone)
