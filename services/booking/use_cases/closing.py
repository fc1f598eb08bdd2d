"""
Closing: an office does not serve on days on which its calendar says it would.

Called by routes inside the transaction that also stores the answer. Nothing is sold from
then on; what becomes of those who have a place already is the rebooking's business.
"""

import datetime as dt
from zoneinfo import ZoneInfo

import msgspec

from kernel.audit import entries
from kernel.audit.entries import Deed
from kernel.postgres import Connection
from services.booking.domain.policies import SPAN_DAYS_MAX
from services.booking.stores import calendars, closures, offices
from services.booking.stores.closures import ClosedBooking
from services.booking.use_cases import planning
from services.booking.use_cases.planning import Contradiction

DAYS_MAX = 31


class NewClosure(msgspec.Struct, frozen=True, kw_only=True):
    """
    Which days of which office, and why.
    """

    office_id: str
    first_day: dt.date
    last_day: dt.date
    actor: str
    reason: str


class ClosedDay(msgspec.Struct, frozen=True, kw_only=True):
    """
    A closed day and its bookings as they are now.
    """

    day: dt.date
    bookings: list[ClosedBooking]


class Closed(msgspec.Struct, frozen=True, kw_only=True):
    """
    The days and how many slots were open until now.
    """

    slots_closed: int
    days: list[ClosedDay]


async def close_days(connection: Connection, new: NewClosure) -> Closed | Contradiction:
    """
    Close them, or say why they cannot be. Raises `NothingToPlan` for an unknown office.
    """
    now = await offices.read_now(connection)
    [office] = await planning.chosen(connection, [new.office_id])
    refusal = _refusal(new, now.astimezone(ZoneInfo(office.timezone)).date())
    if refusal is not None:
        return Contradiction(reason=refusal)
    await calendars.put_closures(
        connection,
        office_id=new.office_id,
        first=new.first_day,
        last=new.last_day,
        actor=new.actor,
        reason=new.reason,
    )
    slots = await closures.close_slots(connection, new.office_id, new.first_day, new.last_day)
    await planning.tell(connection, slots)
    deed = Deed(
        actor=new.actor,
        action="close_office",
        subject=new.office_id,
        office_id=new.office_id,
        reason=new.reason,
        details={"first_day": new.first_day, "last_day": new.last_day},
    )
    await entries.write(connection, deed)
    length = (new.last_day - new.first_day).days + 1
    closed = [new.first_day + dt.timedelta(days=n) for n in range(length)]
    return Closed(
        slots_closed=len(slots),
        days=[
            ClosedDay(day=day, bookings=await closures.bookings_of(connection, new.office_id, day)) for day in closed
        ],
    )


def _refusal(new: NewClosure, today: dt.date) -> str | None:
    if new.last_day < new.first_day:
        return "the days end before they begin"
    if (new.last_day - new.first_day).days >= DAYS_MAX:
        return f"{DAYS_MAX} days at most are closed at once"
    if new.first_day < today:
        return f"{new.first_day} is over"
    if new.last_day > today + dt.timedelta(days=SPAN_DAYS_MAX):
        return f"nothing is planned more than {SPAN_DAYS_MAX} days ahead"
    return None
