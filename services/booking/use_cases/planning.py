"""
Planning: which slots there are, in which windows; and opening a window of one's own.

Called by commands. A plan is worked out afresh every time and compared with what stands:
only what differs gets a new version and is told. Planning twice changes nothing, and never
takes a window away that somebody opened by hand.
"""

import datetime as dt
from collections.abc import Sequence
from zoneinfo import ZoneInfo

import msgspec

from kernel.ids import fresh
from kernel.postgres import Connection
from services.booking.domain.calendar import Calendar
from services.booking.domain.plan import Office, PlannedSlot, days_between, slots_of, window_id_of
from services.booking.domain.windows import next_opening, release_at, release_of
from services.booking.stores import offices as office_store
from services.booking.stores import slots as slot_store
from services.booking.stores.slots import CHUNK_ROWS, Opening, WindowRow
from services.booking.use_cases.telling import tell_plans


class NothingToPlan(Exception):
    """
    There is no calendar, or none of the offices asked for; the message says which.
    """


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


async def plan_slots(connection: Connection, offices: Sequence[Office], *, first: dt.date, last: dt.date) -> Planned:
    """
    Plan the working days of a range, both ends included, and tell what changed.
    """
    calendar = await _calendar(connection)
    days = days_between(calendar, first, last, await office_store.read_holidays(connection, first, last))
    planned = [slot for office in offices for slot in slots_of(calendar, office, days)]
    await slot_store.put_windows(connection, _windows_of(calendar, planned))
    changed = await slot_store.put(connection, planned)
    changed += await slot_store.close_unplanned(
        connection,
        office_ids=[office.office_id for office in offices],
        first=first,
        last=last,
        planned=[slot.slot_id for slot in planned],
    )
    await _tell(connection, changed)
    return Planned(
        offices=len(offices),
        first_day=first,
        last_day=last,
        slots=len(planned),
        places=sum(slot.capacity for slot in planned),
        changed=len(changed),
    )


async def plan_coming_week(
    connection: Connection, *, now: dt.datetime, office_ids: Sequence[str] = ()
) -> tuple[Planned, list[Office]]:
    """
    Plan the week that the open window releases, or else the next one, zone by zone.

    Raises `NothingToPlan` when there is nothing to plan for.
    """
    calendar = await _calendar(connection)
    offices = await _chosen(connection, office_ids)
    parts: list[Planned] = []
    for timezone in sorted({office.timezone for office in offices}):
        release = release_at(calendar.window, now, ZoneInfo(timezone))
        of_zone = [office for office in offices if office.timezone == timezone]
        parts.append(await plan_slots(connection, of_zone, first=release.first_day, last=release.last_day))
    return _sum(parts), offices


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
    calendar = await _calendar(connection)
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
        pay_seconds=pay_seconds or calendar.pay_seconds,
    )
    windows = [
        msgspec.structs.replace(nation, window_id=f"{nation.window_id}.{office_id}", office_id=office_id)
        for office_id in office_ids
    ] or [nation]
    await slot_store.put_windows(connection, windows)
    opened = await slot_store.open_for(connection, [_opening(calendar, office, windows, now) for office in offices])
    places = await _tell(connection, opened)
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


def _opening(calendar: Calendar, office: Office, windows: Sequence[WindowRow], now: dt.datetime) -> Opening:
    zone = ZoneInfo(office.timezone)
    window = next(each for each in windows if each.office_id in {None, office.office_id})
    release = release_at(calendar.window, now, zone)
    return Opening(
        office_id=office.office_id,
        window_id=window.window_id,
        first_day=max(release.first_day, window.first_day),
        last_day=min(release.last_day, window.last_day),
        opens_at=window.opens_at,
        closes_at=window.closes_at,
        next_opens_at=next_opening(calendar.window, window.closes_at, zone),
        pay_seconds=window.pay_seconds,
    )


async def _calendar(connection: Connection) -> Calendar:
    calendar = await office_store.read_calendar(connection)
    if calendar is None:
        raise NothingToPlan("there is no calendar yet; run the seed first")
    return calendar


async def _chosen(connection: Connection, office_ids: Sequence[str]) -> list[Office]:
    offices = await office_store.read(connection)
    unknown = sorted(set(office_ids) - {office.office_id for office in offices})
    if unknown:
        raise NothingToPlan(f"no such office: {', '.join(unknown)}")
    if not offices:
        raise NothingToPlan("there are no offices yet; run the seed first")
    return [office for office in offices if not office_ids or office.office_id in office_ids]


def _windows_of(calendar: Calendar, planned: Sequence[PlannedSlot]) -> list[WindowRow]:
    windows: dict[str, WindowRow] = {}
    for slot in planned:
        if slot.window_id in windows:
            continue
        release = release_of(calendar.window, slot.date, ZoneInfo(slot.timezone))
        windows[slot.window_id] = WindowRow(
            window_id=window_id_of(slot.timezone, release.first_day),
            kind="policy",
            timezone=slot.timezone,
            first_day=release.first_day,
            last_day=release.last_day,
            opens_at=release.opens_at,
            closes_at=release.closes_at,
            pay_seconds=calendar.pay_seconds,
        )
    return list(windows.values())


async def _tell(connection: Connection, slot_ids: Sequence[str]) -> int:
    """
    Say these plans. Returns how many places they have.
    """
    places = 0
    for start in range(0, len(slot_ids), CHUNK_ROWS):
        plans = await slot_store.read(connection, slot_ids[start : start + CHUNK_ROWS])
        await tell_plans(connection, plans)
        places += sum(plan.capacity for plan in plans)
    return places


def _sum(parts: Sequence[Planned]) -> Planned:
    return Planned(
        offices=sum(part.offices for part in parts),
        first_day=min(part.first_day for part in parts),
        last_day=max(part.last_day for part in parts),
        slots=sum(part.slots for part in parts),
        places=sum(part.places for part in parts),
        changed=sum(part.changed for part in parts),
    )
