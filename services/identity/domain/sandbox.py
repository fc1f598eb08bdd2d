"""
People who do not exist, with NIKs that could: the same seed gives the same people.

Called by `provision` in sandboxes and by tests. Regions are real codes, names are common,
addresses end in `.test`, phones are in a range of the right shape.
"""

import dataclasses
import datetime as dt
import random
from collections.abc import Iterator
from typing import Final

from services.identity.domain import nik

# Words read as words, so they stand in lines and are split.
# ruff: noqa: SIM905
DISTRICTS: Final = tuple(
    "110101 127101 137101 147101 157101 167101 177101 187101 197101 217101 317101 317201 317301 317401 "
    "320101 320401 327301 327501 337401 347101 351501 357801 360301 367101 517101 527101 537101 617101 "
    "627101 637101 647101 657101 717101 727101 737101 747101 757101 760201 817101 827101 917101 920201 "
    "930101 940201 950101 967101".split()
)
MEN: Final = tuple("Agus Bambang Budi Dedi Eko Fajar Hendra Iwan Joko Made Rahmat Slamet Taufik Wahyu Yusuf".split())
WOMEN: Final = tuple("Ani Dewi Endang Fitri Indah Kartini Lestari Maria Nur Putri Rina Sari Siti Wati Yuni".split())
FAMILIES: Final = tuple("Hidayat Kusuma Lubis Nugroho Pratama Santoso Saputra Siregar Wibowo Wijaya Utami".split())
_YOUNGEST: Final = dt.date(2026, 6, 30)
_CHILD_DAYS_MAX: Final = 17 * 365
_ADULT_DAYS: Final = (21 * 365, 70 * 365)
_PARENT: Final = 2
"""The first of a family is the holder, the second the spouse, the others are children."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """
    One of a family.
    """

    nik: str = dataclasses.field(repr=False)
    full_name: str = dataclasses.field(repr=False)
    birth_date: dt.date
    relation: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Household:
    """
    An account holder and the family on his card. The holder is the first member.
    """

    username: str
    email: str
    phone: str
    address: str
    family_card_number: str = dataclasses.field(repr=False)
    members: tuple[Member, ...]


def households(*, seed: int, smallest: int, largest: int) -> Iterator[Household]:
    """
    Households without end, of `smallest` to `largest` people, no NIK twice.
    """
    # Not for secrets: the same seed must give the same people.
    dice = random.Random(f"antrean sandbox {seed}")  # noqa: S311
    taken: set[str] = set()
    number = 0
    while True:
        number += 1
        yield _household(dice, taken, f"sandbox-{seed}-{number}", dice.randint(smallest, largest))


def _household(dice: random.Random, taken: set[str], username: str, size: int) -> Household:
    district = dice.choice(DISTRICTS)
    surname = dice.choice(FAMILIES)
    holder_is_woman = dice.random() < 1 / 2
    members = []
    for position in range(size):
        adult = position < _PARENT
        woman = holder_is_woman ^ (position == 1) if adult else dice.random() < 1 / 2
        born = _YOUNGEST - dt.timedelta(days=dice.randint(*(_ADULT_DAYS if adult else (30, _CHILD_DAYS_MAX))))
        members.append(
            Member(
                nik=_unused_nik(dice, taken, district, born, woman=woman),
                full_name=f"{dice.choice(WOMEN if woman else MEN)} {surname}",
                birth_date=born,
                relation=("self", "spouse")[position] if adult else "child",
            )
        )
    return Household(
        username=username,
        email=f"{username}@example.test",
        phone=f"+62812{dice.randint(10_000_000, 99_999_999)}",
        address=f"Jalan Contoh {dice.randint(1, 200)}",
        family_card_number=f"{district}{dice.randint(1, 28):02d}{dice.randint(1, 12):02d}{dice.randint(5, 26):02d}"
        f"{dice.randint(1, 9999):04d}",
        members=tuple(members),
    )


def _unused_nik(dice: random.Random, taken: set[str], district: str, born: dt.date, *, woman: bool) -> str:
    while True:
        digits = nik.compose(district=district, birth_date=born, woman=woman, serial=dice.randint(1, 9999))
        if digits not in taken:
            taken.add(digits)
            return digits
