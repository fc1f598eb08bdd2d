"""
Splitting a day's quota never adds or loses a place, whatever the calendar says.
"""

import datetime as dt
import itertools
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.booking.domain.calendar import Calendar, Calendars, Session, Shares
from services.booking.domain.plan import cells_of, days_between, slots_of, split
from services.booking.domain.policies import BadCalendar
from services.booking.use_cases.seeding import BadSeed, Seed, read_seed

SEED = Path(__file__).parents[2] / "deploy" / "seed"
FILES = {"offices": SEED / "offices.csv", "holidays": SEED / "holidays.csv", "calendar": SEED / "calendar.toml"}
CALENDAR = read_seed(**FILES).calendar
PLACES_A_DAY = 19_184


@pytest.fixture(scope="module")
def seed() -> Seed:
    return read_seed(**FILES)


weights = st.lists(st.integers(0, 10**9), min_size=1, max_size=40).filter(any)


@given(quota=st.integers(0, 100_000), parts=weights)
def test_the_parts_add_up_and_each_is_within_one_of_its_share(quota: int, parts: list[int]) -> None:
    """
    Largest remainder: nobody is rounded by a whole place, and nothing without weight gets one.
    """
    shares = split(quota, parts)

    assert quota == sum(shares)
    for share, weight in zip(shares, parts, strict=True):
        assert abs(share * sum(parts) - quota * weight) < sum(parts)
        assert share == 0 or weight > 0


@given(quota=st.integers(0, 1000), parts=weights)
def test_more_weight_never_means_fewer_places(quota: int, parts: list[int]) -> None:
    """
    A larger part is never smaller than a lesser one.
    """
    shares = sorted(zip(parts, split(quota, parts), strict=True))

    assert all(a[0] == b[0] or a[1] <= b[1] for a, b in itertools.pairwise(shares))


@pytest.mark.parametrize(("quota", "parts"), [(5, [0, 0]), (5, [1, -1]), (-1, [1])])
def test_what_cannot_be_split_is_refused(quota: int, parts: list[int]) -> None:
    """
    Neither nothing to divide by nor less than nothing to divide.
    """
    with pytest.raises(ValueError, match="cannot split"):
        split(quota, parts)


shares_of_ten = st.lists(st.integers(1, 5000), min_size=1, max_size=6).map(
    lambda parts: {f"k{n}": part / 10_000 for n, part in enumerate([*parts, max(0, 10_000 - sum(parts))]) if part}
)


@given(quota=st.integers(1, 5000), service=shares_of_ten, channel=shares_of_ten)
def test_a_day_adds_up_to_its_quota_for_any_shares(
    quota: int, service: dict[str, float], channel: dict[str, float]
) -> None:
    """
    Sessions x services x channels of any calendar that is accepted.
    """
    try:
        other = msgspec.structs.replace(CALENDAR, shares=Shares(service=service, channel=channel))
    except BadCalendar:
        return

    assert quota == sum(cell.capacity for cell in cells_of(other, quota))


def test_the_real_offices_offer_19184_places_a_day(seed: Seed) -> None:
    """
    The size of a national day, split over about 18 slots an office and lost nowhere.
    """
    cells = [cell for office in seed.offices for cell in cells_of(seed.calendar, office.daily_quota)]

    assert 133 == len(seed.offices)
    assert PLACES_A_DAY == sum(cell.capacity for cell in cells)
    assert {("morning", "midday", "afternoon"), ("regular", "electronic"), ("online", "priority", "walk_in")} == {
        tuple(dict.fromkeys(cell.session.key for cell in cells)),
        tuple(dict.fromkeys(cell.service for cell in cells)),
        tuple(dict.fromkeys(cell.channel for cell in cells)),
    }


def test_holidays_and_weekends_have_no_slots(seed: Seed) -> None:
    """
    Christmas 2026 and its joint leave fall out of their week.
    """
    holidays = frozenset(holiday.day for holiday in seed.holidays)
    calendars = Calendars(base=seed.calendar, holidays=holidays)
    days = days_between(calendars, "bandung", dt.date(2026, 12, 21), dt.date(2026, 12, 27))

    assert [dt.date(2026, 12, 21), dt.date(2026, 12, 22), dt.date(2026, 12, 23)] == days


def test_a_slot_says_where_when_and_what_in_its_id_and_keeps_local_time(seed: Seed) -> None:
    """
    08:00 in Jayapura is 08:00 WIT.
    """
    office = next(office for office in seed.offices if office.office_id == "jayapura")
    now = dt.datetime(2026, 11, 22, tzinfo=dt.UTC)
    slot = next(slots_of(Calendars(base=seed.calendar), office, [dt.date(2026, 11, 30)], now=now))

    assert "jayapura.20261130.morning.regular.online" == slot.slot_id
    assert "2026-11-30T08:00:00+09:00" == slot.starts_at.isoformat()
    assert "2026-11-27T14:00:00+09:00" == slot.opens_at.isoformat()
    assert slot.next_opens_at is not None
    assert "2026-12-04T14:00:00+09:00" == slot.next_opens_at.isoformat()
    assert "policy.Asia-Jayapura.20261130" == slot.window_id


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"shares": Shares(service={"regular": 0.5}, channel={"online": 1.0})}, "service do not add up"),
        ({"shares": Shares(service={"regular": 1.0}, channel={"online": 0.99})}, "channel do not add up"),
        ({"sessions": (Session(key="m", starts_at=dt.time(9), ends_at=dt.time(9)),)}, "ends before it starts"),
        ({"sessions": (Session(key="m", starts_at=dt.time(8), ends_at=dt.time(9)),) * 2}, "same key"),
        ({"return_times": (dt.time(10, 0, 1),)}, "whole minutes"),
    ],
)
def test_a_calendar_that_contradicts_itself_is_refused(seed: Seed, change: dict[str, object], reason: str) -> None:
    """
    Places would be lost or doubled.
    """
    fields = msgspec.structs.asdict(seed.calendar) | change

    with pytest.raises(BadCalendar, match=reason):
        Calendar(**fields)


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("offices", "office_id,name\nx,y\n", "line 2"),
        ("offices", "", "must name 1.."),
        ("holidays", "date,name,kind\nyesterday,a,b\n", "line 2"),
        ("calendar", "pay_seconds = 'soon'\n", "calendar.bad"),
        ("calendar", "pay_seconds = = 1\n", "calendar.bad"),
    ],
)
def test_a_seed_file_that_cannot_be_used_is_named(tmp_path: Path, name: str, text: str, reason: str) -> None:
    """
    The file and the line, so that somebody can mend it.
    """
    bad = tmp_path / f"{name}.bad"
    bad.write_text(text)

    with pytest.raises(BadSeed, match=reason):
        read_seed(**{**FILES, name: bad})


def test_an_office_of_an_unknown_zone_or_named_twice_is_refused(tmp_path: Path) -> None:
    """
    Its clock would be anybody's guess, and its places doubled.
    """
    lines = FILES["offices"].read_text().splitlines()
    moved, twice = tmp_path / "moved.csv", tmp_path / "twice.csv"
    moved.write_text("\n".join([lines[0], lines[1].replace("Asia/Jakarta", "Europe/Paris")]))
    twice.write_text("\n".join([lines[0], lines[1], lines[1]]))

    with pytest.raises(BadSeed, match="timezone must be one of"):
        read_seed(**{**FILES, "offices": moved})
    with pytest.raises(BadSeed, match="twice"):
        read_seed(**{**FILES, "offices": twice})
