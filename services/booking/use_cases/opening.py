"""
Opening: a planner opens a window of its own for some days, of an office or of the whole nation.

Called by routes inside the transaction that also stores the answer. Days that are not
planned yet are planned for it; planning again leaves that window alone.
"""

import datetime as dt
from collections.abc import Sequence
from zoneinfo import ZoneInfo

import msgspec

from kernel.audit import entries
from kernel.audit.entries import Deed
from kernel.ids import fresh
from kernel.postgres import Connection
from services.booking.domain.calendar import Calendars
from services.booking.domain.plan import Office, PlannedSlot, days_between, slots_of
from services.booking.domain.policies import ALL_PERCENT, SPAN_DAYS_MAX
from services.booking.domain.releases import Portion, Release
from services.booking.stores import offices
from services.booking.stores import slots as slot_store
from services.booking.stores.slots import WindowRow
from services.booking.use_cases import planning
from services.booking.use_cases.planning import Contradiction

DAYS_MAX = 31


class NewWindow(msgspec.Struct, frozen=True, kw_only=True):
    """
    Which days open when, for whom, and why. Without office it is for the whole nation.
    """

    office_id: str | None
    opens_at: dt.datetime
    closes_at: dt.datetime
    first_day: dt.date
    last_day: dt.date
    pay_seconds: int | None
    actor: str
    reason: str


class WindowOpened(msgspec.Struct, frozen=True, kw_only=True):
    """
    A window and what it releases.
    """

    window_id: str
    opens_at: dt.datetime
    closes_at: dt.datetime
    pay_seconds: int
    offices: int
    slots: int
    places: int


async def open_days(connection: Connection, new: NewWindow) -> WindowOpened | Contradiction:
    """
    Plan and open those days, or say why they cannot be. Raises `NothingToPlan` for an unknown office.
    """
    now = await offices.read_now(connection)
    calendars = await planning.read_calendars(connection)
    concerned = await planning.chosen(connection, [] if new.office_id is None else [new.office_id])
    refusal = _refusal(new, concerned, now)
    if refusal is not None:
        return Contradiction(reason=refusal)
    window = _window_of(new, pay_seconds=new.pay_seconds or calendars.base.pay_seconds)
    planned = [slot for office in concerned for slot in _slots_of(calendars, office, window, now)]
    if not planned:
        return Contradiction(reason=f"nobody serves from {new.first_day} to {new.last_day}")
    await slot_store.put_windows(connection, [window])
    changed = await slot_store.put(connection, planned)
    days = (window.first_day, window.last_day)
    openings = [planning.opening_of(calendars, office, [window], within=days) for office in concerned]
    opened = await slot_store.open_for(connection, openings)
    places = await planning.tell(connection, sorted({*changed, *opened}))
    await _write_down(connection, new, window)
    return WindowOpened(
        window_id=window.window_id,
        opens_at=window.opens_at,
        closes_at=window.closes_at,
        pay_seconds=window.pay_seconds,
        offices=len({slot.office_id for slot in planned}),
        slots=len(opened),
        places=places,
    )


def _slots_of(calendars: Calendars, office: Office, window: WindowRow, now: dt.datetime) -> list[PlannedSlot]:
    release = Release(
        opens_at=window.opens_at,
        closes_at=window.closes_at,
        first_day=window.first_day,
        last_day=window.last_day,
        portions=(Portion(opens_at=window.opens_at, percent=ALL_PERCENT),),
    )
    days = days_between(calendars, office.office_id, window.first_day, window.last_day)
    return [
        msgspec.structs.replace(slot, window_id=window.window_id)
        for slot in slots_of(calendars, office, days, now=now, release=release)
    ]


def _window_of(new: NewWindow, *, pay_seconds: int) -> WindowRow:
    return WindowRow(
        window_id=fresh("window"),
        kind="opened",
        office_id=new.office_id,
        first_day=new.first_day,
        last_day=new.last_day,
        opens_at=new.opens_at,
        closes_at=new.closes_at,
        pay_seconds=pay_seconds,
    )


async def _write_down(connection: Connection, new: NewWindow, window: WindowRow) -> None:
    deed = Deed(
        actor=new.actor,
        action="open_window",
        subject=window.window_id,
        office_id=new.office_id,
        reason=new.reason,
        details={
            "first_day": new.first_day,
            "last_day": new.last_day,
            "opens_at": new.opens_at,
            "closes_at": new.closes_at,
        },
    )
    await entries.write(connection, deed)


def _refusal(new: NewWindow, concerned: Sequence[Office], now: dt.datetime) -> str | None:
    zones = [ZoneInfo(timezone) for timezone in {office.timezone for office in concerned}]
    today = max(now.astimezone(zone).date() for zone in zones)
    horizon = today + dt.timedelta(days=SPAN_DAYS_MAX)
    if max(new.first_day, new.last_day, new.opens_at.date(), new.closes_at.date()) > horizon:
        return f"nothing is planned more than {SPAN_DAYS_MAX} days ahead"
    last_moments = [dt.datetime.combine(new.last_day + dt.timedelta(days=1), dt.time(), zone) for zone in zones]
    wrongs = (
        (new.closes_at <= new.opens_at, "the window closes before it opens"),
        (new.closes_at <= now, "the window is over already"),
        (new.opens_at < now - dt.timedelta(days=1), "the window opens in the past"),
        (new.last_day < new.first_day, "the days end before they begin"),
        ((new.last_day - new.first_day).days >= DAYS_MAX, f"a window releases {DAYS_MAX} days at most"),
        (new.first_day < today, f"{new.first_day} is over"),
        (new.closes_at > min(last_moments), f"the window is still open when {new.last_day}, its last day, is over"),
    )
    return next((sentence for wrong, sentence in wrongs if wrong), None)
