"""
A plan of slots: an office's daily quota split over sessions, services and channels.

Called by the planning use case. The parts of a day always add up to the quota of that day:
rounding goes by largest remainder and never adds or loses a place.
"""

import datetime as dt
from collections.abc import Iterator, Sequence

import msgspec

from services.booking.domain.calendar import Calendar, Calendars, InForce, Session, share_units
from services.booking.domain.releases import Local, Release, next_opening, next_portion, release_of, released


class Office(msgspec.Struct, frozen=True, kw_only=True):
    """
    An immigration office as the seed describes it.
    """

    office_id: str
    name: str
    office_class: str
    city: str
    province: str
    timezone: str
    daily_quota: int
    quota_basis: str


class PlannedSlot(msgspec.Struct, frozen=True, kw_only=True):
    """
    One row of the plan: office x date x session x service x channel, with its places and its window.
    """

    slot_id: str
    office_id: str
    office_name: str
    city: str
    province: str
    timezone: str
    date: dt.date
    session: str
    starts_at: dt.datetime
    ends_at: dt.datetime
    service: str
    channel: str
    capacity: int
    window_id: str
    opens_at: dt.datetime
    closes_at: dt.datetime
    next_opens_at: dt.datetime | None
    pay_seconds: int
    return_times: tuple[str, ...]


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """
    A part of a day and the places it gets.
    """

    session: Session
    service: str
    channel: str
    capacity: int


def slot_id_of(office_id: str, day: dt.date, cell: Cell) -> str:
    """
    A slot's id says what it is, so that it is the same on every try.
    """
    return f"{office_id}.{day:%Y%m%d}.{cell.session.key}.{cell.service}.{cell.channel}"


def window_id_of(timezone: str, first_day: dt.date, source: str | None = None) -> str:
    """
    The policy's window of a zone and a first day, by name; another calendar than the seed's has windows of its own.
    """
    owner = "" if source is None else f".{source}"
    return f"policy.{timezone.replace('/', '-')}{owner}.{first_day:%Y%m%d}"


def split(quota: int, weights: Sequence[int]) -> list[int]:
    """
    Divide whole places by weight: each part is its exact share rounded down, or one more for the largest remainders.

    Raises `ValueError` unless there is weight to divide by.
    """
    total = sum(weights)
    if total <= 0 or min(weights) < 0 or quota < 0:
        raise ValueError(f"cannot split {quota} places by {weights}")
    parts = [quota * weight // total for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda i: (-(quota * weights[i] % total), i))
    for i in by_remainder[: quota - sum(parts)]:
        parts[i] += 1
    return parts


def cells_of(calendar: Calendar, daily_quota: int) -> list[Cell]:
    """
    A day of an office. Parts too small for a single place are left out.
    """
    shapes = [
        (session, service, channel)
        for session in calendar.sessions
        for service in calendar.shares.service
        for channel in calendar.shares.channel
    ]
    weights = [
        session.minutes * share_units(calendar.shares.service[service]) * share_units(calendar.shares.channel[channel])
        for session, service, channel in shapes
    ]
    return [
        Cell(session=session, service=service, channel=channel, capacity=capacity)
        for (session, service, channel), capacity in zip(shapes, split(daily_quota, weights), strict=True)
        if capacity > 0
    ]


def days_between(calendars: Calendars, office_id: str, first: dt.date, last: dt.date) -> list[dt.date]:
    """
    The days of a range on which an office serves, both ends included.
    """
    days = (first + dt.timedelta(days=n) for n in range((last - first).days + 1))
    return [day for day in days if calendars.serves_on(office_id, day)]


def slots_of(
    calendars: Calendars,
    office: Office,
    days: Sequence[dt.date],
    *,
    now: dt.datetime,
    release: Release | None = None,
) -> Iterator[PlannedSlot]:
    """
    Everything an office offers on those days, with as many places as are released by `now`.

    Each day has the window its policy releases it by; days nothing releases have no slots. A `release` of one's own
    opens and closes them instead, in as many places as the policy has released, or whole where it says nothing.
    """
    for day in days:
        in_force = calendars.of(office.office_id, day)
        local = calendars.local(office.office_id, office.timezone, day)
        by = release_of(in_force.calendar.window, day, local) or release
        if by is None:
            continue
        for slot in _slots_of_day(in_force, office, day, by, local=local, now=now):
            yield (
                slot
                if release is None
                else msgspec.structs.replace(slot, opens_at=release.opens_at, closes_at=release.closes_at)
            )


def _slots_of_day(
    in_force: InForce, office: Office, day: dt.date, release: Release, *, local: Local, now: dt.datetime
) -> Iterator[PlannedSlot]:
    calendar = in_force.calendar
    return_times = tuple(f"{moment:%H:%M}" for moment in sorted(set(calendar.return_times)))
    next_opens_at = next_portion(release, max(now, release.opens_at)) or next_opening(
        calendar.window, release.closes_at, local
    )
    for cell in cells_of(calendar, office.daily_quota):
        opens_at, capacity = released(cell.capacity, release, now)
        yield PlannedSlot(
            slot_id=slot_id_of(office.office_id, day, cell),
            office_id=office.office_id,
            office_name=office.name,
            city=office.city,
            province=office.province,
            timezone=office.timezone,
            date=day,
            session=cell.session.key,
            starts_at=local.at(day, cell.session.starts_at),
            ends_at=local.at(day, cell.session.ends_at),
            service=cell.service,
            channel=cell.channel,
            capacity=capacity,
            window_id=window_id_of(office.timezone, release.first_day, in_force.source),
            opens_at=opens_at,
            closes_at=release.closes_at,
            next_opens_at=next_opens_at,
            pay_seconds=calendar.pay_seconds,
            return_times=return_times,
        )
