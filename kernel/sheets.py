"""
Tables as files: CSV that no spreadsheet runs, and PDF.

Called by rooms that hand out sheets, printing off the event loop. Needs no network and no
fonts of the machine; the same input prints the same. Knows nothing of what it prints.
"""

import csv
import io
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import msgspec
import typst

FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")
"""A spreadsheet takes a cell that begins like this for a formula, and runs it."""


class Printer:
    """
    Prints sheets with one template. One at a time: typst's compiler is not to be entered twice.
    """

    def __init__(self, template: Path) -> None:
        self._template = template
        self._compiler: typst.Compiler | None = None
        self._compiling = threading.Lock()

    def pdf(self, sheet: msgspec.Struct) -> bytes:
        """
        As many pages as it takes. The template reads the sheet as JSON from its input `sheet`.
        """
        inputs = {"sheet": msgspec.json.encode(sheet).decode()}
        with self._compiling:
            if self._compiler is None:
                self._compiler = typst.Compiler(str(self._template), ignore_system_fonts=True)
            page = self._compiler.compile(format="pdf", sys_inputs=inputs)
        if not isinstance(page, bytes):
            raise TypeError("a sheet is one PDF")
        return page


def csv_of(columns: Sequence[str], lines: Iterable[object]) -> bytes:
    """
    Lines for a spreadsheet, a column per attribute, with a mark that says it is UTF-8.
    """
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(columns)
    writer.writerows([_cell(getattr(line, column)) for column in columns] for line in lines)
    return text.getvalue().encode("utf-8-sig")


def _cell(value: object) -> str:
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(FORMULA) else text
