"""
`/v1/bookings`: the durable record, for its holder alone. Somebody else's booking is as absent as none.
"""

import base64
import binascii
import datetime as dt
import re
from typing import Literal

import msgspec
from aiohttp import web

from kernel.http import problem
from kernel.http.application import principal_of
from kernel.http.idempotency import once
from kernel.http.problem import IDEMPOTENCY_KEY_MISSING, IDEMPOTENCY_KEY_REUSED, STILL_RUNNING, Problem
from kernel.http.route import Auth, Query, Route, answer_json, decode, query_of
from kernel.postgres import Connection
from services.booking import metrics
from services.booking.domain.lifecycle import Cancellation, State
from services.booking.domain.record import BookingRecord, in_zone
from services.booking.domain.windows import ZONE_LABELS
from services.booking.problems import BOOKING_ENDED, BOOKING_NOT_FOUND, TOO_LATE_TO_CANCEL
from services.booking.routes.keys import DATABASE
from services.booking.stores import bookings
from services.booking.stores.bookings import Told
from services.booking.use_cases.cancelling import Absent, Cancelled, NotCancelled, cancel

PAGE_MAX = 100
PAGE_DEFAULT = 20
CURSOR_CHARACTERS_MAX = 200
BOOKING_ID = re.compile(r"rsv_[0-9a-f]{32}")
"""What cannot be one is not looked up."""
NEWEST = dt.datetime(9999, 1, 1, tzinfo=dt.UTC)


class BookedOffice(msgspec.Struct, frozen=True, kw_only=True):
    """
    Where to go.
    """

    office_id: str
    name: str
    city: str
    province: str
    timezone: str
    zone_label: str | None


class HistoryStep(msgspec.Struct, frozen=True, kw_only=True):
    """
    A state and when it began.
    """

    state: State
    at: str


class BookingAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """
    A booking. Times carry the office's offset; `seats` and `person_ids` stand in the same order.
    """

    booking_id: str
    state: State
    slot_id: str
    office: BookedOffice
    date: dt.date
    session: str
    starts_at: str
    ends_at: str
    service: str
    channel: str
    seats: tuple[int, ...]
    person_ids: tuple[str, ...]
    pay_by: str
    history: list[HistoryStep]
    billing_code: str | None = None
    virtual_account: str | None = None
    amount_rupiah: int | None = None
    ntpn: str | None = None
    reason: str | None = None
    moved_to: str | None = None
    """The booking that has taken its place."""
    paid_without_seat_at: str | None = None
    """Since when money is here that has no places: they are sought, or its payer may choose."""
    refund_asked_at: str | None = None


class BookingsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """
    A page of bookings, newest first. `next_cursor` is null on the last page.
    """

    bookings: list[BookingAnswer]
    next_cursor: str | None


class CancelAsked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    Why, in one of a few words: free text would carry personal data into places that must not hold any.
    """

    reason: Literal["change_of_plans", "wrong_choice", "illness", "other"] = "other"


async def list_bookings(request: web.Request) -> web.Response:
    """
    The caller's bookings.
    """
    limit = int(query_of(request, "limit", default=str(PAGE_DEFAULT), pattern=r"[0-9]{1,3}", reason="not a number"))
    if not 1 <= limit <= PAGE_MAX:
        raise Problem(problem.BAD_REQUEST, field="limit", reason=f"must be 1..{PAGE_MAX}")
    held_before, id_before = _place_of(request.query.get("cursor"))
    async with request.app[DATABASE].connection() as connection:
        page = await bookings.read_page(
            connection,
            account_id=principal_of(request).account_id,
            held_before=held_before,
            id_before=id_before,
            limit=limit + 1,
        )
    shown = page[:limit]
    cursor = _cursor_of(shown[-1].record) if len(page) > limit else None
    return answer_json(BookingsAnswer(bookings=[answer_for(told) for told in shown], next_cursor=cursor))


async def read_booking(request: web.Request) -> web.Response:
    """
    One booking of the caller.
    """
    booking_id = request.match_info["booking_id"]
    if not BOOKING_ID.fullmatch(booking_id):
        return problem.answer(request, BOOKING_NOT_FOUND)
    async with request.app[DATABASE].connection() as connection:
        told = await bookings.read(connection, booking_id, account_id=principal_of(request).account_id)
    return problem.answer(request, BOOKING_NOT_FOUND) if told is None else answer_json(answer_for(told))


async def cancel_booking(request: web.Request) -> web.Response:
    """
    Give a booking of the caller up.
    """
    booking_id, account_id = request.match_info["booking_id"], principal_of(request).account_id
    if not BOOKING_ID.fullmatch(booking_id):
        return problem.answer(request, BOOKING_NOT_FOUND)
    asked = decode(await request.read() or b"{}", CancelAsked)
    cancelled: list[State] = []

    async def work(connection: Connection) -> web.Response:
        answer = await cancel(connection, booking_id, account_id=account_id, reason=asked.reason)
        if isinstance(answer, Cancelled):
            cancelled.append(answer.record.state)
            return await _shown(request, connection, booking_id, account_id)
        return _refusal(request, answer)

    response = await once(request, request.app[DATABASE], scope=f"cancel_booking:{account_id}:{booking_id}", work=work)
    metrics.count_steps(cancelled)
    return response


async def _shown(request: web.Request, connection: Connection, booking_id: str, account_id: str) -> web.Response:
    told = await bookings.read(connection, booking_id, account_id=account_id)
    return problem.answer(request, BOOKING_NOT_FOUND) if told is None else answer_json(answer_for(told))


def _refusal(request: web.Request, answer: Absent | NotCancelled) -> web.Response:
    if isinstance(answer, Absent):
        return problem.answer(request, BOOKING_NOT_FOUND)
    kind = TOO_LATE_TO_CANCEL if answer.why is Cancellation.TOO_LATE else BOOKING_ENDED
    return problem.answer(request, kind, state=answer.record.state.value)


def answer_for(told: Told) -> BookingAnswer:
    """
    A booking as its holder sees it.
    """
    record = told.record
    visit = record.visit
    return BookingAnswer(
        booking_id=record.booking_id,
        state=record.state,
        slot_id=visit.slot_id,
        office=BookedOffice(
            office_id=visit.office_id,
            name=visit.office_name,
            city=visit.city,
            province=visit.province,
            timezone=visit.timezone,
            zone_label=ZONE_LABELS.get(visit.timezone),
        ),
        date=visit.date,
        session=visit.session,
        starts_at=in_zone(visit.starts_at, visit.timezone),
        ends_at=in_zone(visit.ends_at, visit.timezone),
        service=visit.service,
        channel=visit.channel,
        seats=record.seats,
        person_ids=record.person_ids,
        pay_by=in_zone(record.pay_by, visit.timezone),
        history=[HistoryStep(state=step.state, at=in_zone(step.at, visit.timezone)) for step in told.history],
        billing_code=record.billing_code,
        virtual_account=record.virtual_account,
        amount_rupiah=record.amount_rupiah,
        ntpn=record.ntpn,
        reason=record.reason,
        moved_to=record.moved_to,
        paid_without_seat_at=_moment(record.unseated_at, visit.timezone),
        refund_asked_at=_moment(record.refund_asked_at, visit.timezone),
    )


def _moment(moment: dt.datetime | None, timezone: str) -> str | None:
    return None if moment is None else in_zone(moment, timezone)


def _cursor_of(record: BookingRecord) -> str:
    return base64.urlsafe_b64encode(f"{record.held_at.isoformat()} {record.booking_id}".encode()).decode()


def _place_of(cursor: str | None) -> tuple[dt.datetime, str]:
    if cursor is None:
        return NEWEST, ""
    try:
        held_at, _, booking_id = base64.urlsafe_b64decode(cursor[:CURSOR_CHARACTERS_MAX]).decode().partition(" ")
        moment = dt.datetime.fromisoformat(held_at)
    except (binascii.Error, ValueError):
        raise Problem(problem.BAD_REQUEST, field="cursor", reason="not a cursor of ours") from None
    if moment.tzinfo is None or not BOOKING_ID.fullmatch(booking_id):
        raise Problem(problem.BAD_REQUEST, field="cursor", reason="not a cursor of ours")
    return moment, booking_id


BOOKING_ROUTES = (
    Route(
        method="GET",
        path="/v1/bookings",
        handler=list_bookings,
        summary="The caller's bookings, newest first",
        operation="list_bookings",
        auth=Auth.TOKEN,
        query=(
            Query(
                name="limit",
                summary="How many.",
                schema={"type": "integer", "minimum": 1, "maximum": PAGE_MAX, "default": PAGE_DEFAULT},
            ),
            Query(
                name="cursor",
                summary="`next_cursor` of the page before.",
                schema={"type": "string", "maxLength": CURSOR_CHARACTERS_MAX},
            ),
        ),
        answers={200: BookingsAnswer},
    ),
    Route(
        method="GET",
        path="/v1/bookings/{booking_id}",
        handler=read_booking,
        summary="One booking of the caller",
        operation="read_booking",
        auth=Auth.TOKEN,
        answers={200: BookingAnswer},
        problems=(BOOKING_NOT_FOUND,),
    ),
    Route(
        method="POST",
        path="/v1/bookings/{booking_id}/cancel",
        handler=cancel_booking,
        summary="Give a booking up: unpaid at once, paid until the day before; the fee is not given back",
        operation="cancel_booking",
        auth=Auth.TOKEN,
        body=CancelAsked,
        answers={200: BookingAnswer},
        problems=(
            BOOKING_NOT_FOUND,
            TOO_LATE_TO_CANCEL,
            BOOKING_ENDED,
            IDEMPOTENCY_KEY_MISSING,
            IDEMPOTENCY_KEY_REUSED,
            STILL_RUNNING,
        ),
        idempotent=True,
    ),
)
