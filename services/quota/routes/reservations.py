"""
Look at a reservation, give it back; and the table in which the counter stands with them.

Every expected outcome is an answer with a code and the fields a person needs next.
Called by aiohttp through the route table, which is also what the API document is made of.
"""

from http import HTTPStatus
from typing import Final, Literal

import msgspec
from aiohttp import web

from kernel.http import problem
from kernel.http.application import principal_of
from kernel.http.problem import Problem
from kernel.http.route import Auth, Route, answer_json, idempotency_key
from services.quota import problems
from services.quota.domain.availability import utc_time
from services.quota.domain.decisions import GiveBack, HoldState
from services.quota.routes.reserving import (
    PATH,
    REFUSALS,
    ReservationBody,
    ReservationView,
    make_reservation,
    reserve_quickly,
)
from services.quota.stores.holds import Holds

HOLDS: Final = web.AppKey("holds", Holds)


class GiveBackView(msgspec.Struct, frozen=True, kw_only=True):
    """
    The wish is noted; booking decides, and its answer shows in the reservation's state.
    """

    reservation_id: str
    state: Literal["give_back_asked", "released"]


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


ROUTES: Final = (
    Route(
        method="POST",
        path=PATH,
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
        hot=True,
        quick=reserve_quickly,
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
