"""
Seeding: offices, holidays, the calendar and kinds of booklets from files, checked line by line before any is loaded.

Called by the seed command. A file that cannot be used stops the seed with its name and line.
"""

import csv
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

import msgspec

from kernel.postgres import Connection
from services.booking.domain.calendar import Calendar, Key
from services.booking.domain.plan import Office
from services.booking.domain.policies import BadCalendar
from services.booking.domain.windows import ZONE_LABELS
from services.booking.stores import booklets as booklet_store
from services.booking.stores import offices as store
from services.booking.stores.offices import Holiday
from services.booking.use_cases.planning import tell

T = TypeVar("T")
OFFICES_MAX = 10_000


class BadSeed(Exception):
    """
    A seed file cannot be used; the message says where and why.
    """


class Booklet(msgspec.Struct, frozen=True, kw_only=True):
    """
    Which kind of booklet a service takes.
    """

    service: Key
    booklet: Key


class Seed(msgspec.Struct, frozen=True, kw_only=True):
    """
    What the files say.
    """

    offices: tuple[Office, ...]
    holidays: tuple[Holiday, ...]
    calendar: Calendar
    booklets: Mapping[str, str] | None = None
    """By service the kind it takes; None leaves what is loaded."""


def read_seed(*, offices: Path, holidays: Path, calendar: Path, booklets: Path | None = None) -> Seed:
    """
    Read and check all files. Raises `BadSeed`.
    """
    seed = Seed(
        offices=tuple(_rows(offices, _office)),
        holidays=tuple(_rows(holidays, _holiday)),
        calendar=_calendar(calendar),
        booklets=None if booklets is None else _booklets(booklets),
    )
    if not 0 < len(seed.offices) <= OFFICES_MAX:
        raise BadSeed(f"{offices}: must name 1..{OFFICES_MAX} offices, names {len(seed.offices)}")
    if len({office.office_id for office in seed.offices}) != len(seed.offices):
        raise BadSeed(f"{offices}: an office_id stands there twice")
    return seed


async def load(connection: Connection, seed: Seed) -> int:
    """
    Write it all. Loading the same again changes nothing. Returns how many offices were new or changed.
    """
    if seed.booklets is not None:
        await tell(connection, await booklet_store.put_kinds(connection, seed.booklets))
    return await store.put(connection, offices=seed.offices, holidays=seed.holidays, calendar=seed.calendar)


def _rows(path: Path, convert: Callable[[dict[str, str]], T]) -> Iterator[T]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            for number, row in enumerate(csv.DictReader(file), start=2):
                try:
                    yield convert(row)
                except (msgspec.ValidationError, ValueError, KeyError) as error:
                    raise BadSeed(f"{path}, line {number}: {error}") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadSeed(f"{path}: {error}") from error


def _office(row: dict[str, str]) -> Office:
    office = msgspec.convert(row, Office, strict=False)
    if office.timezone not in ZONE_LABELS:
        raise ValueError(f"timezone must be one of {', '.join(ZONE_LABELS)}, got {office.timezone}")
    if office.daily_quota <= 0:
        raise ValueError(f"daily_quota must be positive, got {office.daily_quota}")
    return office


def _holiday(row: dict[str, str]) -> Holiday:
    return msgspec.convert({"day": row["date"], "name": row["name"], "kind": row["kind"]}, Holiday)


def _booklets(path: Path) -> dict[str, str]:
    kinds: dict[str, str] = {}
    for row in _rows(path, _booklet):
        if row.service in kinds:
            raise BadSeed(f"{path}: service {row.service} stands there twice")
        kinds[row.service] = row.booklet
    return kinds


def _booklet(row: dict[str, str]) -> Booklet:
    return msgspec.convert(row, Booklet)


def _calendar(path: Path) -> Calendar:
    try:
        return msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), Calendar)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError, BadCalendar) as error:
        raise BadSeed(f"{path}: {error}") from error
