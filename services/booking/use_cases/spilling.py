"""
Spilling over: what a channel has not used by a set time goes to another, never a place more or fewer.

Called by the worker as a task; any number may run. Quota may have taken places that are not
recorded yet, so it goes in two steps: the one slot is shrunk to what is known to be taken,
and only when quota has applied that, and said how many were in use, the other one grows by
the rest. In between the unused places are nobody's.
"""

import asyncio
import datetime as dt
from typing import Final
from zoneinfo import ZoneInfo

from kernel.errors import Retryable
from kernel.log import get_logger
from kernel.postgres import Connection, Database
from services.booking import metrics
from services.booking.domain.calendar import Calendars
from services.booking.domain.plan import Office
from services.booking.stores import calendars as calendar_store
from services.booking.stores import offices as office_store
from services.booking.stores import slots as slot_store
from services.booking.stores import spills, standings
from services.booking.stores.slots import WindowRow
from services.booking.stores.spills import Begun, DueSpill, Pair
from services.booking.stores.standings import Standing
from services.booking.use_cases import planning

log = get_logger(__name__)
DAYS_BEFORE_MAX: Final = 14
PAIRS_MAX: Final = 200
PAUSE_SECONDS: Final = 5.0
REMIND_SECONDS: Final = 60.0
TROUBLE_SECONDS: Final = 5.0


async def spill_for_ever(database: Database) -> None:
    """
    Spill over until cancelled.
    """
    while True:
        try:
            if await begin(database) + await finish(database) + await remind(database) == 0:
                await asyncio.sleep(PAUSE_SECONDS)
        except Retryable as error:
            log.warning("spill_over_waits", error=str(error))
            await asyncio.sleep(TROUBLE_SECONDS)


async def begin(database: Database, *, now: dt.datetime | None = None) -> int:
    """
    Shrink slots whose time has come to what is taken of them. Returns how many.

    `now` is Postgres' unless given.
    """
    async with database.transaction() as connection:
        moment = now or await office_store.read_now(connection)
        calendars = await calendar_store.read(connection)
        if calendars is None:
            return 0
        offices = await office_store.read(connection)
        due: list[DueSpill] = []
        for office in offices:
            due += due_spills(calendars, office, moment)
            # Others of the worker have their turn in between.
            await asyncio.sleep(0)
        begun = [
            pair.slot_id
            for pair in await spills.spillable(connection, due, limit=PAIRS_MAX)
            if await _shrink(connection, pair)
        ]
        await planning.tell(connection, begun)
    return len(begun)


async def finish(database: Database) -> int:
    """
    Give the places of slots that quota has shrunk to their twins. Returns how many slots.
    """
    moved = 0
    async with database.transaction() as connection:
        applied = await spills.lock_applied(connection, limit=PAIRS_MAX)
        # All at once and in one order, so that nobody waits crosswise; looked at one by one, for two may have one twin.
        await standings.lock(connection, [slot_id for each in applied for slot_id in (each.slot_id, each.target_id)])
        now = await office_store.read_now(connection)
        for each in applied:
            moved += await _give(connection, each, now)
    metrics.spilled_places.inc(moved)
    if moved:
        log.info("places_spilled_over", slots=len(applied), places=moved)
    return len(applied)


async def remind(database: Database) -> int:
    """
    Tell quota again of slots it has not said to have shrunk: it may have been rebuilt meanwhile. Returns how many.
    """
    async with database.transaction() as connection:
        reminded = await spills.ask_again(connection, after_seconds=REMIND_SECONDS, limit=PAIRS_MAX)
        await planning.tell(connection, reminded)
    return len(reminded)


def due_spills(calendars: Calendars, office: Office, now: dt.datetime) -> list[DueSpill]:
    """
    The days of an office, today's included, whose time to spill over has come by its own clock.
    """
    today = now.astimezone(ZoneInfo(office.timezone)).date()
    due: list[DueSpill] = []
    for ahead in range(DAYS_BEFORE_MAX + 1):
        day = today + dt.timedelta(days=ahead)
        if not calendars.serves_on(office.office_id, day):
            continue
        local = calendars.local(office.office_id, office.timezone, day)
        due += [
            DueSpill(
                office_id=office.office_id,
                day=day,
                source=spill.source,
                target=spill.target,
                open_minutes=spill.open_minutes,
            )
            for spill in calendars.of(office.office_id, day).calendar.spill_over
            if local.at(day - dt.timedelta(days=spill.days_before), spill.at) <= now
        ]
    return due


async def _shrink(connection: Connection, pair: Pair) -> bool:
    """
    Leave a slot no more places than are taken, once. False if none is unused, or another worker was quicker.
    """
    slot = (await standings.lock(connection, [pair.slot_id]))[pair.slot_id]
    kept = min(slot.taken, slot.capacity)
    if not await spills.begin(connection, pair, places=slot.capacity, kept=kept, version=slot.version + 1):
        return False
    version = None if kept == slot.capacity else await standings.resize(connection, pair.slot_id, capacity=kept)
    if version is None:
        await spills.end(connection, pair.slot_id, moved=0)
    return version is not None


async def _give(connection: Connection, spill: Begun, now: dt.datetime) -> int:
    """
    End one spill-over. Whoever resized the slot meanwhile has decided; a twin that was closed gets nothing.
    """
    slots = await standings.lock(connection, [spill.slot_id, spill.target_id])
    slot, target = slots[spill.slot_id], slots[spill.target_id]
    if slot.capacity != spill.kept:
        await spills.end(connection, spill.slot_id, moved=0)
        return 0
    kept = max(spill.kept, min(spill.in_use, spill.places))
    gained = 0 if target.closed else spill.places - kept
    # The places stay with the slot as far as they do not go over, also those quota had given out unrecorded.
    changed = []
    if await standings.resize(connection, spill.slot_id, capacity=spill.places - gained) is not None:
        changed.append(spill.slot_id)
    if gained:
        await standings.resize(connection, spill.target_id, capacity=target.capacity + gained)
        await _reopen(connection, spill, target, now)
        changed.append(spill.target_id)
    await spills.end(connection, spill.slot_id, moved=gained)
    await planning.tell(connection, changed)
    return gained


async def _reopen(connection: Connection, spill: Begun, target: Standing, now: dt.datetime) -> None:
    """
    Places nobody can ask for help nobody: a twin whose window is over sells on for a while, if the calendar says so.
    """
    closes_at = min(now + dt.timedelta(minutes=spill.open_minutes), target.starts_at)
    if target.closes_at > now or closes_at <= now:
        return
    window = WindowRow(
        window_id=f"spill.{spill.target_id}",
        kind="opened",
        office_id=target.office_id,
        first_day=target.date,
        last_day=target.date,
        opens_at=now,
        closes_at=closes_at,
        pay_seconds=target.pay_seconds,
    )
    await slot_store.put_windows(connection, [window])
    await spills.reopen(
        connection, spill.target_id, window_id=window.window_id, opens_at=window.opens_at, closes_at=window.closes_at
    )
