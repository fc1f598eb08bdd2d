"""
Doors of the staff: what banks reported that is no payment, and how finance gives it an end.
"""

import datetime as dt
import re
from typing import Annotated, Final, Literal

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
from services.payment.domain.exceptions import End, Refusal
from services.payment.domain.notices import BillingCode
from services.payment.routes.keys import BANKS, DATABASE, NOW_MS
from services.payment.stores import exceptions
from services.payment.stores.exceptions import Listed
from services.payment.use_cases import resolving
from services.payment.use_cases.resolving import Resolve

log = get_logger(__name__)
PAGE_MAX: Final = 200
PAGE_DEFAULT: Final = 50
OPEN: Final = "open"
_STATES: Final = (OPEN, *(end.value for end in End))
_NUMBER: Final = re.compile(r"[1-9][0-9]{0,17}")
_KINDS: Final = {
    Refusal.UNKNOWN: problems.EXCEPTION_NOT_FOUND,
    Refusal.RESOLVED: problems.EXCEPTION_RESOLVED,
    Refusal.NOT_RUPIAH: problems.EXCEPTION_NOT_RUPIAH,
    Refusal.MONEY_TAKEN: problems.EXCEPTION_MONEY_TAKEN,
    Refusal.GIVEN_BACK: problems.REFUND_EXISTS,
    Refusal.UNCONFIRMED: problems.EXCEPTION_UNCONFIRMED,
    Refusal.CODE_UNKNOWN: problems.BILLING_CODE_UNKNOWN,
    Refusal.INVOICE_PAID: problems.EXCEPTION_INVOICE_PAID,
    Refusal.OTHER_AMOUNT: problems.EXCEPTION_OTHER_AMOUNT,
    Refusal.MONEY_MOVED: problems.EXCEPTION_MONEY_MOVED,
    Refusal.DAY_NOT_SETTLED: problems.EXCEPTION_DAY_NOT_SETTLED,
}


class ListedReport(msgspec.Struct, frozen=True, kw_only=True):
    """
    A report as the bank told it, why it is no payment, and how it ended.
    """

    number: int
    reason: str
    bank: str
    external_id: str
    billing_code: str
    amount: str
    currency: str
    ntpn: str
    journal_number: str
    paid_at: str
    recorded_at: str
    state: str
    """open, refund, matched or dismissed."""
    resolved_by: str | None
    """Null, where it is resolved: the bank confirmed it later, and it was taken as a payment."""
    resolved_at: str | None
    resolution: str | None
    """Why it ended so."""
    refund_id: str | None
    matched_code: str | None
    """Of the invoice it has paid."""


class ExceptionsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """
    A page, and the number to go on after: null where this is the last.
    """

    exceptions: tuple[ListedReport, ...]
    next_after: int | None


class ResolveAsked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    `refund`: ask to give all of it back. `matched`: it pays the invoice of `billing_code`. `dismissed`: no money moved.
    """

    end: Literal["refund", "matched", "dismissed"]
    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=500, pattern="^[^\\x00]+$")]
    billing_code: BillingCode | None = None
    """With `matched`, and only there."""


async def get_exceptions(request: web.Request) -> web.Response:
    """
    A page of one state. For finance, auditors and SREs.
    """
    principal = principal_of(request)
    if not any(has_role(principal, role) for role in (Role.SRE, Role.FINANCE)):
        must_have(principal, Role.AUDITOR)
    after = int(query_of(request, "after", default="0", pattern="[0-9]{1,18}", reason="must be a number of the list"))
    limit = int(query_of(request, "limit", default=str(PAGE_DEFAULT), pattern="[0-9]{1,3}", reason="must be 1..200"))
    if not 1 <= limit <= PAGE_MAX:
        raise Problem(problem.BAD_REQUEST, field="limit", reason=f"must be 1..{PAGE_MAX}")
    states = "|".join(_STATES)
    state = query_of(request, "state", default=OPEN, pattern=states, reason=f"not {states}")
    async with request.app[DATABASE].connection() as connection:
        rows = await exceptions.page(connection, state, after=after, rows_max=limit + 1)
    page = tuple(_shown(row) for row in rows[:limit])
    return answer_json(ExceptionsAnswer(exceptions=page, next_after=page[-1].number if len(rows) > limit else None))


async def resolve_exception(request: web.Request) -> web.Response:
    """
    Give a report its end, after asking its bank once more.
    """
    ask = await _ask_of(request)
    if ask is None:
        return answer(request, problems.EXCEPTION_NOT_FOUND)
    said = await resolving.hear(request.app[DATABASE], request.app[BANKS], ask.number)
    taken: list[Listed] = []

    async def work(connection: Connection) -> web.Response:
        outcome = await resolving.resolve(connection, ask, said=said, now_ms=request.app[NOW_MS]())
        if isinstance(outcome, Refusal):
            return answer(request, _KINDS[outcome])
        log.info("exception_resolved", number=ask.number, end=ask.end.value, was=outcome.reason)
        taken.append(outcome)
        return answer_json(_shown(outcome))

    scope = f"resolve_exception:{ask.actor}:{ask.number}"
    response = await once(request, request.app[DATABASE], scope=scope, work=work)
    for resolved in taken:
        metrics.exceptions_resolved.labels(ask.end.value).inc()
        metrics.received_rupiah.inc(resolved.amount_rupiah or 0 if ask.end is End.MATCHED else 0)
    return response


async def _ask_of(request: web.Request) -> Resolve | None:
    """
    What is asked, or None where the number cannot be one of the list.
    """
    asked, actor = await body_of(request, ResolveAsked), principal_of(request).account_id
    spelled, end = request.match_info["exception_id"], End(asked.end)
    if not _NUMBER.fullmatch(spelled):
        return None
    if (asked.billing_code is None) == (end is End.MATCHED):
        raise Problem(problem.BAD_REQUEST, field="billing_code", reason="goes with the end `matched`, and only there")
    return Resolve(
        number=int(spelled),
        end=end,
        billing_code=asked.billing_code,
        reason=asked.reason,
        actor=actor,
        refund_id=derived("rfd", actor, f"exception:{spelled}", idempotency_key(request)),
    )


def _shown(row: Listed) -> ListedReport:
    return ListedReport(
        number=row.number,
        reason=row.reason,
        bank=row.bank,
        external_id=row.external_id,
        billing_code=row.billing_code,
        amount=row.amount_value,
        currency=row.currency,
        ntpn=row.ntpn,
        journal_number=row.journal_number,
        paid_at=dt.datetime.fromtimestamp(row.paid_at_ms / 1000, dt.UTC).isoformat("T", "milliseconds"),
        recorded_at=row.recorded_at.isoformat("T", "milliseconds"),
        state=row.state,
        resolved_by=row.resolved_by,
        resolved_at=row.resolved_at.isoformat("T", "milliseconds") if row.resolved_at else None,
        resolution=row.resolution,
        refund_id=row.refund_id,
        matched_code=row.matched_code,
    )


EXCEPTION_ROUTES = (
    Route(
        method="GET",
        path="/v1/payments/exceptions",
        handler=get_exceptions,
        summary="Reports of banks that are no payment (finance, auditor or sre)",
        operation="list_payment_exceptions",
        auth=Auth.TOKEN,
        query=(
            Query(
                name="state",
                summary="open where it is not said; or how they ended",
                schema={"type": "string", "enum": list(_STATES), "default": OPEN},
            ),
            Query(
                name="after",
                summary="go on after this number",
                schema={"type": "integer", "minimum": 0, "maximum": 10**18 - 1, "default": 0},
            ),
            Query(
                name="limit",
                summary="how many at most",
                schema={"type": "integer", "minimum": 1, "maximum": PAGE_MAX, "default": PAGE_DEFAULT},
            ),
        ),
        answers={200: ExceptionsAnswer},
    ),
    Route(
        method="POST",
        path="/v1/payments/exceptions/{exception_id}/resolve",
        handler=resolve_exception,
        summary="Give a report that is no payment its end; the id is its number in the list",
        operation="resolve_payment_exception",
        auth=Auth.TOKEN,
        role=Role.FINANCE.value,
        body=ResolveAsked,
        answers={200: ListedReport},
        problems=(*_KINDS.values(), IDEMPOTENCY_KEY_MISSING, IDEMPOTENCY_KEY_REUSED, STILL_RUNNING),
        idempotent=True,
    ),
)
