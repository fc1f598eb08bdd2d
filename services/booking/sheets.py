"""
The day sheet as a file: CSV for a spreadsheet, PDF for the wall. Holds ids, never names.

Called by the routes of the day sheet, off the event loop. The same day prints the same.
"""

import datetime as dt
from pathlib import Path
from typing import Final

import msgspec

from kernel.sheets import Printer, csv_of

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


class SheetPrinter:
    """
    Prints day sheets.
    """

    def __init__(self) -> None:
        self._printer = Printer(TEMPLATE)

    def pdf(self, sheet: DaySheet) -> bytes:
        """
        The sheet on as many A4 pages as it takes.
        """
        return self._printer.pdf(sheet=msgspec.json.encode(sheet).decode())


def as_csv(sheet: DaySheet) -> bytes:
    """
    The sheet for a spreadsheet.
    """
    return csv_of(COLUMNS, ([getattr(line, column) for column in COLUMNS] for line in sheet.lines))
