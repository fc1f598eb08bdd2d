"""
Editions: a planner puts a calendar in force from a day on, for an office or for the nation.

Called by routes inside the transaction that also stores the answer. What is on sale already
is planned again at once; bookings for which that leaves no room are listed, never cancelled.
"""

import datetime as dt
from zoneinfo import ZoneInfo

import msgspec

from kernel.audit import entries
from kernel.audit.entries import Deed
from kernel.postgres import Connection
from services.booking.domain.calendar import Calendar
from services.booking.domain.plan import Office
from services.booking.domain.policies import SPAN_DAYS_MAX, OneOff
from services.booking.stores import calendars, offices, publications, standings
from services.booking.stores.standings import Surplus
from services.booking.use_cases import planning, publishing
from services.booking.use_cases.planning import Contradiction


class NewEdition(msgspec.Struct, frozen=True, kw_only=True):
    """
    A calendar, whose it is, from when on, and why. Without office it is the nation's.
    """

    office_id: str | None
    effective_from: dt.date
    body: Calendar
    actor: str
    reason: str


class Put(msgspec.Struct, frozen=True, kw_only=True):
    """
    It is in force from that day on. The nation's is planned by the worker, so there nothing has changed yet.
    """

    slots_changed: int
    surplus: list[Surplus]


async def put_edition(connection: Connection, new: NewEdition) -> Put | Contradiction:
    """
    Keep a calendar and plan by it, or say why it cannot be. Raises `NothingToPlan` for an unknown office.
    """
    now = await offices.read_now(connection)
    concerned = await planning.chosen(connection, [] if new.office_id is None else [new.office_id])
    refusal = _refusal(new, max(_today(office, now) for office in concerned))
    if refusal is not None:
        return Contradiction(reason=refusal)
    await calendars.put_edition(
        connection,
        office_id=new.office_id,
        effective_from=new.effective_from,
        body=new.body,
        actor=new.actor,
    )
    deed = Deed(
        actor=new.actor,
        action="put_calendar",
        subject=new.office_id or "nation",
        office_id=new.office_id,
        reason=new.reason,
        details={"effective_from": new.effective_from, "calendar": new.body},
    )
    await entries.write(connection, deed)
    await publications.hurry(connection, new.office_id)
    if new.office_id is None:
        return Put(slots_changed=0, surplus=[])
    changed, _ = await publishing.publish_office(connection, new.office_id, now=now)
    return Put(slots_changed=len(changed), surplus=await standings.surplus(connection, changed))


def _refusal(new: NewEdition, today: dt.date) -> str | None:
    if new.effective_from < today:
        return f"effective_from {new.effective_from} is over: visits of the past keep their calendar"
    if new.effective_from > today + dt.timedelta(days=SPAN_DAYS_MAX):
        return f"nothing is planned more than {SPAN_DAYS_MAX} days ahead"
    window = new.body.window
    if isinstance(window, OneOff) and window.last_day < new.effective_from:
        return "the one-off window releases only days on which this calendar is not in force yet"
    return None


def _today(office: Office, now: dt.datetime) -> dt.date:
    return now.astimezone(ZoneInfo(office.timezone)).date()
