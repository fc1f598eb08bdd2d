"""
The NIK and the people of sandboxes.
"""

import datetime as dt
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.identity.domain import nik
from services.identity.domain.sandbox import households

districts = st.sampled_from(sorted(nik.PROVINCES)).flatmap(
    lambda province: st.integers(101, 9999).map(lambda rest: f"{province}{rest:04d}")
)
birth_dates = st.dates(dt.date(1920, 1, 1), dt.date(2026, 11, 1))
serials = st.integers(1, 9999)


@given(district=districts, born=birth_dates, woman=st.booleans(), serial=serials)
def test_a_nik_comes_apart_into_what_it_was_composed_of(
    *, district: str, born: dt.date, woman: bool, serial: int
) -> None:
    """
    Women's days are written 40 higher and read 40 lower.
    """
    digits = nik.compose(district=district, birth_date=born, woman=woman, serial=serial)
    parsed = nik.parse(digits)

    assert nik.DIGITS == len(digits)
    assert parsed is not None
    assert (district[:2], woman, born.day, born.month, born.year % 100, serial) == (
        parsed.province,
        parsed.woman,
        parsed.day,
        parsed.month,
        parsed.year_of_century,
        parsed.serial,
    )
    assert born.day + (40 if woman else 0) == int(digits[6:8])


@given(district=districts, born=birth_dates, woman=st.booleans(), serial=serials)
def test_a_well_formed_nik_of_its_owner_warns_of_nothing(
    *, district: str, born: dt.date, woman: bool, serial: int
) -> None:
    """
    The date in it is the birth date, the province is known, the serial is not zero.
    """
    parsed = nik.parse(nik.compose(district=district, birth_date=born, woman=woman, serial=serial))

    assert parsed is not None
    assert () == nik.warnings(parsed, born)
    assert () == nik.warnings(parsed, None)


@given(district=districts, born=birth_dates, other=birth_dates, woman=st.booleans())
def test_another_birth_date_warns_unless_only_the_century_differs(
    *, district: str, born: dt.date, other: dt.date, woman: bool
) -> None:
    """
    The NIK says two digits of the year, so 1926 and 2026 look alike.
    """
    parsed = nik.parse(nik.compose(district=district, birth_date=born, woman=woman, serial=1))
    alike = (born.day, born.month, born.year % 100) == (other.day, other.month, other.year % 100)

    assert parsed is not None
    assert (() if alike else (nik.BIRTH_DATE_DIFFERS,)) == nik.warnings(parsed, other)


@given(st.from_regex(r"\d{16}", fullmatch=True))
def test_sixteen_digits_always_parse_and_foreign_digits_never(digits: str) -> None:
    """
    Odd dates and regions are for life and parse; Arabic-Indic digits are no NIK.
    """
    assert digits.isascii() == (nik.parse(digits) is not None)


@pytest.mark.parametrize(
    "text", ["", "327301010190000", "32730101019000011", "3273010101900001\n", " 327301010190001", "327301010190000x"]
)
def test_anything_but_sixteen_digits_is_no_nik(text: str) -> None:
    """
    The shape is the only reason to refuse one.
    """
    assert nik.parse(text) is None


@pytest.mark.parametrize(
    ("digits", "expected"),
    [
        ("9973010101900001", (nik.REGION_UNKNOWN,)),
        ("3273013102900001", (nik.DATE_IMPOSSIBLE,)),
        ("3273012902000001", ()),
        ("3273012902990001", (nik.DATE_IMPOSSIBLE,)),
        ("3273018001900001", (nik.DATE_IMPOSSIBLE,)),
        ("3273010101900000", (nik.SERIAL_ZERO,)),
        ("0000000000000000", (nik.REGION_UNKNOWN, nik.DATE_IMPOSSIBLE, nik.SERIAL_ZERO)),
    ],
)
def test_what_is_odd_is_named(digits: str, expected: object) -> None:
    """
    A day counts as possible if either century had it.
    """
    parsed = nik.parse(digits)

    assert parsed is not None
    assert expected == nik.warnings(parsed, None)


def test_a_mask_shows_the_region_and_the_serial() -> None:
    """
    Enough for the owner to tell his family apart.
    """
    assert nik.masked("3273010101900001") == "3273********0001"


def test_a_parsed_nik_does_not_show_itself() -> None:
    """
    A repr ends up in logs.
    """
    parsed = nik.parse("3273014101900017")

    assert "3273014101900017" not in repr(parsed)
    assert "1990" not in repr(parsed)


def test_sandbox_people_are_plausible_unique_and_the_same_for_the_same_seed() -> None:
    """
    A rerun finds the same people; another seed finds others.
    """
    crowd = list(itertools.islice(households(seed=7, smallest=1, largest=5), 400))
    again = list(itertools.islice(households(seed=7, smallest=1, largest=5), 400))
    others = list(itertools.islice(households(seed=8, smallest=1, largest=5), 400))
    people = [member for house in crowd for member in house.members]
    parsed = [nik.parse(member.nik) for member in people]

    assert again == crowd
    assert {member.nik for member in people}.isdisjoint(member.nik for house in others for member in house.members)
    assert len(people) == len({member.nik for member in people})
    assert {1, 2, 3, 4, 5} == {len(house.members) for house in crowd}
    assert [()] * len(people) == [nik.warnings(p, m.birth_date) for p, m in zip(parsed, people, strict=True) if p]
    assert all(nik.parse(house.family_card_number) for house in crowd)
    assert {"self"} == {house.members[0].relation for house in crowd}
