"""
What stands on the name sheet, in which columns and from which template. Good for its day only.

Called by the routes of the name sheet, which hand it to `kernel.sheets`. Nothing of it is kept here.
"""

import datetime as dt
from pathlib import Path
from typing import Final

import msgspec

TEMPLATE: Final = Path(__file__).parent / "templates" / "name_sheet.typ"
COLUMNS: Final = (
    "session",
    "arrive_from",
    "arrive_until",
    "queue_number",
    "service",
    "channel",
    "state",
    "name",
    "nik",
    "booking_id",
)


class NameLine(msgspec.Struct, frozen=True, kw_only=True):
    """
    A queue number of the day and who comes with it. Times are the office's.
    """

    session: str
    arrive_from: str
    arrive_until: str
    queue_number: int
    service: str
    channel: str
    state: str
    """As booking told it last; `processing` is not told."""
    name: str | None
    """None for whom identity does not know: somebody the counter booked for, or who has been erased."""
    nik: str | None
    """Masked, and only where the same name stands more than once on the sheet."""
    booking_id: str


class NameSheet(msgspec.Struct, frozen=True, kw_only=True):
    """
    Who comes to an office today, by session and queue number. `complete` is false where lines were left off.
    """

    office_id: str
    office_name: str
    date: dt.date
    printed_at: str
    complete: bool
    lines: list[NameLine]
