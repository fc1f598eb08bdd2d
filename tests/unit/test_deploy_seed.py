"""
The real input: complete, consistent, and of the size the system is built for.
"""

import csv
import datetime as dt
import itertools
import tomllib
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

SEED = Path(__file__).resolve().parents[2] / "deploy/seed"
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def rows(name: str) -> list[dict[str, str]]:
    with (SEED / name).open(newline="") as file:
        return list(csv.DictReader(file))


CALENDAR = tomllib.loads((SEED / "calendar.toml").read_text())


def test_there_are_133_offices_with_19184_places_a_day() -> None:
    """
    The size of one national release: 95,920 places in a week of five days.
    """
    offices = rows("offices.csv")

    assert 133 == len({office["office_id"] for office in offices}) == len(offices)
    assert 19_184 == sum(int(office["daily_quota"]) for office in offices)
    assert 16 == sum(office["quota_basis"] == "observed" for office in offices)


def test_offices_live_in_the_three_zones_of_the_country() -> None:
    """
    WIB, WITA and WIT: seven, eight and nine hours ahead, all year round.
    """
    noon = dt.datetime(2026, 7, 1, 12)  # noqa: DTZ001 - the zone is what is asked
    hours = {ZoneInfo(office["timezone"]).utcoffset(noon) for office in rows("offices.csv")}

    assert {dt.timedelta(hours=hour) for hour in (7, 8, 9)} == hours


def test_holidays_are_dates_told_once() -> None:
    """
    Two years of them.
    """
    days = [dt.date.fromisoformat(row["date"]) for row in rows("holidays.csv")]

    assert 51 == len(set(days)) == len(days)
    assert {2026, 2027} == {day.year for day in days}


def test_sessions_follow_each_other_without_a_gap() -> None:
    """
    08:00 to 15:00, local time.
    """
    sessions = CALENDAR["sessions"]

    assert ["morning", "midday", "afternoon"] == [session["key"] for session in sessions]
    assert all(one["ends_at"] == next_one["starts_at"] for one, next_one in itertools.pairwise(sessions))
    assert (dt.time(8), dt.time(15)) == (sessions[0]["starts_at"], sessions[-1]["ends_at"])


@pytest.mark.parametrize("kind", ["service", "channel"])
def test_shares_add_up(kind: str) -> None:
    """
    No place is lost or invented.
    """
    assert pytest.approx(1.0) == sum(CALENDAR["shares"][kind].values())


def test_the_window_is_friday_afternoon_to_sunday_afternoon() -> None:
    """
    And what it releases are the working days of the week after.
    """
    window = CALENDAR["window"]

    assert ("friday", dt.time(14)) == (window["opens_on"], window["opens_at"])
    assert ("sunday", dt.time(16)) == (window["closes_on"], window["closes_at"])
    assert 1 == window["weeks_ahead"]
    assert list(WEEKDAYS[:5]) == CALENDAR["working_days"]
    assert 7200 == CALENDAR["pay_seconds"]


def test_a_fee_is_one_number_on_one_day() -> None:
    """
    Service, validity and first day decide, in whole rupiah.
    """
    tariffs = rows("tariffs.csv")
    keys = [(row["service"], row["validity_years"], row["valid_from"]) for row in tariffs]
    today = {(row["service"], row["validity_years"]): int(row["amount_rupiah"]) for row in tariffs}

    assert len(set(keys)) == len(keys)
    assert {
        ("regular", "5"): 350_000,
        ("regular", "10"): 650_000,
        ("electronic", "5"): 650_000,
        ("electronic", "10"): 950_000,
        ("same_day", "0"): 1_000_000,
    } == today
    assert all(dt.date.fromisoformat(row["valid_from"]) for row in tariffs)
