"""
`/v1/offices/{office_id}/check-ins` and the steps behind it: what officers do with a family at the desk.

Officers of the office only. A deed is done once under its Idempotency-Key and leaves a line in the audit log.
"""

import datetime as dt
from collections.abc import Awaitable, Callable
from typing import Annotated

import msgspec
from aiohttp import web

from kernel.http import problem
from kernel.http.problem import Problem, ProblemType
from kernel.http.route import Auth, Route, answer_json, body_of
from kernel.postgres import Connection
from services.booking import metrics
from services.booking.domain.desk import Ground, How, Missing, day_at
from services.booking.domain.lifecycle import State
from services.booking.domain.record import in_zone
from services.booking.problems import (
    ALREADY_CHECKED_IN,
    BOOKING_NOT_FOUND,
    OFFICE_NOT_FOUND,
    STEP_NOT_POSSIBLE,
    TICKET_REFUSED,
    TICKETS_UNREADABLE,
    WRONG_DAY,
    WRONG_OFFICE,
)
from services.booking.routes.desk import BOOKING_ID, UNSAFE, Reason, booking_of, deed, desk_of
from services.booking.routes.keys import TICKETS
from services.booking.stores import desk
from services.booking.stores.desk import Place
from services.booking.use_cases import visiting
from services.booking.use_cases.visiting import (
    Absent,
    AlreadyCheckedIn,
    Answer,
    Desk,
    Done,
    ElsewhereOrOtherDay,
)


class CheckInAsked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    A family at the desk, found by exactly one of: its ticket, its booking, its place of a day.
    """

    ticket: Annotated[str, msgspec.Meta(max_length=1000)] | None = None
    """The text of the QR code."""
    booking_id: str | None = None
    place: Place | None = None
    reason: Reason = "visit"


class StepAsked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    An everyday step; a reason is noted where there is a special one.
    """

    reason: Reason = "visit"


class IncompleteAsked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    Documents are missing: which kind, in a word that the family is told, and the officer's own words for the audit log.
    """

    reason: Reason
    missing: Missing = Missing.OTHER_DOCUMENT


class ReadyAsked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    The passports can be fetched from a day on.
    """

    pick_up_on: dt.date
    reason: Reason = "visit"


class PardonAsked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    Why the block is lifted.
    """

    reason: Reason


class VisitAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """
    A booking as the desk sees it. `seats` and `person_ids` stand in the same order; times are the office's.
    """

    booking_id: str
    state: State
    date: dt.date
    session: str
    service: str
    channel: str
    seats: tuple[int, ...]
    person_ids: tuple[str, ...]
    checked_in_at: str | None
    checked_in_by: str | None
    pick_up_on: dt.date | None
    blocked_until: str | None
    pardoned_at: str | None


async def check_in(request: web.Request) -> web.Response:
    """
    Check a family in.
    """
    asked = await body_of(request, CheckInAsked)
    who = desk_of(request, asked.reason)
    if sum(each is not None for each in (asked.ticket, asked.booking_id, asked.place)) != 1:
        raise Problem(problem.BAD_REQUEST, field="body", reason="name one of ticket, booking_id and place")
    known_id = _known_id(request, asked)
    how = How.TICKET if asked.ticket else How.BOOKING_ID if asked.booking_id else How.NUMBER

    async def work(connection: Connection) -> Answer:
        booking_id = known_id
        if asked.place is not None:
            booking_id = await desk.find(connection, who.office_id, asked.place)
        if booking_id is None:
            return Absent()
        return await visiting.check_in(connection, booking_id, who, how=how)

    response, fresh = await _answer(request, f"check_in:{who.office_id}", work)
    if fresh:
        metrics.check_ins.labels(how.value).inc()
    return response


async def serve(request: web.Request) -> web.Response:
    """
    Fingerprints and photo are taken.
    """
    asked = await body_of(request, StepAsked)
    return await _step(request, desk_of(request, asked.reason), to=State.SERVED)


async def send_back(request: web.Request) -> web.Response:
    """
    Documents are missing: the family queues again from the start, without a block.
    """
    asked = await body_of(request, IncompleteAsked)
    return await _step(request, desk_of(request, asked.reason), to=State.INCOMPLETE, missing=asked.missing)


async def process(request: web.Request) -> web.Response:
    """
    The passports are being made.
    """
    asked = await body_of(request, StepAsked)
    return await _step(request, desk_of(request, asked.reason), to=State.PROCESSING)


async def make_ready(request: web.Request) -> web.Response:
    """
    The passports can be fetched.
    """
    asked = await body_of(request, ReadyAsked)
    return await _step(request, desk_of(request, asked.reason), to=State.READY, pick_up_on=asked.pick_up_on)


async def hand_over(request: web.Request) -> web.Response:
    """
    The passports were fetched.
    """
    asked = await body_of(request, StepAsked)
    return await _step(request, desk_of(request, asked.reason), to=State.COLLECTED)


async def pardon(request: web.Request) -> web.Response:
    """
    Lift the block of a no-show who appealed.
    """
    asked = await body_of(request, PardonAsked)
    who, booking_id = desk_of(request, asked.reason), booking_of(request)

    async def work(connection: Connection) -> Answer:
        return await visiting.pardon(connection, booking_id, who, ground=Ground.APPEAL)

    response, _ = await _answer(request, f"pardon:{who.office_id}:{booking_id}", work)
    return response


def _known_id(request: web.Request, asked: CheckInAsked) -> str | None:
    if asked.ticket is None:
        return asked.booking_id if asked.booking_id and BOOKING_ID.fullmatch(asked.booking_id) else None
    reader = request.app[TICKETS]
    if not reader.can_read:
        raise Problem(TICKETS_UNREADABLE)
    claims = reader.read(asked.ticket)
    if claims is None:
        raise Problem(TICKET_REFUSED)
    return claims.booking_id


async def _step(
    request: web.Request,
    who: Desk,
    *,
    to: State,
    missing: Missing | None = None,
    pick_up_on: dt.date | None = None,
) -> web.Response:
    booking_id = booking_of(request)

    async def work(connection: Connection) -> Answer:
        if pick_up_on is not None:
            await _not_past(connection, who.office_id, pick_up_on)
        return await visiting.step(connection, booking_id, who, to=to, missing=missing, pick_up_on=pick_up_on)

    response, _ = await _answer(request, f"{to.value}:{who.office_id}:{booking_id}", work)
    return response


async def _not_past(connection: Connection, office_id: str, day: dt.date) -> None:
    time = await desk.read_time(connection, office_id)
    if time is None:
        raise Problem(OFFICE_NOT_FOUND)
    if day < day_at(time.now, time.timezone):
        raise Problem(problem.BAD_REQUEST, field="pick_up_on", reason="a day that is over at the office")


async def _answer(
    request: web.Request, what: str, work: Callable[[Connection], Awaitable[Answer]]
) -> tuple[web.Response, bool]:
    """
    What came of it, and whether it was done now and not before.
    """
    moved: list[State] = []

    async def once_only(connection: Connection) -> web.Response:
        answer = await work(connection)
        if isinstance(answer, Done):
            moved.append(answer.record.state)
            return answer_json(_shown(answer))
        return _refusal(request, answer)

    response = await deed(request, what, once_only)
    metrics.count_steps(state for state in moved if state is not State.NO_SHOW)
    return response, bool(moved)


def _shown(done: Done) -> VisitAnswer:
    record, seen, visit = done.record, done.check_in, done.record.visit
    blocked_until, pardoned_at = record.blocked_until, record.pardoned_at
    return VisitAnswer(
        booking_id=record.booking_id,
        state=record.state,
        date=visit.date,
        session=visit.session,
        service=visit.service,
        channel=visit.channel,
        seats=record.seats,
        person_ids=record.person_ids,
        checked_in_at=in_zone(seen.at, visit.timezone) if seen else None,
        checked_in_by=seen.by_account if seen else None,
        pick_up_on=record.pick_up_on,
        blocked_until=in_zone(blocked_until, visit.timezone) if blocked_until else None,
        pardoned_at=in_zone(pardoned_at, visit.timezone) if pardoned_at else None,
    )


def _refusal(request: web.Request, answer: Answer) -> web.Response:
    if isinstance(answer, Absent | Done):
        return problem.answer(request, BOOKING_NOT_FOUND)
    record = answer.record
    if isinstance(answer, ElsewhereOrOtherDay):
        if answer.at_office:
            return problem.answer(request, WRONG_DAY, date=record.visit.date.isoformat())
        return problem.answer(request, WRONG_OFFICE, office_id=record.visit.office_id)
    if isinstance(answer, AlreadyCheckedIn):
        seen = answer.check_in
        return problem.answer(
            request,
            ALREADY_CHECKED_IN,
            booking_id=record.booking_id,
            state=record.state.value,
            checked_in_at=in_zone(seen.at, record.visit.timezone) if seen else None,
            checked_in_by=seen.by_account if seen else None,
        )
    return problem.answer(request, STEP_NOT_POSSIBLE, booking_id=record.booking_id, state=record.state.value)


def _row(
    path: str,
    handler: Callable[[web.Request], Awaitable[web.Response]],
    operation: str,
    summary: str,
    body: type,
    *,
    problems: tuple[ProblemType, ...] = (STEP_NOT_POSSIBLE,),
) -> Route:
    return Route(
        method="POST",
        path=f"/v1/offices/{{office_id}}/{path}",
        handler=handler,
        summary=summary,
        operation=operation,
        auth=Auth.TOKEN,
        body=body,
        answers={200: VisitAnswer},
        problems=(OFFICE_NOT_FOUND, BOOKING_NOT_FOUND, *problems, *UNSAFE),
        idempotent=True,
    )


_OF_CHECK_IN = (
    ALREADY_CHECKED_IN,
    WRONG_DAY,
    WRONG_OFFICE,
    STEP_NOT_POSSIBLE,
    TICKET_REFUSED,
    TICKETS_UNREADABLE,
)
_STEP = "bookings/{booking_id}"
VISIT_ROUTES = (
    _row(
        "check-ins",
        check_in,
        "check_in_booking",
        "Officers: a family is at the desk",
        CheckInAsked,
        problems=_OF_CHECK_IN,
    ),
    _row(f"{_STEP}/served", serve, "serve_booking", "Officers: fingerprints and photo are taken", StepAsked),
    _row(
        f"{_STEP}/incomplete",
        send_back,
        "return_booking",
        "Officers: documents are missing; the family queues again, without a block",
        IncompleteAsked,
    ),
    _row(f"{_STEP}/processing", process, "process_booking", "Officers: the passports are being made", StepAsked),
    _row(f"{_STEP}/ready", make_ready, "ready_booking", "Officers: the passports can be fetched", ReadyAsked),
    _row(f"{_STEP}/collected", hand_over, "collect_booking", "Officers: the passports were fetched", StepAsked),
    _row(f"{_STEP}/pardon", pardon, "pardon_booking", "Officers: the block of a no-show is lifted", PardonAsked),
)
