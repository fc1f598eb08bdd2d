"""
Planning: which slots there are, in which windows; and opening a window of one's own.

Called by commands and by the other planning use cases. A plan is worked out afresh every time
and compared with what stands: only what differs gets a new version and is told. Planning
twice changes nothing, and never takes a window away that somebody opened by hand.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from zoneinfo import ZoneInfo

import msgspec

from kernel.ids import fresh
from kernel.postgres import Connection
from services.booking.domain.calendar import Calendars
from services.booking.domain.plan import Office, PlannedSlot, days_between, slots_of
from services.booking.domain.releases import coming_days, next_opening, release_of
from services.booking.stores import calendars as calendar_store
from services.booking.stores import offices as office_store
from services.booking.stores import slots as slot_store
from services.booking.stores.slots import CHUNK_ROWS, Opening, WindowRow
from services.booking.use_cases.telling import tell_plans


class NothingToPlan(Exception):
    """
    There is no calendar, or none of the offices asked for; the message says which.
    """


class Contradiction(msgspec.Struct, frozen=True, kw_only=True):
    """
    A plan somebody asked for that cannot be; the sentence says why.
    """

    reason: str


class Planned(msgspec.Struct, frozen=True, kw_only=True):
    """
    What a plan holds, and how much of it is news.
    """

    offices: int
    first_day: dt.date
    last_day: dt.date
    slots: int
    places: int
    changed: int


class Opened(msgspec.Struct, frozen=True, kw_only=True):
    """
    A window opened by hand.
    """

    window_ids: tuple[str, ...]
    opens_at: dt.datetime
    closes_at: dt.datetime
    pay_seconds: int
    offices: int
    first_day: dt.date
    last_day: dt.date
    slots: int
    places: int


Days = tuple[dt.date, dt.date]
"""First and last, both included."""


async def read_calendars(connection: Connection) -> Calendars:
    """
    The calendars. Raises `NothingToPlan` before the seed.
    """
    calendars = await calendar_store.read(connection)
    if calendars is None:
        raise NothingToPlan("there is no calendar yet; run the seed first")
    return calendars


async def put_plan(
    connection: Connection,
    calendars: Calendars,
    planned: Sequence[PlannedSlot],
    *,
    days: Sequence[tuple[str, dt.date]],
) -> list[str]:
    """
    Make a plan of those offices' days the one that stands. Returns the slots that changed; they are still to be told.
    """
    await slot_store.put_windows(connection, _windows_of(calendars, planned))
    changed = await slot_store.put(connection, planned)
    return changed + await slot_store.close_unplanned(connection, days=days, planned=[slot.slot_id for slot in planned])


async def plan_coming_week(
    connection: Connection, *, now: dt.datetime, office_ids: Sequence[str] = ()
) -> tuple[Planned, list[Office]]:
    """
    Plan the days that each office's open window releases, or else its next one, and tell what changed.

    Raises `NothingToPlan` when there is nothing to plan for.
    """
    calendars = await read_calendars(connection)
    offices = await chosen(connection, office_ids)
    ranges = _coming(calendars, offices, now)
    if not ranges:
        raise NothingToPlan("no window of these offices is open or to come")
    planned: list[PlannedSlot] = []
    touched: list[tuple[str, dt.date]] = []
    for office in offices:
        if office.office_id in ranges:
            slots, days = plan_days(calendars, office, ranges[office.office_id], now=now)
            planned += slots
            touched += days
    changed = await put_plan(connection, calendars, planned, days=touched)
    await tell(connection, changed)
    return _summary(ranges, planned, changed), offices


def plan_days(
    calendars: Calendars, office: Office, days: Days, *, now: dt.datetime
) -> tuple[list[PlannedSlot], list[tuple[str, dt.date]]]:
    """
    The slots of an office's days, and which days the plan speaks of: those it releases, and those without service.
    """
    serving = days_between(calendars, office.office_id, *days)
    planned = list(slots_of(calendars, office, serving, now=now))
    # A day that serves and is released by nothing may have a window of its own, which is none of this plan's business.
    unreleased = set(serving) - {slot.date for slot in planned}
    length = (days[1] - days[0]).days + 1
    spoken = (days[0] + dt.timedelta(days=n) for n in range(length))
    return planned, [(office.office_id, day) for day in spoken if day not in unreleased]


async def open_window(
    connection: Connection,
    *,
    now: dt.datetime,
    opens_in: dt.timedelta,
    open_for: dt.timedelta,
    office_ids: Sequence[str] = (),
    day: dt.date | None = None,
    pay_seconds: int | None = None,
) -> Opened:
    """
    Open a window for the coming week's slots, or those of one `day`: of the offices named, or of the whole nation.

    Raises `NothingToPlan` for a day outside that week.
    """
    calendars = await read_calendars(connection)
    planned, offices = await plan_coming_week(connection, now=now, office_ids=office_ids)
    if day is not None and not planned.first_day <= day <= planned.last_day:
        raise NothingToPlan(f"{day} is not in the coming week, {planned.first_day} to {planned.last_day}")
    opens_at = now + opens_in
    closes_at = opens_at + open_for
    nation = WindowRow(
        window_id=fresh("window"),
        kind="opened",
        first_day=day or planned.first_day,
        last_day=day or planned.last_day,
        opens_at=opens_at,
        closes_at=closes_at,
        pay_seconds=pay_seconds or calendars.base.pay_seconds,
    )
    windows = [
        msgspec.structs.replace(nation, window_id=f"{nation.window_id}.{office_id}", office_id=office_id)
        for office_id in office_ids
    ] or [nation]
    await slot_store.put_windows(connection, windows)
    ranges = _coming(calendars, offices, now)
    openings = [
        opening_of(calendars, office, windows, within=ranges[office.office_id])
        for office in offices
        if office.office_id in ranges
    ]
    opened = await slot_store.open_for(connection, openings)
    places = await tell(connection, opened)
    return Opened(
        window_ids=tuple(window.window_id for window in windows),
        opens_at=opens_at,
        closes_at=closes_at,
        pay_seconds=nation.pay_seconds,
        offices=planned.offices,
        first_day=nation.first_day,
        last_day=nation.last_day,
        slots=len(opened),
        places=places,
    )


def opening_of(calendars: Calendars, office: Office, windows: Sequence[WindowRow], *, within: Days) -> Opening:
    """
    A window opened by hand, for those of its days that an office has `within` a range.
    """
    window = next(each for each in windows if each.office_id in {None, office.office_id})
    in_force = calendars.of(office.office_id, within[0])
    local = calendars.local(office.office_id, office.timezone, within[0])
    return Opening(
        office_id=office.office_id,
        window_id=window.window_id,
        first_day=max(within[0], window.first_day),
        last_day=min(within[1], window.last_day),
        opens_at=window.opens_at,
        closes_at=window.closes_at,
        next_opens_at=next_opening(in_force.calendar.window, window.closes_at, local),
        pay_seconds=window.pay_seconds,
    )


async def chosen(connection: Connection, office_ids: Sequence[str]) -> list[Office]:
    """
    Those offices, or all. Raises `NothingToPlan` naming what is unknown.
    """
    offices = await office_store.read(connection)
    unknown = sorted(set(office_ids) - {office.office_id for office in offices})
    if unknown:
        raise NothingToPlan(f"no such office: {', '.join(unknown)}")
    if not offices:
        raise NothingToPlan("there are no offices yet; run the seed first")
    return [office for office in offices if not office_ids or office.office_id in office_ids]


async def tell(connection: Connection, slot_ids: Sequence[str]) -> int:
    """
    Say these plans. Returns how many places they have.
    """
    places = 0
    for start in range(0, len(slot_ids), CHUNK_ROWS):
        plans = await slot_store.read(connection, slot_ids[start : start + CHUNK_ROWS])
        await tell_plans(connection, plans)
        places += sum(plan.capacity for plan in plans)
    return places


def _coming(calendars: Calendars, offices: Sequence[Office], now: dt.datetime) -> dict[str, Days]:
    ranges: dict[str, Days] = {}
    for office in offices:
        today = now.astimezone(ZoneInfo(office.timezone)).date()
        in_force = calendars.of(office.office_id, today)
        days = coming_days(in_force.calendar.window, now, calendars.local(office.office_id, office.timezone, today))
        if days is not None:
            ranges[office.office_id] = days
    return ranges


def _windows_of(calendars: Calendars, planned: Sequence[PlannedSlot]) -> list[WindowRow]:
    windows: dict[str, WindowRow] = {}
    for slot in planned:
        if slot.window_id in windows:
            continue
        policy = calendars.of(slot.office_id, slot.date).calendar.window
        release = release_of(policy, slot.date, calendars.local(slot.office_id, slot.timezone, slot.date))
        if release is None:
            continue
        windows[slot.window_id] = WindowRow(
            window_id=slot.window_id,
            kind="policy",
            timezone=slot.timezone,
            first_day=release.first_day,
            last_day=release.last_day,
            opens_at=release.opens_at,
            closes_at=release.closes_at,
            pay_seconds=slot.pay_seconds,
        )
    return list(windows.values())


def _summary(ranges: Mapping[str, Days], planned: Sequence[PlannedSlot], changed: Sequence[str]) -> Planned:
    return Planned(
        offices=len(ranges),
        first_day=min(first for first, _ in ranges.values()),
        last_day=max(last for _, last in ranges.values()),
        slots=len(planned),
        places=sum(slot.capacity for slot in planned),
        changed=len(changed),
    )
