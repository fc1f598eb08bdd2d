"""
Releases: which window of a policy releases a day, in an office's own zone, and when one opens next.

Called by planning, publishing and the offices page. Everything is a moment with a zone;
nothing here reads a clock or knows which offices there are.
"""

import calendar as months
import datetime as dt
from collections.abc import Iterator
from typing import Final, assert_never
from zoneinfo import ZoneInfo

import msgspec

from services.booking.domain.policies import (
    ALL_PERCENT,
    SPAN_DAYS_MAX,
    WEEKDAYS,
    Monthly,
    OneOff,
    Staged,
    Weekly,
    WindowPolicy,
)

WEEK: Final = dt.timedelta(days=7)
DAY: Final = dt.timedelta(days=1)
LOOK_AHEAD_DAYS: Final = 40
"""So far a stage's next working day is looked for: longer than any run of holidays, and than a month is uneven."""


class Local(msgspec.Struct, frozen=True, kw_only=True):
    """
    Where a policy is looked at from: the office's zone, its working days and the days off.
    """

    zone: ZoneInfo
    working_days: tuple[str, ...] = WEEKDAYS
    days_off: frozenset[dt.date] = frozenset()

    def works_on(self, day: dt.date) -> bool:
        """
        Whether the office serves on that day.
        """
        return WEEKDAYS[day.weekday()] in self.working_days and day not in self.days_off

    def at(self, day: dt.date, time: dt.time) -> dt.datetime:
        """
        A clock time of a day there.
        """
        return dt.datetime.combine(day, time, self.zone)


class Portion(msgspec.Struct, frozen=True, kw_only=True):
    """
    From a moment on so many percent of a slot's places are released, those of earlier moments included.
    """

    opens_at: dt.datetime
    percent: int


class Release(msgspec.Struct, frozen=True, kw_only=True):
    """
    A window of the policy and the days it releases, both ends included; `portions` in order, the last one whole.
    """

    opens_at: dt.datetime
    closes_at: dt.datetime
    first_day: dt.date
    last_day: dt.date
    portions: tuple[Portion, ...]


def release_of(policy: WindowPolicy, day: dt.date, local: Local) -> Release | None:
    """
    The release that contains `day`; None if the policy never releases it.
    """
    match policy:
        case Weekly():
            return _opened_in_week(policy, _monday_of(day) - policy.weeks_ahead * WEEK, local)
        case Monthly():
            return _opened_in_month(policy, _months_later(day.replace(day=1), -policy.months_ahead), local)
        case Staged():
            return _in_stages(policy, day, local)
        case OneOff():
            return _once(policy, local) if policy.first_day <= day <= policy.last_day else None
        case _:
            assert_never(policy)


def coming_days(policy: WindowPolicy, now: dt.datetime, local: Local) -> tuple[dt.date, dt.date] | None:
    """
    First and last day of the release whose window is open, else of the next. A window is closed at its closing moment.

    In stages every day has a window of its own: there it is the next calendar week. None when a one-off is over.
    """
    today = now.astimezone(local.zone).date()
    match policy:
        case Weekly():
            week = _monday_of(today) - WEEK
            while (release := _opened_in_week(policy, week, local)).closes_at <= now:
                week += WEEK
        case Monthly():
            month = _months_later(today.replace(day=1), -3)
            while (release := _opened_in_month(policy, month, local)).closes_at <= now:
                month = _months_later(month, 1)
        case Staged():
            first = _monday_of(today) + WEEK
            return first, first + WEEK - DAY
        case OneOff():
            release = _once(policy, local)
            if release.closes_at <= now:
                return None
        case _:
            assert_never(policy)
    return release.first_day, release.last_day


def next_opening(policy: WindowPolicy, after: dt.datetime, local: Local) -> dt.datetime | None:
    """
    The first opening of the policy at or after a moment; every stage is one. None if there is none.
    """
    day = after.astimezone(local.zone).date()
    match policy:
        case Weekly():
            week = _monday_of(day)
            while (opens_at := _opened_in_week(policy, week, local).opens_at) < after:
                week += WEEK
            return opens_at
        case Monthly():
            month = day.replace(day=1)
            while (opens_at := _opened_in_month(policy, month, local).opens_at) < after:
                month = _months_later(month, 1)
            return opens_at
        case Staged():
            return min((moment for moment in _stage_openings(policy, day, local) if moment >= after), default=None)
        case OneOff():
            opens_at = local.at(policy.opens_on, policy.opens_at)
            return opens_at if opens_at >= after else None
        case _:
            assert_never(policy)


def released(capacity: int, release: Release, now: dt.datetime) -> tuple[dt.datetime, int]:
    """
    When the first of a slot's places open, and how many of them are released at `now` or, before that, will be then.

    Portions are of the whole and rounded down: stage by stage places are only added, and the last adds the rest.
    """
    steps = [(portion.opens_at, capacity * portion.percent // ALL_PERCENT) for portion in release.portions]
    opens_at, first_places = next((step for step in steps if step[1] > 0), steps[-1])
    return opens_at, max((places for moment, places in steps if moment <= now), default=first_places) or first_places


def next_portion(release: Release, now: dt.datetime) -> dt.datetime | None:
    """
    When this release opens more places; None when all are.
    """
    return next((portion.opens_at for portion in release.portions if portion.opens_at > now), None)


def farthest_day(policy: WindowPolicy, today: dt.date) -> dt.date:
    """
    No window that opens within a month of `today` releases a day later than this.
    """
    match policy:
        case Weekly():
            return today + (policy.weeks_ahead + 6) * WEEK
        case Monthly():
            return _months_later(today.replace(day=1), policy.months_ahead + 3)
        case Staged():
            return _months_later(today, policy.stages[0].months_ahead + 1) + WEEK
        case OneOff():
            return min(policy.last_day, today + SPAN_DAYS_MAX * DAY)
        case _:
            assert_never(policy)


def _opened_in_week(policy: Weekly, monday: dt.date, local: Local) -> Release:
    opens_weekday, closes_weekday = WEEKDAYS.index(policy.opens_on), WEEKDAYS.index(policy.closes_on)
    days_open = (closes_weekday - opens_weekday) % 7
    if days_open == 0 and policy.closes_at <= policy.opens_at:
        days_open = 7
    opens_on = monday + dt.timedelta(days=opens_weekday)
    first_day = monday + policy.weeks_ahead * WEEK
    return _whole(
        opens_at=local.at(opens_on, policy.opens_at),
        closes_at=local.at(opens_on + dt.timedelta(days=days_open), policy.closes_at),
        first_day=first_day,
        last_day=first_day + WEEK - DAY,
    )


def _opened_in_month(policy: Monthly, month: dt.date, local: Local) -> Release:
    opens_on = _working_day(month, local, last=policy.opens_on == "last_working_day")
    first_day = _months_later(month, policy.months_ahead)
    return _whole(
        opens_at=local.at(opens_on, policy.opens_at),
        closes_at=local.at(opens_on + dt.timedelta(days=policy.closes_after_days), policy.closes_at),
        first_day=first_day,
        last_day=_months_later(first_day, 1) - DAY,
    )


def _in_stages(policy: Staged, day: dt.date, local: Local) -> Release:
    percent = 0
    portions: list[Portion] = []
    for stage in policy.stages:
        percent += stage.percent
        opens_at = local.at(_months_later(day, -stage.months_ahead), policy.opens_at)
        portions.append(Portion(opens_at=opens_at, percent=percent))
    return Release(
        opens_at=portions[0].opens_at,
        closes_at=local.at(day - dt.timedelta(days=policy.closes_days_before), policy.closes_at),
        first_day=day,
        last_day=day,
        portions=tuple(portions),
    )


def _once(policy: OneOff, local: Local) -> Release:
    return _whole(
        opens_at=local.at(policy.opens_on, policy.opens_at),
        closes_at=local.at(policy.closes_on, policy.closes_at),
        first_day=policy.first_day,
        last_day=policy.last_day,
    )


def _whole(*, opens_at: dt.datetime, closes_at: dt.datetime, first_day: dt.date, last_day: dt.date) -> Release:
    return Release(
        opens_at=opens_at,
        closes_at=closes_at,
        first_day=first_day,
        last_day=last_day,
        portions=(Portion(opens_at=opens_at, percent=ALL_PERCENT),),
    )


def _stage_openings(policy: Staged, day: dt.date, local: Local) -> Iterator[dt.datetime]:
    for stage in policy.stages:
        # Months are uneven: begin a few days early, so that no visit is missed whose stage opens from `day` on.
        first = _months_later(day, stage.months_ahead) - dt.timedelta(days=3)
        for ahead in range(LOOK_AHEAD_DAYS):
            visit_on = first + dt.timedelta(days=ahead)
            if local.works_on(visit_on):
                yield local.at(_months_later(visit_on, -stage.months_ahead), policy.opens_at)


def _working_day(month: dt.date, local: Local, *, last: bool) -> dt.date:
    days = [month + dt.timedelta(days=n) for n in range(months.monthrange(month.year, month.month)[1])]
    # A month without any working day opens on its outermost day rather than never.
    working = [day for day in days if local.works_on(day)] or days
    return working[-1] if last else working[0]


def _months_later(day: dt.date, count: int) -> dt.date:
    """
    The same day of another month, or that month's last.
    """
    year, month0 = divmod(day.year * 12 + day.month - 1 + count, 12)
    return dt.date(year, month0 + 1, min(day.day, months.monthrange(year, month0 + 1)[1]))


def _monday_of(day: dt.date) -> dt.date:
    return day - dt.timedelta(days=day.weekday())
