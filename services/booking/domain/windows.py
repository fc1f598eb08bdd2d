"""
Windows: when places of which days are released, in an office's own zone.

Called by planning (which window releases a day), by the seed (which week is next) and by
the offices page (what a person sees now). Everything is a moment with a zone; nothing
here reads a clock.
"""

import datetime as dt
import enum
from collections.abc import Iterable
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from services.booking.domain.calendar import WEEKDAYS, WindowPolicy

WEEK: Final = dt.timedelta(days=7)
ZONE_LABELS: Final = {
    "Asia/Jakarta": "WIB",
    "Asia/Pontianak": "WIB",
    "Asia/Makassar": "WITA",
    "Asia/Jayapura": "WIT",
}
"""What people in Indonesia call their zones. An office of another zone is refused at the seed."""


class Release(msgspec.Struct, frozen=True, kw_only=True):
    """
    A window of the policy and the days it releases, both ends included.
    """

    opens_at: dt.datetime
    closes_at: dt.datetime
    first_day: dt.date
    last_day: dt.date


def release_opened_in_week(policy: WindowPolicy, monday: dt.date, zone: ZoneInfo) -> Release:
    """
    The release whose window opens in the calendar week of `monday`.
    """
    opens_weekday, closes_weekday = WEEKDAYS.index(policy.opens_on), WEEKDAYS.index(policy.closes_on)
    days_open = (closes_weekday - opens_weekday) % 7
    if days_open == 0 and policy.closes_at <= policy.opens_at:
        days_open = 7
    opens_on = monday + dt.timedelta(days=opens_weekday)
    first_day = monday + policy.weeks_ahead * WEEK
    return Release(
        opens_at=dt.datetime.combine(opens_on, policy.opens_at, zone),
        closes_at=dt.datetime.combine(opens_on + dt.timedelta(days=days_open), policy.closes_at, zone),
        first_day=first_day,
        last_day=first_day + dt.timedelta(days=6),
    )


def release_of(policy: WindowPolicy, day: dt.date, zone: ZoneInfo) -> Release:
    """
    The release that contains `day`.
    """
    return release_opened_in_week(policy, _monday_of(day) - policy.weeks_ahead * WEEK, zone)


def release_at(policy: WindowPolicy, now: dt.datetime, zone: ZoneInfo) -> Release:
    """
    The release whose window is open at `now`, else the next one. A window is closed at its closing moment.
    """
    monday = _monday_of(now.astimezone(zone).date()) - WEEK
    while (release := release_opened_in_week(policy, monday, zone)).closes_at <= now:
        monday += WEEK
    return release


def next_opening(policy: WindowPolicy, after: dt.datetime, zone: ZoneInfo) -> dt.datetime:
    """
    The first opening of the policy at or after a moment.
    """
    monday = _monday_of(after.astimezone(zone).date())
    while (opens_at := release_opened_in_week(policy, monday, zone).opens_at) < after:
        monday += WEEK
    return opens_at


def _monday_of(day: dt.date) -> dt.date:
    return day - dt.timedelta(days=day.weekday())


class WindowState(enum.StrEnum):
    """
    Whether places can be had.
    """

    NOT_OPEN = "not_open"
    OPEN = "open"
    CLOSED = "closed"


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """
    A window as slots carry it: open from one moment until just before the other.
    """

    opens_at: dt.datetime
    closes_at: dt.datetime


def state_of(span: Span, now: dt.datetime) -> WindowState:
    """
    Where a window stands at `now`.
    """
    if now < span.opens_at:
        return WindowState.NOT_OPEN
    return WindowState.OPEN if now < span.closes_at else WindowState.CLOSED


def span_to_show(spans: Iterable[Span], now: dt.datetime) -> Span | None:
    """
    Of an office's windows the one a person wants to see: open, else the next to open, else the last that closed.
    """
    by_state: dict[WindowState, list[Span]] = {state: [] for state in WindowState}
    for span in spans:
        by_state[state_of(span, now)].append(span)
    if by_state[WindowState.OPEN]:
        return max(by_state[WindowState.OPEN], key=lambda span: span.closes_at)
    if by_state[WindowState.NOT_OPEN]:
        return min(by_state[WindowState.NOT_OPEN], key=lambda span: span.opens_at)
    return max(by_state[WindowState.CLOSED], key=lambda span: span.closes_at, default=None)
