"""
The weekly window in three zones, to the second.
"""

import datetime as dt
from zoneinfo import ZoneInfo

import pytest

from services.booking.domain.policies import Weekly
from services.booking.domain.releases import Local, Release, coming_days, next_opening, release_of
from services.booking.domain.windows import Span, WindowState, span_to_show, state_of

CLASSIC = Weekly(opens_on="friday", opens_at=dt.time(14), closes_on="sunday", closes_at=dt.time(16), weeks_ahead=1)
ZONES = ("Asia/Jakarta", "Asia/Makassar", "Asia/Jayapura")
SECOND = dt.timedelta(seconds=1)


def local(zone: str) -> Local:
    """
    Every day works there: a weekly window does not ask.
    """
    return Local(zone=ZoneInfo(zone))


def weekly_release(policy: Weekly, day: dt.date, zone: str) -> Release:
    """
    The release of a day, which a weekly policy always has.
    """
    release = release_of(policy, day, local(zone))
    assert release is not None
    return release


def coming_monday(now: dt.datetime, zone: str) -> dt.date | None:
    """
    The first day of what is released now or next.
    """
    days = coming_days(CLASSIC, now, local(zone))
    return days[0] if days else None


@pytest.mark.parametrize(
    ("zone", "opens_at", "closes_at"),
    [
        ("Asia/Jakarta", "2026-11-27T07:00:00+00:00", "2026-11-29T09:00:00+00:00"),
        ("Asia/Makassar", "2026-11-27T06:00:00+00:00", "2026-11-29T08:00:00+00:00"),
        ("Asia/Jayapura", "2026-11-27T05:00:00+00:00", "2026-11-29T07:00:00+00:00"),
    ],
)
def test_a_day_is_released_by_the_window_of_the_week_before_in_its_own_zone(
    zone: str, opens_at: str, closes_at: str
) -> None:
    """
    Friday 14:00 to Sunday 16:00 is an hour earlier for the world in each zone further east.
    """
    release = weekly_release(CLASSIC, dt.date(2026, 12, 2), zone)

    assert (dt.datetime.fromisoformat(opens_at), dt.datetime.fromisoformat(closes_at)) == (
        release.opens_at,
        release.closes_at,
    )
    assert (dt.date(2026, 11, 30), dt.date(2026, 12, 6)) == (release.first_day, release.last_day)


@pytest.mark.parametrize("zone", ZONES)
def test_the_release_of_a_moment_changes_when_the_window_closes(zone: str) -> None:
    """
    A second before closing it is this week's, at closing the next one's.
    """
    here = ZoneInfo(zone)
    closes_at = dt.datetime(2026, 11, 29, 16, tzinfo=here)

    assert dt.date(2026, 11, 30) == coming_monday(closes_at - SECOND, zone)
    assert dt.date(2026, 12, 7) == coming_monday(closes_at, zone)


def test_around_closing_time_the_zones_are_in_different_weeks() -> None:
    """
    At 15:30 WIB on Sunday the east has closed already.
    """
    now = dt.datetime(2026, 11, 29, 15, 30, tzinfo=ZoneInfo("Asia/Jakarta"))

    assert [dt.date(2026, 11, 30), dt.date(2026, 12, 7), dt.date(2026, 12, 7)] == [
        coming_monday(now, zone) for zone in ZONES
    ]


@pytest.mark.parametrize("zone", ZONES)
def test_the_next_opening_is_at_or_after_the_moment(zone: str) -> None:
    """
    The opening moment itself is an opening; a second later the next is a week away.
    """
    here = ZoneInfo(zone)
    opens_at = dt.datetime(2026, 11, 27, 14, tzinfo=here)

    assert opens_at == next_opening(CLASSIC, opens_at - SECOND, local(zone))
    assert opens_at == next_opening(CLASSIC, opens_at, local(zone))
    assert opens_at + dt.timedelta(days=7) == next_opening(CLASSIC, opens_at + SECOND, local(zone))


@pytest.mark.parametrize("day", [dt.date(2026, 12, 28) + dt.timedelta(days=n) for n in range(14)])
def test_every_day_lies_in_the_release_that_releases_it(day: dt.date) -> None:
    """
    Across the turn of the year as well.
    """
    release = weekly_release(CLASSIC, day, "Asia/Jakarta")

    assert release.first_day <= day <= release.last_day
    assert release.closes_at < dt.datetime.combine(release.first_day, dt.time(), ZoneInfo("Asia/Jakarta"))


def test_a_window_that_closes_earlier_in_the_week_than_it_opens_closes_in_the_next() -> None:
    """
    Saturday to Monday spans two calendar weeks; the same weekday and hour means a whole week.
    """
    here = ZoneInfo("Asia/Makassar")
    over_the_weekend = Weekly(
        opens_on="saturday", opens_at=dt.time(9), closes_on="monday", closes_at=dt.time(9), weeks_ahead=2
    )
    whole_week = Weekly(
        opens_on="friday", opens_at=dt.time(14), closes_on="friday", closes_at=dt.time(14), weeks_ahead=1
    )
    day = dt.date(2026, 12, 9)

    spans = [weekly_release(policy, day, "Asia/Makassar") for policy in (over_the_weekend, whole_week)]
    assert [dt.timedelta(days=2), dt.timedelta(days=7)] == [span.closes_at - span.opens_at for span in spans]
    assert dt.datetime(2026, 11, 28, 9, tzinfo=here) == spans[0].opens_at


def _span(opens_in_hours: int, closes_in_hours: int) -> Span:
    now = dt.datetime(2026, 11, 22, tzinfo=dt.UTC)
    return Span(opens_at=now + dt.timedelta(hours=opens_in_hours), closes_at=now + dt.timedelta(hours=closes_in_hours))


def test_of_several_windows_the_open_one_is_shown_then_the_next_then_the_last() -> None:
    """
    A person wants to know where he can ask now, or when, or that it is over.
    """
    now = dt.datetime(2026, 11, 22, tzinfo=dt.UTC)
    over, long_over, coming, later, open_now = _span(-9, -1), _span(-9, -5), _span(2, 9), _span(5, 9), _span(-1, 1)

    assert open_now == span_to_show([later, over, open_now, coming], now)
    assert coming == span_to_show([later, over, coming], now)
    assert over == span_to_show([long_over, over], now)
    assert span_to_show([], now) is None


def test_a_window_is_open_from_its_opening_until_just_before_its_closing() -> None:
    """
    The first moment counts, the last does not.
    """
    span = _span(0, 2)

    assert [WindowState.NOT_OPEN, WindowState.OPEN, WindowState.OPEN, WindowState.CLOSED] == [
        state_of(span, moment)
        for moment in (span.opens_at - SECOND, span.opens_at, span.closes_at - SECOND, span.closes_at)
    ]
