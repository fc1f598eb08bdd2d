"""
The day sheet as a file: CSV for a spreadsheet, PDF for the wall. Holds ids, never names.

Called by the routes of the day sheet, off the event loop. Needs no network and no fonts of the
machine; the same day prints the same.
"""

import csv
import datetime as dt
import io
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import msgspec
import typst

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
FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")
"""A spreadsheet takes a cell that begins like this for a formula, and runs it."""


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
    Prints day sheets. One at a time: typst's compiler is not to be entered twice.
    """

    def __init__(self) -> None:
        self._compiler: typst.Compiler | None = None
        self._compiling = threading.Lock()

    def pdf(self, sheet: DaySheet) -> bytes:
        """
        The sheet on as many A4 pages as it takes.
        """
        inputs = {"sheet": msgspec.json.encode(sheet).decode()}
        with self._compiling:
            if self._compiler is None:
                self._compiler = typst.Compiler(str(TEMPLATE), ignore_system_fonts=True)
            page = self._compiler.compile(format="pdf", sys_inputs=inputs)
        if not isinstance(page, bytes):
            raise TypeError("a day sheet is one PDF")
        return page


def as_csv(sheet: DaySheet) -> bytes:
    """
    The sheet for a spreadsheet, with a mark that says it is UTF-8.
    """
    return _csv(COLUMNS, ([getattr(line, column) for column in COLUMNS] for line in sheet.lines))


def _csv(header: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(header)
    writer.writerows([_cell(value) for value in row] for row in rows)
    return text.getvalue().encode("utf-8-sig")


def _cell(value: object) -> str:
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(FORMULA) else text
