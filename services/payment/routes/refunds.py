"""
`/v1/refunds`: finance asks and approves, two persons of it; auditors read. And a citizen's door to his own.
"""

import datetime as dt
import re
from http import HTTPStatus
from typing import Annotated, Final
from zoneinfo import ZoneInfo

import msgspec
from aiohttp import web

from kernel.auth.staff import Role, has_role, must_have
from kernel.http import problem
from kernel.http.application import principal_of
from kernel.http.idempotency import once
from kernel.http.problem import IDEMPOTENCY_KEY_MISSING, IDEMPOTENCY_KEY_REUSED, STILL_RUNNING, Problem, answer
from kernel.http.route import Auth, Query, Route, answer_json, body_of, idempotency_key, query_of
from kernel.ids import derived
from kernel.log import get_logger
from kernel.postgres import Connection
from services.payment import metrics, problems
from services.payment.domain.refunds import Refund, RefundState, Refusal
from services.payment.routes.keys import DATABASE
from services.payment.stores import refunds
from services.payment.use_cases import refunding

log = get_logger(__name__)
PAGE_MAX: Final = 100
PAGE_DEFAULT: Final = 20
REFUND_ID: Final = re.compile(r"rfd_[0-9a-f]{32}")
"""What cannot be one is not looked up."""

BOOKING_ID: Final = re.compile(r"rsv_[0-9a-f]{32}")

Reason = Annotated[str, msgspec.Meta(min_length=1, max_length=500, pattern="^[^\\x00]+$")]

_KINDS: Final = {
    Refusal.UNKNOWN: problems.REFUND_NOT_FOUND,
    Refusal.NOTHING_PAID: problems.NOTHING_TO_REFUND,
    Refusal.MOVED: problems.NOTHING_TO_REFUND,
    Refusal.ABOVE_PAYMENT: problems.REFUND_ABOVE_PAYMENT,
    Refusal.ALREADY_ASKED: problems.REFUND_EXISTS,
    Refusal.SAME_PERSON: problems.REFUND_NEEDS_ANOTHER,
    Refusal.NOT_NOW: problems.REFUND_DECIDED,
}


class RefundAsked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    Give the payment of this booking back; by default all of it.
    """

    booking_id: Annotated[str, msgspec.Meta(pattern="^rsv_[0-9a-f]{32}$")]
    reason: Reason
    amount_rupiah: Annotated[int, msgspec.Meta(ge=1, le=10**13)] | None = None


class RefundDecided(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    Why it is approved or rejected.
    """

    reason: Reason


class RefundAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """
    A refund as staff see it. Times carry the office's offset.
    """

    refund_id: str
    booking_id: str | None
    """Null where the money came under a code nobody issued."""
    exception: int | None
    """Its number in the list of exceptions, where the money was no payment."""
    ntpn: str
    paid_rupiah: int
    amount_rupiah: int
    state: RefundState
    reason: str
    requested_by: str
    requested_at: str
    approved_by: str | None
    approved_at: str | None
    rejected_by: str | None
    rejected_at: str | None
    batch_id: str | None
    reported_at: str | None


class RefundsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """
    A page of refunds, oldest first. `next_after` is null on the last page.
    """

    refunds: list[RefundAnswer]
    next_after: str | None


class OwnRefundAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """
    A refund as the payer sees it: how much, and how far it is.
    """

    booking_id: str
    amount_rupiah: int
    state: RefundState
    requested_at: str
    reported_at: str | None
    """When the treasury was told."""


async def request_refund(request: web.Request) -> web.Response:
    """
    Ask, as the first of two persons.
    """
    asked, actor = await body_of(request, RefundAsked), principal_of(request).account_id
    refund_id = derived("rfd", actor, asked.booking_id, idempotency_key(request))

    async def work(connection: Connection) -> web.Response:
        outcome = await refunding.ask(
            connection,
            refund_id=refund_id,
            booking_id=asked.booking_id,
            amount_rupiah=asked.amount_rupiah,
            reason=asked.reason,
            actor=actor,
        )
        return _told(request, outcome, status=201)

    return _counted(
        await once(request, request.app[DATABASE], scope=f"request_refund:{actor}", work=work), RefundState.REQUESTED
    )


async def approve_refund(request: web.Request) -> web.Response:
    """
    Agree, as the second of two persons.
    """
    return await _decide(request, RefundState.APPROVED)


async def reject_refund(request: web.Request) -> web.Response:
    """
    Leave the money where it is.
    """
    return await _decide(request, RefundState.REJECTED)


async def list_refunds(request: web.Request) -> web.Response:
    """
    Refunds of one state, for finance and auditors.
    """
    principal = principal_of(request)
    if not has_role(principal, Role.AUDITOR):
        must_have(principal, Role.FINANCE)
    states = "|".join(RefundState)
    state = query_of(request, "state", default=RefundState.REQUESTED.value, pattern=states, reason=f"not {states}")
    limit = int(query_of(request, "limit", default=str(PAGE_DEFAULT), pattern=r"[0-9]{1,3}", reason="not a number"))
    if not 1 <= limit <= PAGE_MAX:
        raise Problem(problem.BAD_REQUEST, field="limit", reason=f"must be 1..{PAGE_MAX}")
    after = query_of(request, "after", default="", pattern=f"({REFUND_ID.pattern})?", reason="not a refund_id")
    async with request.app[DATABASE].connection() as connection:
        found = await refunds.page(connection, RefundState(state), after=after or None, limit=limit + 1)
    shown = found[:limit]
    following = shown[-1].refund_id if len(found) > limit else None
    return answer_json(RefundsAnswer(refunds=[_answer_for(refund) for refund in shown], next_after=following))


async def get_own_refund(request: web.Request) -> web.Response:
    """
    The refund of a booking of the caller. Another account's looks exactly like none.
    """
    booking_id = request.match_info["booking_id"]
    if not BOOKING_ID.fullmatch(booking_id):
        return answer(request, problems.REFUND_NOT_FOUND)
    async with request.app[DATABASE].connection() as connection:
        refund = await refunds.of_booking(connection, booking_id, account_id=principal_of(request).account_id)
    if refund is None:
        return answer(request, problems.REFUND_NOT_FOUND)
    return answer_json(
        OwnRefundAnswer(
            booking_id=booking_id,
            amount_rupiah=refund.amount_rupiah,
            state=refund.state,
            requested_at=_at(refund.requested_at, refund.timezone) or "",
            reported_at=_at(refund.reported_at, refund.timezone),
        )
    )


async def _decide(request: web.Request, state: RefundState) -> web.Response:
    refund_id, actor = request.match_info["refund_id"], principal_of(request).account_id
    if not REFUND_ID.fullmatch(refund_id):
        return answer(request, problems.REFUND_NOT_FOUND)
    asked = await body_of(request, RefundDecided)
    step = refunding.approve if state is RefundState.APPROVED else refunding.reject

    async def work(connection: Connection) -> web.Response:
        return _told(request, await step(connection, refund_id, actor=actor, reason=asked.reason))

    scope = f"decide_refund:{actor}:{refund_id}:{state.value}"
    return _counted(await once(request, request.app[DATABASE], scope=scope, work=work), state)


def _counted(response: web.Response, state: RefundState) -> web.Response:
    if response.status < HTTPStatus.BAD_REQUEST and "Idempotency-Replayed" not in response.headers:
        metrics.refunds.labels(state.value).inc()
    return response


def _told(request: web.Request, outcome: Refund | Refusal, *, status: int = 200) -> web.Response:
    if isinstance(outcome, Refusal):
        return answer(request, _KINDS[outcome])
    log.info("refund_step", refund_id=outcome.refund_id, booking_id=outcome.booking_id, state=outcome.state.value)
    return answer_json(_answer_for(outcome), status=status)


def _answer_for(refund: Refund) -> RefundAnswer:
    return RefundAnswer(
        refund_id=refund.refund_id,
        booking_id=refund.booking_id,
        exception=refund.exception_number,
        ntpn=refund.ntpn,
        paid_rupiah=refund.paid_rupiah,
        amount_rupiah=refund.amount_rupiah,
        state=refund.state,
        reason=refund.reason,
        requested_by=refund.requested_by,
        requested_at=_at(refund.requested_at, refund.timezone) or "",
        approved_by=refund.approved_by,
        approved_at=_at(refund.approved_at, refund.timezone),
        rejected_by=refund.rejected_by,
        rejected_at=_at(refund.rejected_at, refund.timezone),
        batch_id=refund.batch_id,
        reported_at=_at(refund.reported_at, refund.timezone),
    )


def _at(moment: dt.datetime | None, timezone: str) -> str | None:
    return None if moment is None else moment.astimezone(ZoneInfo(timezone)).isoformat(timespec="seconds")


_ONCE: Final = (IDEMPOTENCY_KEY_MISSING, IDEMPOTENCY_KEY_REUSED, STILL_RUNNING)
REFUND_ROUTES = (
    Route(
        method="GET",
        path="/v1/bookings/{booking_id}/refund",
        handler=get_own_refund,
        summary="How far the refund of a booking is",
        operation="get_own_refund",
        auth=Auth.TOKEN,
        answers={200: OwnRefundAnswer},
        problems=(problems.REFUND_NOT_FOUND,),
    ),
    Route(
        method="GET",
        path="/v1/refunds",
        handler=list_refunds,
        summary="Refunds of one state, oldest first, for finance and auditors",
        operation="list_refunds",
        auth=Auth.TOKEN,
        query=(
            Query(
                name="state",
                summary="requested where it is not said",
                schema={"type": "string", "enum": [state.value for state in RefundState]},
            ),
            Query(
                name="limit",
                summary="How many",
                schema={"type": "integer", "minimum": 1, "maximum": PAGE_MAX, "default": PAGE_DEFAULT},
            ),
            Query(name="after", summary="`next_after` of the page before", schema={"type": "string"}),
        ),
        answers={200: RefundsAnswer},
        problems=(problem.FORBIDDEN,),
    ),
    Route(
        method="POST",
        path="/v1/refunds",
        handler=request_refund,
        summary="Ask to give a payment back",
        operation="request_refund",
        auth=Auth.TOKEN,
        role=Role.FINANCE.value,
        body=RefundAsked,
        answers={201: RefundAnswer},
        problems=(problems.NOTHING_TO_REFUND, problems.REFUND_ABOVE_PAYMENT, problems.REFUND_EXISTS, *_ONCE),
        idempotent=True,
    ),
    Route(
        method="POST",
        path="/v1/refunds/{refund_id}/approve",
        handler=approve_refund,
        summary="Approve a refund somebody else has asked for",
        operation="approve_refund",
        auth=Auth.TOKEN,
        role=Role.FINANCE.value,
        body=RefundDecided,
        answers={200: RefundAnswer},
        problems=(problems.REFUND_NOT_FOUND, problems.REFUND_NEEDS_ANOTHER, problems.REFUND_DECIDED, *_ONCE),
        idempotent=True,
    ),
    Route(
        method="POST",
        path="/v1/refunds/{refund_id}/reject",
        handler=reject_refund,
        summary="Reject a refund that is not reported yet",
        operation="reject_refund",
        auth=Auth.TOKEN,
        role=Role.FINANCE.value,
        body=RefundDecided,
        answers={200: RefundAnswer},
        problems=(problems.REFUND_NOT_FOUND, problems.REFUND_DECIDED, *_ONCE),
        idempotent=True,
    ),
)
