"""
What planners do: calendars, windows of one's own, slots resized, days closed.

A planner of an office plans for that office, a planner without one for the nation. Every
change needs a reason, which lands in the audit log with it; a plan that contradicts itself
or what stands is refused with a sentence.
"""

import datetime as dt
import re
from typing import Annotated

import msgspec
from aiohttp import web

from kernel.auth.staff import Role, has_role, must_have
from kernel.http import problem
from kernel.http.application import principal_of
from kernel.http.idempotency import Work, once
from kernel.http.problem import (
    FORBIDDEN,
    IDEMPOTENCY_KEY_MISSING,
    IDEMPOTENCY_KEY_REUSED,
    STILL_RUNNING,
    Problem,
)
from kernel.http.route import Auth, Route, answer_json, body_of
from kernel.postgres import Connection
from services.booking.domain.calendar import Calendar
from services.booking.problems import CLOSURE_NOT_FOUND, OFFICE_NOT_FOUND, PLAN_CONTRADICTS, SLOT_NOT_FOUND
from services.booking.routes.keys import DATABASE
from services.booking.stores import closures
from services.booking.stores.closures import ClosedBooking
from services.booking.stores.standings import Surplus
from services.booking.use_cases import closing, editions, opening, resizing
from services.booking.use_cases.closing import Closed, NewClosure
from services.booking.use_cases.editions import NewEdition, Put
from services.booking.use_cases.opening import NewWindow, WindowOpened
from services.booking.use_cases.planning import Contradiction, NothingToPlan
from services.booking.use_cases.resizing import Looked, Resize

Reason = Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
Moment = Annotated[dt.datetime, msgspec.Meta(tz=True)]
Seconds = Annotated[int, msgspec.Meta(ge=10, le=7 * 86_400)]
SLOT_ID = re.compile(r"[a-z0-9-]{1,64}\.[0-9]{8}(\.[a-z0-9_]{1,32}){3}")
OFFICE_ID = re.compile(r"[a-z0-9-]{1,64}")
"""What cannot be one is not looked up."""
READERS = (Role.PLANNER, Role.OFFICER, Role.AUDITOR)


class CalendarAsked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    A calendar for visits from a day on. The same day again replaces it.
    """

    effective_from: dt.date
    calendar: Calendar
    reason: Reason


class WindowAsked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    When which days are to open; without office for the whole nation. Moments carry an offset.
    """

    office_id: str | None = None
    opens_at: Moment
    closes_at: Moment
    first_day: dt.date
    last_day: dt.date
    pay_seconds: Seconds | None = None
    reason: Reason


class ResizeAsked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    How many places a slot is to have, or whether it is closed; what is left out stays.
    """

    capacity: Annotated[int, msgspec.Meta(ge=0, le=100_000)] | None = None
    closed: bool | None = None
    reason: Reason


class ClosureAsked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    Days without service; one, if `last_day` is left out.
    """

    first_day: dt.date
    last_day: dt.date | None = None
    reason: Reason


class SlotAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """
    A slot as planned, the places taken of it, and the bookings there is no room for: they stand until they are moved.
    """

    slot_id: str
    office_id: str
    date: dt.date
    channel: str
    version: int
    capacity: int
    stock_limit: int | None
    """So many of them there are booklets for; null where there are enough, or nobody counts."""
    closed: bool
    taken: int
    surplus: list[Surplus]


class ClosureAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """
    A closed day and what has become of its bookings.
    """

    office_id: str
    day: dt.date
    reason: str
    bookings: list[ClosedBooking]


async def put_office_calendar(request: web.Request) -> web.Response:
    """
    Put a calendar of an office in force from a day on.
    """
    return await _put_calendar(request, request.match_info["office_id"])


async def put_national_calendar(request: web.Request) -> web.Response:
    """
    The same for every office without one of its own.
    """
    return await _put_calendar(request, None)


async def _put_calendar(request: web.Request, office_id: str | None) -> web.Response:
    principal = principal_of(request)
    must_have(principal, Role.PLANNER, office_id)
    asked = await body_of(request, CalendarAsked)
    new = NewEdition(
        office_id=office_id,
        effective_from=asked.effective_from,
        body=asked.calendar,
        actor=principal.account_id,
        reason=asked.reason,
    )

    async def work(connection: Connection) -> web.Response:
        return _said(request, await editions.put_edition(connection, new))

    return await _once(request, f"put_calendar:{office_id or ''}", work)


async def open_window(request: web.Request) -> web.Response:
    """
    Open a window for some days.
    """
    asked = await body_of(request, WindowAsked)
    principal = principal_of(request)
    must_have(principal, Role.PLANNER, asked.office_id)
    new = NewWindow(**msgspec.structs.asdict(asked), actor=principal.account_id)

    async def work(connection: Connection) -> web.Response:
        return _said(request, await opening.open_days(connection, new), status=201)

    return await _once(request, "open_window", work)


async def resize_slot(request: web.Request) -> web.Response:
    """
    Give a slot other places, or close or open it.
    """
    slot_id, principal = request.match_info["slot_id"], principal_of(request)
    if not SLOT_ID.fullmatch(slot_id):
        return problem.answer(request, SLOT_NOT_FOUND)
    must_have(principal, Role.PLANNER, slot_id.partition(".")[0])
    fields = await body_of(request, ResizeAsked)
    asked = Resize(**msgspec.structs.asdict(fields), actor=principal.account_id)

    async def work(connection: Connection) -> web.Response:
        resized = await resizing.resize(connection, slot_id, asked)
        if resized is None:
            return problem.answer(request, SLOT_NOT_FOUND)
        return _said(request, resized if isinstance(resized, Contradiction) else _slot(resized))

    return await _once(request, f"resize_slot:{slot_id}", work)


async def read_slot(request: web.Request) -> web.Response:
    """
    A slot as staff see it.
    """
    slot_id = request.match_info["slot_id"]
    if not SLOT_ID.fullmatch(slot_id):
        return problem.answer(request, SLOT_NOT_FOUND)
    # The id begins with its office: who may not look learns nothing of what there is.
    _must_read(request, slot_id.partition(".")[0])
    async with request.app[DATABASE].connection() as connection:
        looked = await resizing.look(connection, slot_id)
    return problem.answer(request, SLOT_NOT_FOUND) if looked is None else answer_json(_slot(looked))


async def close_office(request: web.Request) -> web.Response:
    """
    Close days of an office. Its bookings are moved by the worker; what becomes of each is read under the day.
    """
    office_id, principal = request.match_info["office_id"], principal_of(request)
    must_have(principal, Role.PLANNER, office_id)
    asked = await body_of(request, ClosureAsked)
    new = NewClosure(
        office_id=office_id,
        first_day=asked.first_day,
        last_day=asked.last_day or asked.first_day,
        actor=principal.account_id,
        reason=asked.reason,
    )

    async def work(connection: Connection) -> web.Response:
        return _said(request, await closing.close_days(connection, new), status=201)

    return await _once(request, f"close_office:{office_id}", work)


async def read_closure(request: web.Request) -> web.Response:
    """
    A closed day and its bookings.
    """
    office_id, day = request.match_info["office_id"], _day_of(request)
    _must_read(request, office_id)
    if not OFFICE_ID.fullmatch(office_id):
        return problem.answer(request, CLOSURE_NOT_FOUND)
    async with request.app[DATABASE].connection() as connection:
        closure = await closures.read(connection, office_id, day)
        bookings = await closures.bookings_of(connection, office_id, day)
    if closure is None:
        return problem.answer(request, CLOSURE_NOT_FOUND)
    return answer_json(ClosureAnswer(office_id=office_id, day=day, reason=closure.reason, bookings=bookings))


async def _once(request: web.Request, scope: str, work: Work) -> web.Response:
    account_id = principal_of(request).account_id
    try:
        return await once(request, request.app[DATABASE], scope=f"{scope}:{account_id}", work=work)
    except NothingToPlan:
        return problem.answer(request, OFFICE_NOT_FOUND)


def _said(request: web.Request, answer: msgspec.Struct, *, status: int = 200) -> web.Response:
    if isinstance(answer, Contradiction):
        return problem.answer(request, PLAN_CONTRADICTS, reason=answer.reason)
    return answer_json(answer, status=status)


def _slot(looked: Looked) -> SlotAnswer:
    slot = looked.slot
    return SlotAnswer(
        slot_id=slot.slot_id,
        office_id=slot.office_id,
        date=slot.date,
        channel=slot.channel,
        version=slot.version,
        capacity=slot.capacity,
        stock_limit=slot.stock_limit,
        closed=slot.closed,
        taken=slot.taken,
        surplus=looked.surplus,
    )


def _must_read(request: web.Request, office_id: str) -> None:
    principal = principal_of(request)
    if not any(has_role(principal, role, office_id) for role in READERS):
        must_have(principal, Role.PLANNER, office_id)


def _day_of(request: web.Request) -> dt.date:
    try:
        return dt.date.fromisoformat(request.match_info["day"])
    except ValueError:
        raise Problem(problem.BAD_REQUEST, field="day", reason="write YYYY-MM-DD") from None


_KEYS = (FORBIDDEN, IDEMPOTENCY_KEY_MISSING, IDEMPOTENCY_KEY_REUSED, STILL_RUNNING, PLAN_CONTRADICTS)
PLANNING_ROUTES = (
    Route(
        method="PUT",
        path="/v1/offices/{office_id}/calendar",
        handler=put_office_calendar,
        summary="Put a calendar of an office in force from a day on",
        operation="put_office_calendar",
        auth=Auth.TOKEN,
        body=CalendarAsked,
        answers={200: Put},
        problems=(OFFICE_NOT_FOUND, *_KEYS),
        idempotent=True,
    ),
    Route(
        method="PUT",
        path="/v1/calendar",
        handler=put_national_calendar,
        summary="Put the nation's calendar in force from a day on; offices with one of their own keep it",
        operation="put_national_calendar",
        auth=Auth.TOKEN,
        body=CalendarAsked,
        answers={200: Put},
        problems=(OFFICE_NOT_FOUND, *_KEYS),
        idempotent=True,
    ),
    Route(
        method="POST",
        path="/v1/windows",
        handler=open_window,
        summary="Open a window for some days, of an office or of the whole nation",
        operation="open_window",
        auth=Auth.TOKEN,
        body=WindowAsked,
        answers={201: WindowOpened},
        problems=(OFFICE_NOT_FOUND, *_KEYS),
        idempotent=True,
    ),
    Route(
        method="GET",
        path="/v1/slots/{slot_id}",
        handler=read_slot,
        summary="A slot as staff see it, with the bookings it has no room for",
        operation="read_slot",
        auth=Auth.TOKEN,
        answers={200: SlotAnswer},
        problems=(SLOT_NOT_FOUND, FORBIDDEN),
    ),
    Route(
        method="PATCH",
        path="/v1/slots/{slot_id}",
        handler=resize_slot,
        summary="Give a slot more or fewer places while it sells, or close it; nobody is cancelled",
        operation="resize_slot",
        auth=Auth.TOKEN,
        body=ResizeAsked,
        answers={200: SlotAnswer},
        problems=(SLOT_NOT_FOUND, *_KEYS),
        idempotent=True,
    ),
    Route(
        method="POST",
        path="/v1/offices/{office_id}/closures",
        handler=close_office,
        summary="Close an office for some days; those who paid are moved to the next free places",
        operation="close_office",
        auth=Auth.TOKEN,
        body=ClosureAsked,
        answers={201: Closed},
        problems=(OFFICE_NOT_FOUND, *_KEYS),
        idempotent=True,
    ),
    Route(
        method="GET",
        path="/v1/offices/{office_id}/closures/{day}",
        handler=read_closure,
        summary="A closed day of an office and what has become of its bookings",
        operation="read_closure",
        auth=Auth.TOKEN,
        answers={200: ClosureAnswer},
        problems=(problem.BAD_REQUEST, CLOSURE_NOT_FOUND, FORBIDDEN),
    ),
)
