"""
Reserve, look, give back.

Every expected outcome is an answer with a code and the fields a person needs next.
Called by aiohttp through the route table, which is also what the API document is made of.
"""

from http import HTTPStatus
from typing import Annotated, Any, Final, Literal

import msgspec
from aiohttp import web

from kernel.errors import Retryable
from kernel.http import problem
from kernel.http.application import principal_of
from kernel.http.problem import Problem, ProblemType
from kernel.http.route import Auth, Route, answer_json, body_of, idempotency_key
from services.quota import problems
from services.quota.domain.availability import local_time, next_opening, utc_time
from services.quota.domain.decisions import Ask, GiveBack, Held, HoldState, Refusal, Refused
from services.quota.routes.parts import CATALOGUE, OFFICE_PATTERN, RETRY_SECONDS, refuse_unready
from services.quota.stores.holds import Holds
from services.quota.use_cases.reservations import Reservations, ask_of

RESERVATIONS: Final = web.AppKey("reservations", Reservations)
HOLDS: Final = web.AppKey("holds", Holds)

PERSONS_MAX: Final = 5

# Python's $ also matches before a last newline; the look-ahead refuses it and means nothing to other engines.
_END = r"$(?!\n)"
_PART = "[a-z0-9_-]{1,32}"
SlotId = Annotated[
    str, msgspec.Meta(pattern=rf"^{OFFICE_PATTERN}\.[0-9]{{8}}\.{_PART}\.{_PART}\.{_PART}{_END}", max_length=180)
]
PersonId = Annotated[str, msgspec.Meta(pattern=rf"^per_[0-9a-z]{{1,40}}{_END}")]


class ReservationBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    Which slot, and for whom. Places go to the persons in this order.
    """

    slot_id: SlotId
    person_ids: Annotated[tuple[PersonId, ...], msgspec.Meta(min_length=1, max_length=PERSONS_MAX)]


class ReservationView(msgspec.Struct, frozen=True, kw_only=True):
    """
    Places by number, one per person, and until when they wait for money.
    """

    reservation_id: str
    slot_id: str
    seats: tuple[int, ...]
    """Queue numbers, in the order of `person_ids`."""
    person_ids: tuple[str, ...]
    pay_by: str
    pay_by_ms: int
    state: Literal["held", "confirmed", "released"]
    give_back_asked: bool = False


class GiveBackView(msgspec.Struct, frozen=True, kw_only=True):
    """
    The wish is noted; booking decides, and its answer shows in the reservation's state.
    """

    reservation_id: str
    state: Literal["give_back_asked", "released"]


async def make_reservation(request: web.Request) -> web.Response:
    """
    Take places for a family, or say why not.
    """
    principal, key = principal_of(request), idempotency_key(request)
    body = await body_of(request, ReservationBody)
    if len(set(body.person_ids)) != len(body.person_ids):
        raise Problem(problem.BAD_REQUEST, field="person_ids", reason="a person is named twice")
    for person_id in body.person_ids:
        if person_id not in principal.person_ids:
            raise Problem(problems.PERSON_NOT_YOURS, person_id=person_id)
    refuse_unready(request)
    reservations = request.app[RESERVATIONS]
    if reservations.busy:
        raise Problem(problems.BUSY, retry_after_seconds=RETRY_SECONDS)
    ask = ask_of(principal.account_id, key, body.slot_id, body.person_ids)
    try:
        decision = await reservations.reserve(ask)
    except Retryable:
        return problem.answer(
            request,
            problem.OUTCOME_UNKNOWN,
            retry_after_seconds=RETRY_SECONDS,
            reservation_id=ask.reservation_id,
        )
    if isinstance(decision, Held):
        return _held(ask, decision)
    return await _refused(request, ask, decision)


def _held(ask: Ask, held: Held) -> web.Response:
    view = ReservationView(
        reservation_id=ask.reservation_id,
        slot_id=ask.slot_id,
        seats=held.seats,
        person_ids=ask.person_ids,
        pay_by=utc_time(held.pay_by_ms),
        pay_by_ms=held.pay_by_ms,
        state=held.state.value,
    )
    headers = {"Location": f"/v1/reservations/{ask.reservation_id}"}
    if held.replayed:
        headers["Idempotency-Replayed"] = "true"
    return answer_json(view, status=HTTPStatus.CREATED, headers=headers)


async def _refused(request: web.Request, ask: Ask, refused: Refused) -> web.Response:
    kind = REFUSALS[refused.why]
    extras = await _next_steps(request, ask, refused)
    retry_after_seconds = RETRY_SECONDS if kind.status == HTTPStatus.SERVICE_UNAVAILABLE else None
    return problem.answer(request, kind, retry_after_seconds=retry_after_seconds, **extras)


async def _next_steps(request: web.Request, ask: Ask, refused: Refused) -> dict[str, Any]:
    plan = request.app[CATALOGUE].slots.get(ask.slot_id)
    extras: dict[str, Any] = {}
    if refused.why is Refusal.WINDOW_NOT_OPEN:
        timezone = plan.timezone if plan else "UTC"
        extras = {"opens_at": local_time(refused.at_ms, timezone), "opens_at_ms": refused.at_ms}
    elif refused.why is Refusal.WINDOW_CLOSED:
        extras = {"next_opens_at": next_opening(plan) if plan else None}
    elif refused.why is Refusal.SOLD_OUT and plan is not None:
        alternatives = await request.app[RESERVATIONS].instead_of(plan, len(ask.person_ids))
        extras = {"next_opens_at": next_opening(plan), "alternatives": alternatives}
    elif refused.why is Refusal.ACCOUNT_ALREADY_RESERVED:
        extras = {"reservation_id": refused.who}
    elif refused.why is Refusal.PERSON_ALREADY_RESERVED:
        extras = {"person_id": refused.who}
    elif refused.why is Refusal.NO_SHOW_BLOCK:
        extras = {"person_id": refused.who, "until": utc_time(refused.at_ms), "until_ms": refused.at_ms}
    elif refused.why is Refusal.CLAIM_TOO_OLD:
        extras = {"reservation_id": ask.reservation_id}
    return extras


async def show_reservation(request: web.Request) -> web.Response:
    """
    The caller's own reservation, as quota knows it. Anybody else's is not there.
    """
    reservation_id = request.match_info["reservation_id"]
    found = await request.app[HOLDS].of_account(principal_of(request).account_id, reservation_id)
    if found is None:
        raise Problem(problem.NOT_FOUND)
    return answer_json(
        ReservationView(
            reservation_id=found.reservation_id,
            slot_id=found.slot_id,
            seats=found.seats,
            person_ids=found.person_ids,
            pay_by=utc_time(found.pay_by_ms),
            pay_by_ms=found.pay_by_ms,
            state=found.state.value,
            give_back_asked=found.give_back_asked,
        )
    )


async def give_back_reservation(request: web.Request) -> web.Response:
    """
    Note that the caller wants to give his places back.
    """
    idempotency_key(request)
    reservation_id = request.match_info["reservation_id"]
    outcome, state = await request.app[HOLDS].ask_give_back(principal_of(request).account_id, reservation_id)
    if outcome is GiveBack.UNKNOWN_HOLD:
        raise Problem(problem.NOT_FOUND)
    if outcome is GiveBack.ENDED:
        raise Problem(problems.RESERVATION_ENDED)
    if outcome is GiveBack.CONFIRMED:
        raise Problem(problems.RESERVATION_CONFIRMED, booking_id=reservation_id)
    view = GiveBackView(
        reservation_id=reservation_id, state="released" if state is HoldState.RELEASED else "give_back_asked"
    )
    return answer_json(view, status=HTTPStatus.ACCEPTED)


REFUSALS: Final[dict[Refusal, ProblemType]] = {
    Refusal.UNKNOWN_SLOT: problems.SLOT_NOT_FOUND,
    Refusal.KEY_REUSED: problem.IDEMPOTENCY_KEY_REUSED,
    Refusal.ENDED: problems.RESERVATION_ENDED,
    Refusal.CHANNEL_NOT_PUBLIC: problems.CHANNEL_NOT_PUBLIC,
    Refusal.SLOT_CLOSED: problems.SLOT_CLOSED,
    Refusal.WINDOW_NOT_OPEN: problems.WINDOW_NOT_OPEN,
    Refusal.WINDOW_CLOSED: problems.WINDOW_CLOSED,
    Refusal.SOLD_OUT: problems.SOLD_OUT,
    Refusal.CLAIM_TOO_OLD: problem.OUTCOME_UNKNOWN,
    Refusal.STOPPED: problems.NOT_READY,
    Refusal.UNBALANCED: problems.NOT_READY,
    Refusal.ACCOUNT_ALREADY_RESERVED: problems.ACCOUNT_ALREADY_RESERVED,
    Refusal.PERSON_ALREADY_RESERVED: problems.PERSON_ALREADY_RESERVED,
    Refusal.NO_SHOW_BLOCK: problems.NO_SHOW_BLOCK,
}
"""How each refusal is said."""

ROUTES: Final = (
    Route(
        method="POST",
        path="/v1/reservations",
        handler=make_reservation,
        summary="Reserve places of one slot for up to five persons, all or nothing",
        operation="make_reservation",
        auth=Auth.PASS_OR_TOKEN,
        body=ReservationBody,
        answers={HTTPStatus.CREATED: ReservationView},
        problems=(
            *dict.fromkeys(REFUSALS.values()),
            problems.PERSON_NOT_YOURS,
            problems.BUSY,
            problem.BAD_REQUEST,
            problem.TOO_LARGE,
        ),
        idempotent=True,
    ),
    Route(
        method="GET",
        path="/v1/reservations/{reservation_id:rsv_[0-9a-f]{32}}",
        handler=show_reservation,
        summary="One's own active or last reservation",
        operation="show_reservation",
        auth=Auth.PASS_OR_TOKEN,
        answers={HTTPStatus.OK: ReservationView},
        problems=(problem.NOT_FOUND,),
    ),
    Route(
        method="DELETE",
        path="/v1/reservations/{reservation_id:rsv_[0-9a-f]{32}}",
        handler=give_back_reservation,
        summary="Ask to give the places back before payment; booking decides",
        operation="give_back_reservation",
        auth=Auth.PASS_OR_TOKEN,
        answers={HTTPStatus.ACCEPTED: GiveBackView},
        problems=(problem.NOT_FOUND, problems.RESERVATION_ENDED, problems.RESERVATION_CONFIRMED),
        idempotent=True,
    ),
)
"""Their part of the table."""
