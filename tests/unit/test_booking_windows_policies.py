"""
Windows by policy: weekly, monthly, staged and one-off, over the zones of the real offices.
"""

import calendar as months
import datetime as dt
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from services.booking.domain.calendar import Calendar, Calendars
from services.booking.domain.plan import days_between, slots_of
from services.booking.domain.policies import (
    WEEKDAYS,
    Monthly,
    OneOff,
    Stage,
    Staged,
    Weekly,
    WindowPolicy,
)
from services.booking.domain.releases import (
    Local,
    Release,
    coming_days,
    farthest_day,
    next_opening,
    next_portion,
    release_of,
    released,
)
from services.booking.use_cases.seeding import read_seed

SEED = Path(__file__).parents[2] / "deploy" / "seed"
REAL = read_seed(offices=SEED / "offices.csv", holidays=SEED / "holidays.csv", calendar=SEED / "calendar.toml")
HOLIDAYS = frozenset(holiday.day for holiday in REAL.holidays)
NINE = dt.time(9)
FOUR = dt.time(16)
SECOND = dt.timedelta(seconds=1)
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

zones = st.sampled_from(sorted({office.timezone for office in REAL.offices}))
days = st.dates(dt.date(2026, 1, 1), dt.date(2028, 12, 31))
moments = st.datetimes(dt.datetime(2026, 1, 1), dt.datetime(2028, 12, 31), timezones=st.just(dt.UTC))  # noqa: DTZ001
times = st.times().map(lambda moment: moment.replace(second=0, microsecond=0, tzinfo=None))
weeklies = st.builds(
    Weekly,
    opens_on=st.sampled_from(WEEKDAYS),
    opens_at=times,
    closes_on=st.sampled_from(WEEKDAYS),
    closes_at=times,
    weeks_ahead=st.integers(1, 8),
)
monthlies = st.builds(
    Monthly,
    opens_on=st.sampled_from(["first_working_day", "last_working_day"]),
    opens_at=times,
    closes_after_days=st.integers(1, 60),
    closes_at=times,
    months_ahead=st.integers(1, 12),
)


@st.composite
def staged_policies(draw: st.DrawFn) -> Staged:
    """
    Any number of stages whose parts are the whole.
    """
    ahead = sorted(draw(st.sets(st.integers(1, 12), min_size=1, max_size=6)), reverse=True)
    cuts = sorted(draw(st.sets(st.integers(1, 99), min_size=len(ahead) - 1, max_size=len(ahead) - 1)))
    edges = [0, *cuts, 100]
    return Staged(
        stages=tuple(
            Stage(months_ahead=month, percent=after - before)
            for month, before, after in zip(ahead, edges, edges[1:], strict=False)
        ),
        opens_at=draw(times),
        closes_days_before=draw(st.integers(0, 27)),
        closes_at=draw(times),
    )


policies: st.SearchStrategy[WindowPolicy] = st.one_of(weeklies, monthlies, staged_policies())


def local(zone: str) -> Local:
    """
    A real office's days.
    """
    return Local(zone=ZoneInfo(zone), working_days=WEEKDAYS[:5], days_off=HOLIDAYS)


def released_by(policy: WindowPolicy, day: dt.date, zone: str) -> Release:
    """
    The release of a day that has one.
    """
    release = release_of(policy, day, local(zone))
    assert release is not None
    return release


@given(policy=policies, day=days, zone=zones)
def test_every_day_lies_in_the_release_that_releases_it_and_all_its_days_agree(
    policy: WindowPolicy, day: dt.date, zone: str
) -> None:
    """
    Whichever day of a release one asks for, it is the same release, opening before it closes.
    """
    release = released_by(policy, day, zone)

    assert release.first_day <= day <= release.last_day
    assert release == released_by(policy, release.first_day, zone) == released_by(policy, release.last_day, zone)
    assert release.opens_at < release.closes_at
    assert release.opens_at.date() < day


@given(policy=policies, day=days, zone=zones)
def test_windows_open_at_the_offices_own_wall_clock(policy: WindowPolicy, day: dt.date, zone: str) -> None:
    """
    09:00 is 09:00 in Jayapura, two hours before Jakarta's.
    """
    release = released_by(policy, day, zone)

    assert {policy.opens_at} == {portion.opens_at.timetz().replace(tzinfo=None) for portion in release.portions}
    assert policy.closes_at == release.closes_at.timetz().replace(tzinfo=None)
    assert {zone} == {str(portion.opens_at.tzinfo) for portion in release.portions}


@given(policy=policies, now=moments, zone=zones)
def test_the_next_opening_is_an_opening_and_none_lies_between(
    policy: WindowPolicy, now: dt.datetime, zone: str
) -> None:
    """
    Compared with the openings of every working day around, worked out one by one.
    """
    here = local(zone)
    today = now.astimezone(here.zone).date()
    around = (today + n * DAY for n in range(-70, 480))
    openings = {
        portion.opens_at
        for day in around
        if isinstance(policy, (Weekly, Monthly)) or here.works_on(day)
        for portion in released_by(policy, day, zone).portions
    }

    assert min(moment for moment in openings if moment >= now) == next_opening(policy, now, here)


@given(policy=st.one_of(weeklies, monthlies), now=moments, zone=zones)
def test_what_comes_next_is_never_over_and_nothing_nearer_is_open(
    policy: WindowPolicy, now: dt.datetime, zone: str
) -> None:
    """
    The release before it has closed already.
    """
    coming = coming_days(policy, now, local(zone))
    assert coming is not None
    release = released_by(policy, coming[0], zone)

    assert coming == (release.first_day, release.last_day)
    assert now < release.closes_at
    assert released_by(policy, coming[0] - DAY, zone).closes_at <= now or isinstance(policy, Monthly)


@given(policy=staged_policies(), capacity=st.integers(1, 500), day=days, zone=zones)
def test_stage_by_stage_places_are_only_added_and_the_last_adds_the_rest(
    policy: Staged, capacity: int, day: dt.date, zone: str
) -> None:
    """
    Nothing is released before its stage, nothing is lost in the end, and a slot opens with a place to be had.
    """
    release = released_by(policy, day, zone)
    looks = [moment for portion in release.portions for moment in (portion.opens_at - SECOND, portion.opens_at)]
    seen = [released(capacity, release, now) for now in looks]
    sizes = [places for _, places in seen]

    assert sizes == sorted(sizes)
    assert capacity == sizes[-1]
    assert 1 <= sizes[0]
    assert 1 == len({opens_at for opens_at, _ in seen})
    for (opens_at, places), now in zip(seen, looks, strict=True):
        percent = max((portion.percent for portion in release.portions if portion.opens_at <= now), default=0)
        assert now < opens_at or places == capacity * percent // 100


def test_ten_thirty_and_sixty_percent_open_three_two_and_one_month_before_the_day() -> None:
    """
    Of fifty places five, then twenty, then all, each at nine in the morning there.
    """
    release = released_by(THREE_STAGES, dt.date(2027, 5, 31), "Asia/Makassar")

    assert [
        ("2027-02-28T09:00:00+08:00", 5),
        ("2027-03-31T09:00:00+08:00", 20),
        ("2027-04-30T09:00:00+08:00", 50),
    ] == [(portion.opens_at.isoformat(), released(50, release, portion.opens_at)[1]) for portion in release.portions]
    assert "2027-05-30T12:00:00+08:00" == release.closes_at.isoformat()
    assert release.portions[1].opens_at == next_portion(release, release.opens_at)
    assert next_portion(release, release.portions[2].opens_at) is None


def test_a_slot_too_small_for_the_first_stage_opens_with_the_stage_that_brings_its_first_place() -> None:
    """
    A tenth of three places is none; two fifths are one.
    """
    release = released_by(THREE_STAGES, dt.date(2027, 5, 31), "Asia/Jakarta")

    assert (release.portions[1].opens_at, 1) == released(3, release, release.opens_at)


@given(day=days, zone=zones)
def test_the_monthly_window_opens_on_the_last_working_day_of_the_month_before(day: dt.date, zone: str) -> None:
    """
    No holiday, no weekend, and no working day of that month comes after it.
    """
    release = released_by(MONTH_END, day, zone)
    opens_on = release.opens_at.date()
    last = opens_on.replace(day=months.monthrange(opens_on.year, opens_on.month)[1])
    after = [opens_on + n * DAY for n in range(1, (last - opens_on).days + 1)]

    assert local(zone).works_on(opens_on)
    assert [] == [each for each in after if local(zone).works_on(each)]
    assert (day.replace(day=1) - DAY).replace(day=1) == opens_on.replace(day=1)
    assert day.replace(day=1) == release.first_day


def test_a_month_end_on_holidays_opens_before_them() -> None:
    """
    The last working day of 2026 is 31 December, a Thursday; May 2026 ends on a weekend.
    """
    assert (
        "2026-12-31T09:00:00+09:00" == released_by(MONTH_END, dt.date(2027, 1, 4), "Asia/Jayapura").opens_at.isoformat()
    )
    assert dt.date(2026, 5, 29) == released_by(MONTH_END, dt.date(2026, 6, 2), "Asia/Jakarta").opens_at.date()


def test_a_one_off_window_releases_its_days_and_no_others() -> None:
    """
    Before it, it is what comes next; after it, nothing is.
    """
    here = local("Asia/Makassar")
    opens_at = dt.datetime(2026, 12, 1, 9, tzinfo=here.zone)

    assert opens_at == released_by(ONCE, dt.date(2026, 12, 18), "Asia/Makassar").opens_at
    assert release_of(ONCE, dt.date(2026, 12, 19), here) is None
    assert (ONCE.first_day, ONCE.last_day) == coming_days(ONCE, opens_at, here)
    assert coming_days(ONCE, dt.datetime(2026, 12, 3, 16, tzinfo=here.zone), here) is None
    assert (opens_at, None) == (next_opening(ONCE, opens_at, here), next_opening(ONCE, opens_at + SECOND, here))


@given(policy=policies, now=moments, zone=zones)
def test_no_window_of_the_next_month_releases_a_day_beyond_the_farthest(
    policy: WindowPolicy, now: dt.datetime, zone: str
) -> None:
    """
    Publishing looks no farther, and so must miss nothing.
    """
    today = now.astimezone(ZoneInfo(zone)).date()
    farthest = farthest_day(policy, today)

    assert released_by(policy, farthest + DAY, zone).opens_at > now + 30 * DAY


@given(policy=st.one_of(policies, st.just(ONCE)))
def test_a_policy_survives_being_kept(policy: WindowPolicy) -> None:
    """
    In Postgres a calendar is one JSON document.
    """
    kept = msgspec.structs.replace(REAL.calendar, window=policy)

    assert kept == msgspec.json.decode(msgspec.json.encode(kept), type=Calendar)


@given(policy=policies, now=moments)
def test_a_planned_day_never_has_more_places_than_its_quota(policy: WindowPolicy, now: dt.datetime) -> None:
    """
    And exactly the quota once everything is released, closed days aside.
    """
    office = REAL.offices[0]
    closed = dt.date(2027, 6, 9)
    calendars = Calendars(
        base=msgspec.structs.replace(REAL.calendar, window=policy),
        holidays=HOLIDAYS,
        closures={office.office_id: frozenset({closed})},
    )
    serving = days_between(calendars, office.office_id, dt.date(2027, 6, 7), dt.date(2027, 6, 11))
    planned = list(slots_of(calendars, office, serving, now=now))
    places = {day: sum(slot.capacity for slot in planned if slot.date == day) for day in serving}

    assert closed not in places
    assert [] == [day for day, number in places.items() if number > office.daily_quota]
    assert [] == [
        day
        for day in serving
        if released_by(policy, day, office.timezone).portions[-1].opens_at <= now and places[day] != office.daily_quota
    ]
