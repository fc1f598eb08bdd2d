"""
Calendars: what contradicts itself is refused with a sentence; of several, the right one is in force.
"""

import datetime as dt
from pathlib import Path

import msgspec
import pytest

from services.booking.domain.calendar import Calendar, Calendars, Edition, SpillOver
from services.booking.domain.policies import Monthly, OneOff, Stage, Staged, Weekly, WindowPolicy
from services.booking.use_cases.seeding import read_seed

SEED = Path(__file__).parents[2] / "deploy" / "seed"
REAL = read_seed(offices=SEED / "offices.csv", holidays=SEED / "holidays.csv", calendar=SEED / "calendar.toml")
NINE = dt.time(9)
FOUR = dt.time(16)
DAY = dt.timedelta(days=1)
CLASSIC = Weekly(opens_on="friday", opens_at=dt.time(14), closes_on="sunday", closes_at=FOUR, weeks_ahead=1)
MONTH_END = Monthly(opens_on="last_working_day", opens_at=NINE, closes_after_days=7, closes_at=FOUR, months_ahead=1)
THREE_STAGES = Staged(
    stages=(
        Stage(months_ahead=3, percent=10),
        Stage(months_ahead=2, percent=30),
        Stage(months_ahead=1, percent=60),
    ),
    opens_at=NINE,
    closes_days_before=1,
    closes_at=dt.time(12),
)
ONCE = OneOff(
    opens_on=dt.date(2026, 12, 1),
    opens_at=NINE,
    closes_on=dt.date(2026, 12, 3),
    closes_at=FOUR,
    first_day=dt.date(2026, 12, 14),
    last_day=dt.date(2026, 12, 18),
)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            {"window": {**msgspec.to_builtins(THREE_STAGES), "stages": [{"months_ahead": 1, "percent": 90}]}},
            "90 percent",
        ),
        (
            {
                "window": {
                    **msgspec.to_builtins(THREE_STAGES),
                    "stages": [{"months_ahead": 1, "percent": 50}, {"months_ahead": 2, "percent": 50}],
                }
            },
            "opens later than the one before",
        ),
        (
            {"window": {**msgspec.to_builtins(MONTH_END), "closes_after_days": 0, "closes_at": "08:00:00"}},
            "before it opens",
        ),
        ({"window": {**msgspec.to_builtins(ONCE), "closes_on": "2026-11-30"}}, "closes before it opens"),
        ({"window": {**msgspec.to_builtins(ONCE), "last_day": "2026-12-13"}}, "end before they begin"),
        (
            {"window": {**msgspec.to_builtins(ONCE), "first_day": "2026-11-02", "last_day": "2026-11-03"}},
            "over when it opens",
        ),
        ({"window": {**msgspec.to_builtins(ONCE), "last_day": "2028-12-13"}}, "span more than 400 days"),
        ({"window": {**msgspec.to_builtins(CLASSIC), "opens_at": "14:00:30"}}, "whole minutes"),
        ({"window": {**msgspec.to_builtins(CLASSIC), "kind": "yearly"}}, "yearly"),
        ({"spill_over": [{"source": "priority", "target": "priority", "days_before": 1, "at": "15:00:00"}]}, "itself"),
        ({"spill_over": [{"source": "vip", "target": "online", "days_before": 1, "at": "15:00:00"}]}, "has no share"),
        (
            {
                "spill_over": [
                    {"source": "priority", "target": "online", "days_before": 1, "at": "15:00:00"},
                    {"source": "online", "target": "walk_in", "days_before": 1, "at": "15:00:00"},
                ]
            },
            "both spill over and be spilled to",
        ),
        (
            {
                "sessions": [
                    {"key": "early", "starts_at": "08:00:00", "ends_at": "10:00:00"},
                    {"key": "late", "starts_at": "09:59:00", "ends_at": "12:00:00"},
                ]
            },
            "session late starts before session early ends",
        ),
    ],
)
def test_a_policy_that_contradicts_itself_is_refused_with_a_sentence(change: dict[str, object], sentence: str) -> None:
    """
    What would lose places, or open what is over, is said and not planned.
    """
    document = {**msgspec.to_builtins(REAL.calendar), **change}

    with pytest.raises(msgspec.ValidationError, match=sentence):
        msgspec.convert(document, Calendar)


def test_the_latest_calendar_by_the_day_is_in_force_and_an_offices_own_comes_first() -> None:
    """
    An edition of the nation does not reach an office that has its own.
    """
    monthly = msgspec.structs.replace(REAL.calendar, window=MONTH_END)
    staged = msgspec.structs.replace(REAL.calendar, window=THREE_STAGES)
    calendars = Calendars(
        base=REAL.calendar,
        editions=(
            Edition(office_id=None, effective_from=dt.date(2027, 2, 1), body=monthly),
            Edition(office_id="medan", effective_from=dt.date(2027, 3, 1), body=staged),
        ),
    )

    def kind(office_id: str, day: dt.date) -> type[WindowPolicy]:
        return type(calendars.of(office_id, day).calendar.window)

    assert [Weekly, Monthly, Monthly, Staged] == [
        kind("medan", dt.date(2027, month, 1) - ahead * DAY) for month, ahead in ((2, 1), (2, 0), (3, 1), (3, 0))
    ]
    assert Monthly is kind("bandung", dt.date(2027, 3, 1))


def test_the_seeds_calendar_spills_priority_over_to_online() -> None:
    """
    At 15:00 on the day before.
    """
    assert (SpillOver(source="priority", target="online", days_before=1, at=dt.time(15), open_minutes=300),) == (
        REAL.calendar.spill_over
    )
