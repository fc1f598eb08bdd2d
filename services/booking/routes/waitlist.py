"""
`/v1/waitlist`: wait for places that come back, see how far one is, leave.

For citizens and the people of their own account. Nobody sees anybody else's entry.
"""

import datetime as dt
import re
from typing import Annotated

import msgspec
from aiohttp import web

from kernel.http import problem
from kernel.http.application import principal_of
from kernel.http.idempotency import once
from kernel.http.problem import IDEMPOTENCY_KEY_MISSING, IDEMPOTENCY_KEY_REUSED, STILL_RUNNING, Problem
from kernel.http.route import Auth, Route, answer_json, body_of, idempotency_key
from kernel.ids import derived
from kernel.postgres import Connection
from services.booking.domain.record import in_zone
from services.booking.domain.waitlist import Standing
from services.booking.problems import (
    APPLICANT_NOT_YOURS,
    LINE_FULL,
    NOTHING_TO_WAIT_FOR,
    PERSON_ALREADY_BOOKED,
    PLACES_LEFT,
    WAITLIST_ENTRY_NOT_FOUND,
    WAITS_ALREADY,
)
from services.booking.routes.keys import DATABASE
from services.booking.stores import waitlist
from services.booking.stores.waitlist import Entry, Listed
from services.booking.use_cases.waitlisting import (
    Joined,
    LineFull,
    NothingToWaitFor,
    NotJoined,
    PersonsBusy,
    PlacesLeft,
    WaitsAlready,
    join,
    leave,
)

PERSONS_MAX = 5
DAYS_MAX = 62
SLOT_IDS_SHOWN = 10
ENTRY_ID = re.compile(r"wtl_[0-9a-f]{32}")
"""What cannot be one is not looked up."""
_END = r"$(?!\n)"
OfficeId = Annotated[str, msgspec.Meta(pattern=rf"^[a-z0-9-]{{1,64}}{_END}")]
PersonId = Annotated[str, msgspec.Meta(pattern=rf"^per_[0-9a-z]{{1,40}}{_END}")]
Word = Annotated[str, msgspec.Meta(pattern=rf"^[a-z][a-z0-9_]{{0,31}}{_END}")]


class WaitAsked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    What to wait for: an office, a service, a range of days with both ends, and who is to come.
    """

    office_id: OfficeId
    service: Word
    first_day: dt.date
    last_day: dt.date
    person_ids: Annotated[tuple[PersonId, ...], msgspec.Meta(min_length=1, max_length=PERSONS_MAX)]


class WaitAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """
    An entry. `position` is there while it waits, 1 for who is next; an offer is a booking to be paid until `pay_by`.
    """

    entry_id: str
    state: Standing
    office_id: str
    service: str
    first_day: dt.date
    last_day: dt.date
    person_ids: tuple[str, ...]
    joined_at: str
    position: int | None = None
    booking_id: str | None = None
    pay_by: str | None = None


class WaitlistAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """
    The caller's entries, newest first.
    """

    entries: list[WaitAnswer]


async def join_waitlist(request: web.Request) -> web.Response:
    """
    Join a line at its end.
    """
    asked = await body_of(request, WaitAsked)
    _check(asked)
    principal = principal_of(request)
    if not principal.person_ids.issuperset(asked.person_ids):
        return problem.answer(request, APPLICANT_NOT_YOURS)
    entry_id = derived("wtl", principal.account_id, idempotency_key(request))
    entry = Entry(entry_id=entry_id, account_id=principal.account_id, **msgspec.structs.asdict(asked))

    async def work(connection: Connection) -> web.Response:
        answer = await join(connection, entry)
        if not isinstance(answer, Joined):
            return _not_joined(request, answer)
        [listed] = await waitlist.read(connection, account_id=principal.account_id, entry_id=entry_id)
        return answer_json(_shown(listed), status=201)

    return await once(request, request.app[DATABASE], scope=f"join_waitlist:{principal.account_id}", work=work)


async def list_waitlist(request: web.Request) -> web.Response:
    """
    The caller's entries.
    """
    async with request.app[DATABASE].connection() as connection:
        listed = await waitlist.read(connection, account_id=principal_of(request).account_id)
    return answer_json(WaitlistAnswer(entries=[_shown(entry) for entry in listed]))


async def leave_waitlist(request: web.Request) -> web.Response:
    """
    Leave a line; leaving again changes nothing.
    """
    entry_id, account_id = request.match_info["entry_id"], principal_of(request).account_id
    if not ENTRY_ID.fullmatch(entry_id):
        return problem.answer(request, WAITLIST_ENTRY_NOT_FOUND)

    async def work(connection: Connection) -> web.Response:
        if not await leave(connection, entry_id, account_id=account_id):
            return problem.answer(request, WAITLIST_ENTRY_NOT_FOUND)
        [listed] = await waitlist.read(connection, account_id=account_id, entry_id=entry_id)
        return answer_json(_shown(listed))

    return await once(request, request.app[DATABASE], scope=f"leave_waitlist:{account_id}:{entry_id}", work=work)


def _check(asked: WaitAsked) -> None:
    if not 0 <= (asked.last_day - asked.first_day).days < DAYS_MAX:
        raise Problem(problem.BAD_REQUEST, field="last_day", reason=f"the range has 1..{DAYS_MAX} days")
    if len(set(asked.person_ids)) != len(asked.person_ids):
        raise Problem(problem.BAD_REQUEST, field="person_ids", reason="a person is named twice")


def _not_joined(request: web.Request, answer: NotJoined) -> web.Response:
    match answer:
        case NothingToWaitFor():
            return problem.answer(request, NOTHING_TO_WAIT_FOR)
        case PlacesLeft(slot_ids=slot_ids):
            return problem.answer(request, PLACES_LEFT, slot_ids=slot_ids[:SLOT_IDS_SHOWN])
        case PersonsBusy(person_ids=person_ids):
            return problem.answer(request, PERSON_ALREADY_BOOKED, person_ids=person_ids)
        case WaitsAlready():
            return problem.answer(request, WAITS_ALREADY)
        case LineFull():
            return problem.answer(request, LINE_FULL)


def _shown(listed: Listed) -> WaitAnswer:
    return WaitAnswer(
        entry_id=listed.entry_id,
        state=listed.state,
        office_id=listed.office_id,
        service=listed.service,
        first_day=listed.first_day,
        last_day=listed.last_day,
        person_ids=listed.person_ids,
        joined_at=in_zone(listed.joined_at, listed.timezone),
        position=listed.position,
        booking_id=listed.booking_id,
        pay_by=None if listed.pay_by is None else in_zone(listed.pay_by, listed.timezone),
    )


_ONCE = (IDEMPOTENCY_KEY_MISSING, IDEMPOTENCY_KEY_REUSED, STILL_RUNNING)
WAITLIST_ROUTES = (
    Route(
        method="POST",
        path="/v1/waitlist",
        handler=join_waitlist,
        summary="Wait for places of a sold-out office and range of days",
        operation="join_waitlist",
        auth=Auth.TOKEN,
        body=WaitAsked,
        answers={201: WaitAnswer},
        problems=(
            APPLICANT_NOT_YOURS,
            NOTHING_TO_WAIT_FOR,
            PLACES_LEFT,
            PERSON_ALREADY_BOOKED,
            WAITS_ALREADY,
            LINE_FULL,
            *_ONCE,
        ),
        idempotent=True,
    ),
    Route(
        method="GET",
        path="/v1/waitlist",
        handler=list_waitlist,
        summary="What the caller waits for, and how far the line has come",
        operation="list_waitlist",
        auth=Auth.TOKEN,
        answers={200: WaitlistAnswer},
    ),
    Route(
        method="DELETE",
        path="/v1/waitlist/{entry_id}",
        handler=leave_waitlist,
        summary="Leave a line; an offer that is not paid is given back",
        operation="leave_waitlist",
        auth=Auth.TOKEN,
        answers={200: WaitAnswer},
        problems=(WAITLIST_ENTRY_NOT_FOUND, *_ONCE),
        idempotent=True,
    ),
)
