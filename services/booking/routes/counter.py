"""
`/v1/offices/{office_id}/walk-ins` and its like: officers give the office's own places, with a reason.

Only officers of that office. The answer waits a moment for quota; who waits in vain is
told where to look. A citizen's own bookings are another door's.
"""

import datetime as dt
import re
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Annotated

import msgspec
from aiohttp import web

from kernel.auth.staff import Role, must_have
from kernel.http import problem
from kernel.http.application import principal_of
from kernel.http.idempotency import once
from kernel.http.problem import IDEMPOTENCY_KEY_MISSING, IDEMPOTENCY_KEY_REUSED, STILL_RUNNING, Problem
from kernel.http.route import Auth, Route, answer_json, body_of, idempotency_key
from kernel.postgres import Connection
from services.booking import metrics
from services.booking.domain.counter import CounterTerms, Ground, Party
from services.booking.domain.lifecycle import State
from services.booking.domain.record import in_zone
from services.booking.domain.wishes import Why
from services.booking.problems import (
    CAP_REACHED,
    NOTHING_PLANNED,
    OFFICE_NOT_FOUND,
    PLACES_REFUSED,
    SEATING_NOT_FOUND,
    SOLD_OUT,
)
from services.booking.routes.bookings import BOOKING_ID
from services.booking.routes.keys import COUNTER, DATABASE
from services.booking.settings import CounterSettings
from services.booking.stores import counter
from services.booking.stores.counter import Seated
from services.booking.use_cases.awaiting import answer_to
from services.booking.use_cases.seating import (
    Asked,
    CapReached,
    DayIsPast,
    NotAsked,
    NothingPlanned,
    OfficeUnknown,
    SeatingAsked,
    seat,
)

PERSONS_MAX = 5
_END = r"$(?!\n)"
AccountId = Annotated[str, msgspec.Meta(pattern=rf"^acc_[0-9a-z]{{1,40}}{_END}")]
PersonId = Annotated[str, msgspec.Meta(pattern=rf"^per_[0-9a-z]{{1,40}}{_END}")]
Word = Annotated[str, msgspec.Meta(pattern=rf"^[a-z][a-z0-9_]{{0,31}}{_END}")]
Reason = Annotated[str, msgspec.Meta(pattern=rf"^[^\x00-\x1f\x7f]{{1,500}}{_END}")]
"""A line of text."""
OFFICE_ID = re.compile(r"[a-z0-9-]{1,64}")
"""What cannot be one is not looked up."""


class CounterAsked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    A place for people at the counter: with an account and its people, or without, by how many they are.
    """

    service: Word
    reason: Reason
    date: dt.date | None = None
    """Today at the office, unless given."""
    session: Word | None = None
    """Any, the earliest first, unless given."""
    account_id: AccountId | None = None
    person_ids: Annotated[tuple[PersonId, ...], msgspec.Meta(min_length=1, max_length=PERSONS_MAX)] | None = None
    persons: Annotated[int, msgspec.Meta(ge=1, le=PERSONS_MAX)] | None = None


class PriorityAsked(CounterAsked, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    The same for somebody who goes first, and why.
    """

    ground: Ground


class CounterAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """
    A booking of the counter. `state` is `asked` until quota has answered, and nothing more is known until then.
    """

    booking_id: str
    office_id: str
    date: dt.date
    why: Why
    state: str
    ground: Ground | None = None
    slot_id: str | None = None
    session: str | None = None
    starts_at: str | None = None
    ends_at: str | None = None
    service: str | None = None
    seats: tuple[int, ...] | None = None
    """Queue numbers, in the order of `person_ids`."""
    person_ids: tuple[str, ...] | None = None
    pay_by: str | None = None
    billing_code: str | None = None
    """There as soon as payment has made it; ask again where `Location` says."""
    virtual_account: str | None = None
    amount_rupiah: int | None = None


async def read_counter_booking(request: web.Request) -> web.Response:
    """
    What became of a booking of the counter.
    """
    office_id, booking_id = _office_of(request), request.match_info["booking_id"]
    if not BOOKING_ID.fullmatch(booking_id):
        return problem.answer(request, SEATING_NOT_FOUND)
    async with request.app[DATABASE].connection() as connection:
        seated = await counter.read(connection, booking_id, office_id=office_id)
    if seated is None:
        return problem.answer(request, SEATING_NOT_FOUND)
    return _answer_for(request, seated, held=HTTPStatus.OK, asked=HTTPStatus.OK)


def _giving(why: Why, kind: type[CounterAsked]) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def give(request: web.Request) -> web.Response:
        """
        Ask quota for a place of the office's own, and wait for its answer.
        """
        office_id = _office_of(request)
        asked = _wanted(request, why, office_id, await body_of(request, kind))
        settings = request.app[COUNTER]

        async def work(connection: Connection) -> web.Response:
            answer = await seat(connection, asked, terms_of(settings))
            if isinstance(answer, Asked):
                return answer_json(answer, status=HTTPStatus.ACCEPTED)
            return _not_asked(request, answer)

        scope = f"seat_{why.value}:{office_id}:{asked.officer}"
        response = await once(request, request.app[DATABASE], scope=scope, work=work)
        if response.status != HTTPStatus.ACCEPTED or not isinstance(response.body, bytes):
            return response
        if "Idempotency-Replayed" not in response.headers:
            metrics.counter_bookings.labels(why.value).inc()
        return await _outcome(request, office_id, msgspec.json.decode(response.body, type=Asked).booking_id)

    return give


def _office_of(request: web.Request) -> str:
    """
    The office of the path. Raises `Problem` unless the caller is an officer of it.
    """
    office_id = request.match_info["office_id"]
    must_have(principal_of(request), Role.OFFICER, office_id)
    if not OFFICE_ID.fullmatch(office_id):
        raise Problem(OFFICE_NOT_FOUND)
    return office_id


def terms_of(settings: CounterSettings) -> CounterTerms:
    """
    The terms an office gives places on.
    """
    caps = {Why.ASSISTED: settings.assisted_places_a_day, Why.PRIORITY: settings.priority_places_a_day}
    return CounterTerms(caps=caps, pay_seconds=settings.pay_seconds)


def _wanted(request: web.Request, why: Why, office_id: str, body: CounterAsked) -> SeatingAsked:
    return SeatingAsked(
        why=why,
        office_id=office_id,
        officer=principal_of(request).account_id,
        key=idempotency_key(request),
        day=body.date,
        service=body.service,
        session=body.session,
        party=_party(body),
        persons=len(body.person_ids) if body.person_ids else body.persons or 1,
        ground=body.ground if isinstance(body, PriorityAsked) else None,
        reason=body.reason,
    )


def _party(body: CounterAsked) -> Party | None:
    """
    Raises `Problem` unless an account comes with its people, and people without an account with their number only.
    """
    if body.account_id is None and body.person_ids is None:
        return None
    if body.account_id is None or body.person_ids is None:
        raise Problem(problem.BAD_REQUEST, field="person_ids", reason="account_id and person_ids go together")
    if body.persons is not None:
        raise Problem(problem.BAD_REQUEST, field="persons", reason="goes without account_id and person_ids")
    if len(set(body.person_ids)) != len(body.person_ids):
        raise Problem(problem.BAD_REQUEST, field="person_ids", reason="a person is named twice")
    return Party(account_id=body.account_id, person_ids=body.person_ids)


def _not_asked(request: web.Request, answer: NotAsked) -> web.Response:
    match answer:
        case OfficeUnknown():
            return problem.answer(request, OFFICE_NOT_FOUND)
        case DayIsPast(today=today):
            reason = f"is past; today is {today.isoformat()} at the office"
            return problem.answer(request, problem.BAD_REQUEST, field="date", reason=reason)
        case NothingPlanned():
            return problem.answer(request, NOTHING_PLANNED)
        case CapReached(cap=cap, given=given):
            return problem.answer(request, CAP_REACHED, cap=cap, given=given)


async def _outcome(request: web.Request, office_id: str, booking_id: str) -> web.Response:
    await answer_to(request.app[DATABASE], booking_id, within_seconds=request.app[COUNTER].wait_seconds)
    async with request.app[DATABASE].connection() as connection:
        seated = await counter.read(connection, booking_id, office_id=office_id)
    if seated is None:
        return problem.answer(request, SEATING_NOT_FOUND)
    return _answer_for(request, seated, held=HTTPStatus.CREATED, asked=HTTPStatus.ACCEPTED)


def _answer_for(request: web.Request, seated: Seated, *, held: int, asked: int) -> web.Response:
    refusal = seated.reason if seated.booking_state is State.DISPLACED else seated.refusal
    if refusal == SOLD_OUT.code:
        return problem.answer(request, SOLD_OUT)
    if refusal is not None:
        return problem.answer(request, PLACES_REFUSED, refusal=refusal)
    location = f"/v1/offices/{seated.office_id}/counter-bookings/{seated.booking_id}"
    status = asked if seated.booking_state is None else held
    return answer_json(_shown(seated), status=status, headers={"Location": location})


def _shown(seated: Seated) -> CounterAnswer:
    def local(moment: dt.datetime | None) -> str | None:
        return None if moment is None or seated.timezone is None else in_zone(moment, seated.timezone)

    return CounterAnswer(
        booking_id=seated.booking_id,
        office_id=seated.office_id,
        date=seated.day,
        why=seated.why,
        state=seated.wish_state if seated.booking_state is None else seated.booking_state.value,
        ground=seated.ground,
        slot_id=seated.slot_id,
        session=seated.session,
        starts_at=local(seated.starts_at),
        ends_at=local(seated.ends_at),
        service=seated.service,
        seats=seated.seats,
        person_ids=seated.person_ids,
        pay_by=local(seated.pay_by),
        billing_code=seated.billing_code,
        virtual_account=seated.virtual_account,
        amount_rupiah=seated.amount_rupiah,
    )


def _route(path: str, why: Why, kind: type[CounterAsked], summary: str) -> Route:
    return Route(
        method="POST",
        path=f"/v1/offices/{{office_id}}/{path}",
        handler=_giving(why, kind),
        summary=summary,
        operation=f"seat_{why.value}",
        auth=Auth.TOKEN,
        body=kind,
        answers={201: CounterAnswer, 202: CounterAnswer},
        problems=(
            problem.FORBIDDEN,
            OFFICE_NOT_FOUND,
            NOTHING_PLANNED,
            CAP_REACHED,
            SOLD_OUT,
            PLACES_REFUSED,
            IDEMPOTENCY_KEY_MISSING,
            IDEMPOTENCY_KEY_REUSED,
            STILL_RUNNING,
        ),
        idempotent=True,
    )


COUNTER_ROUTES = (
    _route("walk-ins", Why.WALK_IN, CounterAsked, "Seat people who came without a booking, from the walk-in places"),
    _route("priority-bookings", Why.PRIORITY, PriorityAsked, "Book for somebody who goes first, from priority places"),
    _route("assisted-bookings", Why.ASSISTED, CounterAsked, "Book for somebody who cannot do it, up to a daily cap"),
    Route(
        method="GET",
        path="/v1/offices/{office_id}/counter-bookings/{booking_id}",
        handler=read_counter_booking,
        summary="What became of a booking an officer asked for",
        operation="read_counter_booking",
        auth=Auth.TOKEN,
        answers={200: CounterAnswer},
        problems=(problem.FORBIDDEN, OFFICE_NOT_FOUND, SEATING_NOT_FOUND, SOLD_OUT, PLACES_REFUSED),
    ),
)
