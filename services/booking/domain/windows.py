"""
Windows as slots carry them, and which one a person wants to see now.

Called by the offices page. Which window releases a day is worked out in `releases.py`.
Nothing here reads a clock.
"""

import datetime as dt
import enum
from collections.abc import Iterable
from typing import Final

import msgspec

ZONE_LABELS: Final = {
    "Asia/Jakarta": "WIB",
    "Asia/Pontianak": "WIB",
    "Asia/Makassar": "WITA",
    "Asia/Jayapura": "WIT",
}
"""What people in Indonesia call their zones. An office of another zone is refused at the seed."""


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
