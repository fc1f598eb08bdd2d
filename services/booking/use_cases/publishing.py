"""
Publishing: what policies release soon is planned and told without anybody asking, stage by stage.

Called by the worker as a task. Any number may run: each takes an office whose plan is due,
by a row it locks, plans it in a transaction of its own and says when to look again. What
stands is compared with what is planned, so publishing twice says nothing.
"""

import asyncio
import datetime as dt
from collections.abc import Iterator
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from kernel.errors import Retryable
from kernel.log import get_logger
from kernel.postgres import Connection, Database
from services.booking import metrics
from services.booking.domain.calendar import Calendars
from services.booking.domain.plan import Office, PlannedSlot, days_between, slots_of
from services.booking.domain.releases import Release, farthest_day, next_portion, release_of
from services.booking.stores import calendars as calendar_store
from services.booking.stores import offices as office_store
from services.booking.stores import publications
from services.booking.use_cases import planning

log = get_logger(__name__)
LOOK_AGAIN: Final = dt.timedelta(minutes=10)
"""An office is looked at so often even when nothing is due: a day has passed, a holiday was seeded."""
PAUSE_SECONDS_MAX: Final = 1.0
PAUSE_SECONDS_MIN: Final = 0.05
WATCH_SECONDS: Final = 60.0
TROUBLE_SECONDS: Final = 5.0
LATE_SHARE: Final = 0.5
"""Of the hours a calendar publishes ahead, half may pass before somebody is called."""


class Published(msgspec.Struct, frozen=True, kw_only=True):
    """
    An office that was looked at, and how many of its slots are news.
    """

    office_id: str
    changed: int


async def publish_for_ever(database: Database) -> None:
    """
    Publish until cancelled: at once while an office is due, else at the next one's moment or soon.
    """
    while True:
        try:
            if await publish(database) is None:
                await asyncio.sleep(await _pause_seconds(database))
        except (Retryable, planning.NothingToPlan) as error:
            log.warning("publishing_waits", error=str(error))
            await asyncio.sleep(TROUBLE_SECONDS)


async def watch_for_ever(database: Database) -> None:
    """
    Count windows that should be planned by now and are not; a task of its own, for who stands still says nothing.
    """
    while True:
        try:
            async with database.connection() as connection:
                late = await unplanned(connection, now=await office_store.read_now(connection))
            metrics.windows_unplanned.set(len(late))
            for office_id, opens_at in late[:10]:
                log.error("window_unplanned", office_id=office_id, opens_at=opens_at.isoformat())
        except Retryable as error:
            log.warning("watching_windows_waits", error=str(error))
        await asyncio.sleep(WATCH_SECONDS)


async def publish(database: Database) -> Published | None:
    """
    Publish the office that has been due the longest. None when none is.
    """
    async with database.transaction() as connection:
        office_id = await publications.lock_due(connection)
        if office_id is None:
            return None
        now = await office_store.read_now(connection)
        changed, look_at = await publish_office(connection, office_id, now=now)
        await publications.put_off(connection, office_id, look_at)
    metrics.published_slots.inc(len(changed))
    if changed:
        log.info("slots_published", office_id=office_id, slots=len(changed))
    return Published(office_id=office_id, changed=len(changed))


async def publish_office(connection: Connection, office_id: str, *, now: dt.datetime) -> tuple[list[str], dt.datetime]:
    """
    Plan what an office releases now and soon, and tell what changed. Returns those slots, and when more is due.
    """
    calendars = await planning.read_calendars(connection)
    [office] = await planning.chosen(connection, [office_id])
    today = _today(office, now)
    planned: list[PlannedSlot] = []
    days = [(office_id, day) for day in _closed_days(calendars, office, today)]
    look_at = now + LOOK_AGAIN
    for day, release, opens_at in _releases(calendars, office, today):
        if release.closes_at <= now:
            continue
        if opens_at > now:
            look_at = min(look_at, opens_at)
            continue
        planned += slots_of(calendars, office, [day], now=now)
        days.append((office_id, day))
        look_at = min(look_at, next_portion(release, now) or look_at)
    changed = await planning.put_plan(connection, calendars, planned, days=days)
    await planning.tell(connection, changed)
    return changed, look_at


async def unplanned(connection: Connection, *, now: dt.datetime) -> list[tuple[str, dt.datetime]]:
    """
    Offices whose window opens soon, or is open, with days that have no slots; and when it opens.
    """
    calendars = await calendar_store.read(connection)
    if calendars is None:
        return []
    known = await publications.planned_days(connection, first=now.date() - dt.timedelta(days=1))
    late: dict[tuple[str, dt.datetime], None] = {}
    for office in await office_store.read(connection):
        # Working out a nation takes a quarter of a second, in which recording must not stand still.
        await asyncio.sleep(0)
        for day, release, publish_at in _releases(calendars, office, _today(office, now)):
            called_at = publish_at + (release.opens_at - publish_at) * LATE_SHARE
            if called_at <= now < release.closes_at and (office.office_id, day) not in known:
                late[office.office_id, release.opens_at] = None
    return list(late)


def _releases(calendars: Calendars, office: Office, today: dt.date) -> Iterator[tuple[dt.date, Release, dt.datetime]]:
    """
    The days to come that something releases, with that release and the moment from which it is to be published.
    """
    for day in days_between(calendars, office.office_id, today, _last_day(calendars, office, today)):
        calendar = calendars.of(office.office_id, day).calendar
        release = release_of(calendar.window, day, calendars.local(office.office_id, office.timezone, day))
        if release is not None:
            yield day, release, release.opens_at - dt.timedelta(hours=calendar.publish_ahead_hours)


def _closed_days(calendars: Calendars, office: Office, today: dt.date) -> list[dt.date]:
    length = (_last_day(calendars, office, today) - today).days + 1
    days = (today + dt.timedelta(days=n) for n in range(length))
    return [day for day in days if not calendars.serves_on(office.office_id, day)]


def _last_day(calendars: Calendars, office: Office, today: dt.date) -> dt.date:
    own = [each.body for each in calendars.editions if each.office_id in {None, office.office_id}]
    return max(today, *(farthest_day(calendar.window, today) for calendar in (calendars.base, *own)))


def _today(office: Office, now: dt.datetime) -> dt.date:
    return now.astimezone(ZoneInfo(office.timezone)).date()


async def _pause_seconds(database: Database) -> float:
    async with database.transaction() as connection:
        await publications.begin(connection)
        seconds = await publications.seconds_to_next(connection)
    if seconds is None:
        return PAUSE_SECONDS_MAX
    return min(PAUSE_SECONDS_MAX, max(PAUSE_SECONDS_MIN, seconds))
