"""
A door of the staff: what banks reported that is no payment, for a person to look at.
"""

from datetime import UTC, datetime
from typing import Final

import msgspec
from aiohttp import web

from kernel.auth.staff import Role, has_role, must_have
from kernel.http import problem
from kernel.http.application import principal_of
from kernel.http.problem import Problem
from kernel.http.route import Auth, Query, Route, answer_json, query_of
from services.payment import stores
from services.payment.routes.keys import DATABASE

PAGE_MAX: Final = 200
PAGE_DEFAULT: Final = 50


class ListedReport(msgspec.Struct, frozen=True, kw_only=True):
    """
    A report as the bank told it, and why it is no payment.
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


class ExceptionsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """
    A page, and the number to go on after: null where this is the last.
    """

    exceptions: tuple[ListedReport, ...]
    next_after: int | None


async def get_exceptions(request: web.Request) -> web.Response:
    """
    A page of what nobody has resolved. For auditors and SREs; only read.
    """
    principal = principal_of(request)
    if not has_role(principal, Role.SRE):
        must_have(principal, Role.AUDITOR)
    after = int(query_of(request, "after", default="0", pattern="[0-9]{1,18}", reason="must be a number of the list"))
    limit = int(query_of(request, "limit", default=str(PAGE_DEFAULT), pattern="[0-9]{1,3}", reason="must be 1..200"))
    if not 1 <= limit <= PAGE_MAX:
        raise Problem(problem.BAD_REQUEST, field="limit", reason=f"must be 1..{PAGE_MAX}")
    async with request.app[DATABASE].connection() as connection:
        rows = await stores.exceptions(connection, after=after, rows_max=limit + 1)
    page = tuple(
        ListedReport(
            number=row["number"],
            reason=row["reason"],
            bank=row["bank"],
            external_id=row["external_id"],
            billing_code=row["billing_code"],
            amount=row["amount_value"],
            currency=row["currency"],
            ntpn=row["ntpn"],
            journal_number=row["journal_number"],
            paid_at=datetime.fromtimestamp(row["paid_at_ms"] / 1000, UTC).isoformat("T", "milliseconds"),
            recorded_at=row["recorded_at"].isoformat("T", "milliseconds"),
        )
        for row in rows[:limit]
    )
    return answer_json(ExceptionsAnswer(exceptions=page, next_after=page[-1].number if len(rows) > limit else None))


EXCEPTION_ROUTES = (
    Route(
        method="GET",
        path="/v1/payments/exceptions",
        handler=get_exceptions,
        summary="Reports of banks that are no payment (auditor or sre)",
        operation="list_payment_exceptions",
        auth=Auth.TOKEN,
        query=(
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
)
