"""
`/v1/offices/{office_id}/booklets`: how many blank booklets an office has of which kind, and what is asked of them.

Planners and officers of the office write down what comes and what is there, each with a reason for the
audit log; auditors may look. Nobody is cancelled for want of booklets: who is beyond the stock is listed.
"""

import datetime as dt
from typing import Annotated

import msgspec
from aiohttp import web

from kernel.auth.staff import Role, has_role, must_have
from kernel.http import problem
from kernel.http.application import principal_of
from kernel.http.problem import Problem
from kernel.http.route import Auth, Route, answer_json, body_of
from kernel.postgres import Connection
from services.booking.problems import BOOKLETS_UNKNOWN, OFFICE_NOT_FOUND
from services.booking.routes.desk import UNSAFE, Reason, deed, office_of
from services.booking.routes.keys import DATABASE
from services.booking.stores.booklets import BeyondStock
from services.booking.use_cases import stocking
from services.booking.use_cases.stocking import (
    IN_STOCK_MAX,
    CountImpossible,
    KindStock,
    KindUnknown,
    OfficeUnknown,
    Refused,
    StockChange,
)

KEEPERS = (Role.PLANNER, Role.OFFICER)
Count = Annotated[int, msgspec.Meta(ge=0, le=IN_STOCK_MAX)]
Change = Annotated[int, msgspec.Meta(ge=-IN_STOCK_MAX, le=IN_STOCK_MAX)]


class StockAsked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    Exactly one of: how many came (or, below zero, went), how many there are, and `kept` false: nobody counts any more.
    """

    change: Change | None = None
    count: Count | None = None
    kept: bool = True
    reason: Reason


class MovementShown(msgspec.Struct, frozen=True, kw_only=True):
    """
    What changed a stock, and how many there were afterwards.
    """

    at: str
    why: str
    """change, count or served."""
    change: int
    in_stock: int
    by: str
    booking_id: str | None


class StockShown(msgspec.Struct, frozen=True, kw_only=True):
    """
    A kind at an office. Where nobody counts, `in_stock` and what follows from it are null, and it never runs out.
    """

    kind: str
    services: list[str]
    in_stock: int | None
    confirmed: int
    """Places of confirmed visits of today and later whose people have no booklet yet."""
    held: int
    """Places that may still be paid for."""
    left_over: int | None
    """Booklets nobody is promised; at zero and below nothing more is sold."""
    out_of_stock: bool
    limited_slots: int
    """Slots that may not sell all their places, for want of booklets."""
    shortfall: int
    """Places of confirmed visits beyond the stock."""
    beyond: list[BeyondStock]
    """Whose they are, by the day of the visit; the last to come, 200 at most."""
    movements: list[MovementShown]
    """The latest twenty, the latest first."""


class BookletsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """
    Every kind at an office.
    """

    office_id: str
    kinds: list[StockShown]


async def read_booklets(request: web.Request) -> web.Response:
    """
    How an office stands.
    """
    office_id = office_of(request)
    _must_be(request, office_id, *KEEPERS, Role.AUDITOR)
    async with request.app[DATABASE].transaction() as connection:
        looked = await stocking.look(connection, office_id)
    if isinstance(looked, OfficeUnknown):
        return problem.answer(request, OFFICE_NOT_FOUND)
    return answer_json(BookletsAnswer(office_id=office_id, kinds=[_shown(each) for each in looked]))


async def stock_booklets(request: web.Request) -> web.Response:
    """
    Write down what came, or what is there.
    """
    office_id, kind = office_of(request), request.match_info["kind"]
    _must_be(request, office_id, *KEEPERS)
    body = await body_of(request, StockAsked)
    if (body.change is not None) + (body.count is not None) + (not body.kept) != 1:
        raise Problem(problem.BAD_REQUEST, field="body", reason="give one of change, count and kept false")
    asked = StockChange(
        office_id=office_id,
        kind=kind,
        change=body.change,
        count=body.count,
        is_kept=body.kept,
        actor=principal_of(request).account_id,
        reason=body.reason,
    )

    async def work(connection: Connection) -> web.Response:
        answer = await stocking.change(connection, asked)
        return answer_json(_shown(answer)) if isinstance(answer, KindStock) else _refusal(request, answer)

    return await deed(request, f"stock_booklets:{office_id}:{kind}", work)


def _must_be(request: web.Request, office_id: str, *roles: Role) -> None:
    principal = principal_of(request)
    if not any(has_role(principal, role, office_id) for role in roles):
        must_have(principal, Role.PLANNER, office_id)


def _refusal(request: web.Request, answer: Refused) -> web.Response:
    match answer:
        case OfficeUnknown():
            return problem.answer(request, OFFICE_NOT_FOUND)
        case KindUnknown(kinds=kinds):
            return problem.answer(request, BOOKLETS_UNKNOWN, kinds=kinds)
        case CountImpossible(in_stock=in_stock):
            reason = f"there are {in_stock}: fewer than none or more than {IN_STOCK_MAX} would be left"
            return problem.answer(request, problem.BAD_REQUEST, field="change", reason=reason)


def _shown(stock: KindStock) -> StockShown:
    counted = stock.in_stock is not None
    return StockShown(
        kind=stock.kind.kind,
        services=stock.kind.services,
        in_stock=stock.in_stock,
        confirmed=stock.need.confirmed,
        held=stock.need.held,
        left_over=stock.need.left_over if counted else None,
        out_of_stock=counted and stock.need.left_over <= 0,
        limited_slots=stock.limited_slots,
        shortfall=stock.need.shortfall if counted else 0,
        beyond=stock.beyond,
        movements=[
            MovementShown(
                at=each.at.astimezone(dt.UTC).isoformat(),
                why=each.why,
                change=each.change,
                in_stock=each.in_stock,
                by=each.actor,
                booking_id=each.booking_id,
            )
            for each in stock.movements
        ],
    )


_PATH = "/v1/offices/{office_id}/booklets"
BOOKLET_ROUTES = (
    Route(
        method="GET",
        path=_PATH,
        handler=read_booklets,
        summary="Staff: an office's blank booklets by kind, what they are promised to, and visits beyond them",
        operation="read_booklets",
        auth=Auth.TOKEN,
        answers={200: BookletsAnswer},
        problems=(OFFICE_NOT_FOUND, problem.FORBIDDEN),
    ),
    Route(
        method="POST",
        path=f"{_PATH}/{{kind}}",
        handler=stock_booklets,
        summary="Planners and officers: booklets came, were counted, or are counted no more",
        operation="stock_booklets",
        auth=Auth.TOKEN,
        body=StockAsked,
        answers={200: StockShown},
        problems=(OFFICE_NOT_FOUND, BOOKLETS_UNKNOWN, *UNSAFE),
        idempotent=True,
    ),
)
