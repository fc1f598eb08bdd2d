"""
What stands on the day sheet, in which columns and from which template. Holds ids, never names.

Called by the routes of the day sheet, which hand it to `kernel.sheets`. The same day prints the same.
"""

import datetime as dt
from pathlib import Path
from typing import Final

import msgspec

TEMPLATE: Final = Path(__file__).parent / "templates" / "day_sheet.typ"
COLUMNS: Final = (
    "session",
    "arrive_from",
    "arrive_until",
    "queue_number",
    "service",
    "channel",
    "state",
    "checked_in_at",
    "person_id",
    "booking_id",
)


class SheetLine(msgspec.Struct, frozen=True, kw_only=True):
    """
    A queue number of the day. Times are the office's.
    """

    session: str
    arrive_from: str
    arrive_until: str
    queue_number: int
    service: str
    channel: str
    state: str
    checked_in_at: str | None
    person_id: str
    booking_id: str


class DaySheet(msgspec.Struct, frozen=True, kw_only=True):
    """
    Who is awaited at an office on a day, by session and queue number. `complete` is false where lines were left off.
    """

    office_id: str
    office_name: str
    date: dt.date
    printed_at: str
    complete: bool
    lines: list[SheetLine]
