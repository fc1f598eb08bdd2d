"""
Another time: by the holder, by the office, and by choice of who paid and found no place.

The call asks once, waits a moment for quota's answer and says what became of it, or where to
look. Asking again with the same key looks again.
"""

import datetime as dt
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
from services.booking import problems
from services.booking.domain.record import in_zone
from services.booking.routes.bookings import BOOKING_ID, BookingAnswer, answer_for
from services.booking.routes.keys import DATABASE, MOVES
from services.booking.stores import bookings, moves
from services.booking.stores.moves import Alternative
from services.booking.stores.wishes import Standing
from services.booking.use_cases import rescheduling
from services.booking.use_cases.awaiting import answer_to
from services.booking.use_cases.rescheduling import SLOT_REFUSALS, Absent, Answer, Asked, No, NotAsked

HELD, REFUSED = "held", "refused"
SlotId = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Reason = Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
_KINDS = {
    No.NOT_MOVABLE: problems.BOOKING_NOT_MOVABLE,
    No.TOO_LATE: problems.TOO_LATE_TO_RESCHEDULE,
    No.NONE_LEFT: problems.NO_RESCHEDULE_LEFT,
    No.UNDER_WAY: problems.MOVE_UNDER_WAY,
    No.REFUND_ASKED: problems.REFUND_CHOSEN,
} | dict.fromkeys(SLOT_REFUSALS, problems.SLOT_NOT_ELIGIBLE)


class RescheduleAsked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    Where to.
    """

    slot_id: SlotId


class OfficeRescheduleAsked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    Where to, and why: the audit log keeps it.
    """

    slot_id: SlotId
    reason: Reason


class ChoiceAsked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    A slot, or the money back: one of the two.
    """

    slot_id: SlotId | None = None
    refund: bool = False


class MoveAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """
    A move: `asked`, `held` (the booking `move_id` stands in place of `booking_id`) or `refused`, and then why.
    """

    move_id: str
    booking_id: str
    state: str
    refusal: str | None = None


class SlotOffered(msgspec.Struct, frozen=True, kw_only=True):
    """
    A slot with places, as far as booking knows.
    """

    slot_id: str
    office_id: str
    office_name: str
    city: str
    date: dt.date
    session: str
    starts_at: str
    ends_at: str
    free: int


async def reschedule_booking(request: web.Request) -> web.Response:
    """
    Ask for another time for a booking of the caller.
    """
    booking_id, account_id = _booking_id(request), principal_of(request).account_id
    asked = await body_of(request, RescheduleAsked)

    async def work(connection: Connection) -> web.Response:
        answer = await rescheduling.ask_by_holder(
            connection,
            booking_id,
            account_id=account_id,
            slot_id=asked.slot_id,
            key=idempotency_key(request),
            moves_max=request.app[MOVES].reschedules_max,
        )
        return _begun(request, booking_id, answer)

    scope = f"reschedule_booking:{account_id}:{booking_id}"
    response = await once(request, request.app[DATABASE], scope=scope, work=work)
    return await _outcome(request, response, asked.slot_id)


async def reschedule_by_office(request: web.Request) -> web.Response:
    """
    Move a booking of the caller's office.
    """
    principal, office_id = principal_of(request), request.match_info["office_id"]
    must_have(principal, Role.OFFICER, office_id)
    booking_id = _booking_id(request)
    asked = await body_of(request, OfficeRescheduleAsked)

    async def work(connection: Connection) -> web.Response:
        answer = await rescheduling.ask_by_office(
            connection,
            booking_id,
            office_id=office_id,
            officer=principal.account_id,
            slot_id=asked.slot_id,
            reason=asked.reason,
            key=f"{principal.account_id} {idempotency_key(request)}",
        )
        return _begun(request, booking_id, answer)

    scope = f"reschedule_by_office:{principal.account_id}:{booking_id}"
    response = await once(request, request.app[DATABASE], scope=scope, work=work)
    return await _outcome(request, response, asked.slot_id)


async def choose(request: web.Request) -> web.Response:
    """
    Choose a slot, or the money back, for a booking of the caller that is paid and has no places.
    """
    booking_id, account_id = _booking_id(request), principal_of(request).account_id
    asked = await body_of(request, ChoiceAsked)
    if asked.refund is (asked.slot_id is not None):
        raise Problem(problem.BAD_REQUEST, field="slot_id", reason="a slot, or refund: one of the two")

    async def work(connection: Connection) -> web.Response:
        if asked.slot_id is None:
            since = await rescheduling.choose_refund(connection, booking_id, account_id=account_id)
            return (
                await _shown(request, connection, booking_id)
                if isinstance(since, dt.datetime)
                else _refusal(request, since)
            )
        key = idempotency_key(request)
        answer = await rescheduling.choose_slot(
            connection, booking_id, account_id=account_id, slot_id=asked.slot_id, key=key
        )
        return _begun(request, booking_id, answer)

    scope = f"choose:{account_id}:{booking_id}"
    response = await once(request, request.app[DATABASE], scope=scope, work=work)
    return response if asked.slot_id is None else await _outcome(request, response, asked.slot_id)


async def read_move(request: web.Request) -> web.Response:
    """
    How a move of the caller's booking stands.
    """
    return await _standing(request, account_id=principal_of(request).account_id)


async def read_office_move(request: web.Request) -> web.Response:
    """
    How a move of a booking of the caller's office stands.
    """
    office_id = request.match_info["office_id"]
    must_have(principal_of(request), Role.OFFICER, office_id)
    return await _standing(request, office_id=office_id)


async def _standing(
    request: web.Request, *, account_id: str | None = None, office_id: str | None = None
) -> web.Response:
    booking_id, move_id = request.match_info["booking_id"], request.match_info["move_id"]
    if not BOOKING_ID.fullmatch(booking_id) or not BOOKING_ID.fullmatch(move_id):
        return problem.answer(request, problems.MOVE_NOT_FOUND)
    async with request.app[DATABASE].connection() as connection:
        standing = await moves.read(
            connection, move_id=move_id, booking_id=booking_id, account_id=account_id, office_id=office_id
        )
    if standing is None:
        return problem.answer(request, problems.MOVE_NOT_FOUND)
    return answer_json(_move(booking_id, standing))


def _booking_id(request: web.Request) -> str:
    booking_id = request.match_info["booking_id"]
    if not BOOKING_ID.fullmatch(booking_id):
        raise Problem(problems.BOOKING_NOT_FOUND)
    return booking_id


def _begun(request: web.Request, booking_id: str, answer: Answer) -> web.Response:
    if isinstance(answer, Asked):
        asked = MoveAnswer(move_id=answer.move_id, booking_id=booking_id, state="asked")
        return answer_json(asked, status=HTTPStatus.ACCEPTED)
    return _refusal(request, answer)


async def _outcome(request: web.Request, response: web.Response, slot_id: str) -> web.Response:
    """
    What became of a wish that was asked now or before: only that it was asked is stored with the key.
    """
    if response.status != HTTPStatus.ACCEPTED:
        return response
    if not isinstance(response.body, bytes):
        raise TypeError("what is kept with a key is made of bytes")
    asked = msgspec.json.decode(response.body, type=MoveAnswer)
    database = request.app[DATABASE]
    standing = await answer_to(database, asked.move_id, within_seconds=request.app[MOVES].wait_seconds)
    if standing is None or standing.state not in {HELD, REFUSED}:
        # Beside where it was asked: who asks for an office looks there.
        response.headers["Location"] = f"{request.path.rpartition('/')[0]}/moves/{asked.move_id}"
        return response
    async with database.connection() as connection:
        if standing.state == HELD:
            return await _shown(request, connection, asked.move_id)
        told = await bookings.read_any(connection, asked.booking_id)
        offered = () if told is None else await rescheduling.alternatives_to(connection, told.record, but_not=[slot_id])
    return problem.answer(
        request, problems.NO_PLACES_THERE, refusal=standing.refusal, alternatives=[_offered(each) for each in offered]
    )


async def _shown(request: web.Request, connection: Connection, booking_id: str) -> web.Response:
    """
    A booking the caller was already found to have to do with.
    """
    told = await bookings.read_any(connection, booking_id)
    return problem.answer(request, problems.BOOKING_NOT_FOUND) if told is None else answer_json(answer_for(told))


def _refusal(request: web.Request, answer: Absent | NotAsked) -> web.Response:
    if isinstance(answer, Absent):
        return problem.answer(request, problems.BOOKING_NOT_FOUND)
    state = answer.record.state.value
    if answer.why not in SLOT_REFUSALS:
        return problem.answer(request, _KINDS[answer.why], state=state)
    offered = [_offered(each) for each in answer.alternatives]
    return problem.answer(
        request, _KINDS[answer.why], field="slot_id", reason=answer.why.value, state=state, alternatives=offered
    )


def _offered(slot: Alternative) -> SlotOffered:
    return SlotOffered(
        slot_id=slot.slot_id,
        office_id=slot.office_id,
        office_name=slot.office_name,
        city=slot.city,
        date=slot.date,
        session=slot.session,
        starts_at=in_zone(slot.starts_at, slot.timezone),
        ends_at=in_zone(slot.ends_at, slot.timezone),
        free=slot.free,
    )


def _move(booking_id: str, standing: Standing) -> MoveAnswer:
    return MoveAnswer(
        move_id=standing.booking_id, booking_id=booking_id, state=standing.state, refusal=standing.refusal
    )


_KEYS = (IDEMPOTENCY_KEY_MISSING, IDEMPOTENCY_KEY_REUSED, STILL_RUNNING)
_MOVED = {200: BookingAnswer, 202: MoveAnswer}
MOVE_ROUTES = (
    Route(
        method="POST",
        path="/v1/bookings/{booking_id}/reschedule",
        handler=reschedule_booking,
        summary="Another time for a confirmed booking, until the day before; the old place is kept until then",
        operation="reschedule_booking",
        auth=Auth.TOKEN,
        body=RescheduleAsked,
        answers=_MOVED,
        problems=(
            problems.BOOKING_NOT_FOUND,
            problems.BOOKING_NOT_MOVABLE,
            problems.TOO_LATE_TO_RESCHEDULE,
            problems.NO_RESCHEDULE_LEFT,
            problems.MOVE_UNDER_WAY,
            problems.SLOT_NOT_ELIGIBLE,
            problems.NO_PLACES_THERE,
            *_KEYS,
        ),
        idempotent=True,
    ),
    Route(
        method="POST",
        path="/v1/offices/{office_id}/bookings/{booking_id}/reschedule",
        handler=reschedule_by_office,
        summary="Move a booking within the office, at any time, with a reason (role officer of the office)",
        operation="reschedule_by_office",
        auth=Auth.TOKEN,
        body=OfficeRescheduleAsked,
        answers=_MOVED,
        problems=(
            problems.BOOKING_NOT_FOUND,
            problems.BOOKING_NOT_MOVABLE,
            problems.MOVE_UNDER_WAY,
            problems.REFUND_CHOSEN,
            problems.SLOT_NOT_ELIGIBLE,
            problems.NO_PLACES_THERE,
            *_KEYS,
        ),
        idempotent=True,
    ),
    Route(
        method="POST",
        path="/v1/bookings/{booking_id}/choice",
        handler=choose,
        summary="A slot of one's choice, or the money back, for a booking that is paid and has no places",
        operation="choose_after_payment",
        auth=Auth.TOKEN,
        body=ChoiceAsked,
        answers=_MOVED,
        problems=(
            problems.BOOKING_NOT_FOUND,
            problems.BOOKING_NOT_MOVABLE,
            problems.MOVE_UNDER_WAY,
            problems.REFUND_CHOSEN,
            problems.SLOT_NOT_ELIGIBLE,
            problems.NO_PLACES_THERE,
            *_KEYS,
        ),
        idempotent=True,
    ),
    Route(
        method="GET",
        path="/v1/bookings/{booking_id}/moves/{move_id}",
        handler=read_move,
        summary="How a move of the caller's booking stands",
        operation="read_move",
        auth=Auth.TOKEN,
        answers={200: MoveAnswer},
        problems=(problems.MOVE_NOT_FOUND,),
    ),
    Route(
        method="GET",
        path="/v1/offices/{office_id}/bookings/{booking_id}/moves/{move_id}",
        handler=read_office_move,
        summary="How a move of a booking of the office stands (role officer of the office)",
        operation="read_office_move",
        auth=Auth.TOKEN,
        answers={200: MoveAnswer},
        problems=(problems.MOVE_NOT_FOUND,),
    ),
)
