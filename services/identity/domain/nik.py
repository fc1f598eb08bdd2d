"""
The NIK: 16 digits that say where and when somebody was first registered.

Called by use cases and by the sandbox's generator. A NIK never changes, and its date or
region may be wrong for life: what looks odd is a warning for an officer, never a refusal.

Layout: province 2, regency 2, district 2, birth date DDMMYY (women: day + 40), serial 4.
"""

import dataclasses
import datetime as dt
import re
from typing import Final

DIGITS: Final = 16
WOMEN_DAY_OFFSET: Final = 40
_SHAPE: Final = re.compile(r"[0-9]{16}")

# Words read as words, so they stand in lines and are split.
# ruff: noqa: SIM905
PROVINCES: Final = frozenset(
    "11 12 13 14 15 16 17 18 19 21 31 32 33 34 35 36 51 52 53 61 62 63 64 65"
    " 71 72 73 74 75 76 81 82 91 92 93 94 95 96".split()
)
"""The Ministry of Home Affairs' codes in use. Codes of the past are legal too, so an unknown one only warns."""

REGION_UNKNOWN: Final = "nik_region_unknown"
DATE_IMPOSSIBLE: Final = "nik_date_impossible"
BIRTH_DATE_DIFFERS: Final = "nik_birth_date_differs"
SERIAL_ZERO: Final = "nik_serial_zero"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Nik:
    """
    A NIK taken apart. Not shown by repr: it must not reach a log by accident.
    """

    digits: str = dataclasses.field(repr=False)
    province: str
    woman: bool
    day: int = dataclasses.field(repr=False)
    month: int = dataclasses.field(repr=False)
    year_of_century: int = dataclasses.field(repr=False)
    serial: int = dataclasses.field(repr=False)


def parse(text: str) -> Nik | None:
    """
    The NIK, or None for anything but 16 ASCII digits.
    """
    if not _SHAPE.fullmatch(text):
        return None
    day = int(text[6:8])
    woman = day > WOMEN_DAY_OFFSET
    return Nik(
        digits=text,
        province=text[0:2],
        woman=woman,
        day=day - WOMEN_DAY_OFFSET if woman else day,
        month=int(text[8:10]),
        year_of_century=int(text[10:12]),
        serial=int(text[12:16]),
    )


def compose(*, district: str, birth_date: dt.date, woman: bool, serial: int) -> str:
    """
    The NIK of somebody registered in `district` (6 digits) with `serial` (1..9999).
    """
    day = birth_date.day + (WOMEN_DAY_OFFSET if woman else 0)
    return f"{district}{day:02d}{birth_date:%m%y}{serial:04d}"


def warnings(nik: Nik, birth_date: dt.date | None) -> tuple[str, ...]:
    """
    What an officer should look at, as codes that say nothing about the person.
    """
    found = []
    if nik.province not in PROVINCES:
        found.append(REGION_UNKNOWN)
    if not _possible(nik):
        found.append(DATE_IMPOSSIBLE)
    if birth_date is not None and not _same_day(nik, birth_date):
        found.append(BIRTH_DATE_DIFFERS)
    if nik.serial == 0:
        found.append(SERIAL_ZERO)
    return tuple(found)


def masked(digits: str) -> str:
    """
    Enough to recognise one's own, too little for anybody else: 3273********0001.
    """
    return f"{digits[:4]}{'*' * (len(digits) - 8)}{digits[-4:]}"


def _possible(nik: Nik) -> bool:
    # The century is not said, so a day counts as possible if either century had it.
    return any(_is_date(century + nik.year_of_century, nik.month, nik.day) for century in (1900, 2000))


def _is_date(year: int, month: int, day: int) -> bool:
    try:
        dt.date(year, month, day)
    except ValueError:
        return False
    return True


def _same_day(nik: Nik, birth_date: dt.date) -> bool:
    return (nik.day, nik.month, nik.year_of_century) == (birth_date.day, birth_date.month, birth_date.year % 100)
