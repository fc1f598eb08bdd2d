"""
`/v1/offices/{office_id}/day-leaf`: a signed list of a day for hours without a network, and what comes back of it.

The leaf and the list of what is no longer valid are for the office's officers and for auditors;
uploads are the officers' alone. Ids, never names.
"""

import datetime as dt
from typing import Annotated

import msgspec
from aiohttp import web

from kernel.http import problem
from kernel.http.problem import FORBIDDEN, Problem
from kernel.http.route import Auth, Route, answer_json, body_of
from kernel.postgres import Connection
from services.booking import metrics
from services.booking.domain.lifecycle import State
from services.booking.domain.record import in_zone
from services.booking.leaves import LeafKey, SignedLeaf
from services.booking.problems import OFFICE_NOT_FOUND
from services.booking.routes.day_sheet import DAY, day_of, sheet_of
from services.booking.routes.desk import UNSAFE, Reason, deed, desk_of, must_see, office_of
from services.booking.routes.keys import DATABASE, LEAVES
from services.booking.stores import desk
from services.booking.use_cases.merging import SETTLED, Merged, Noted, Outcome, merge

REVOCATIONS_MAX = 5000
Account = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
BookingId = Annotated[str, msgspec.Meta(pattern=r"^rsv_[0-9a-f]{32}$")]


class Revocation(msgspec.Struct, frozen=True, kw_only=True):
    """
    A booking of the day that had a ticket and is no longer valid.
    """

    booking_id: str
    state: State
    since: str


class Revocations(msgspec.Struct, frozen=True, kw_only=True):
    """
    What was valid once and is not any more. `complete` is false where lines were left off.
    """

    office_id: str
    date: dt.date
    made_at: str
    complete: bool
    bookings: list[Revocation]


class LeafKeys(msgspec.Struct, frozen=True, kw_only=True):
    """
    A JWK set: a leaf is good when one of these has signed it.
    """

    keys: tuple[LeafKey, ...]


class NotedOffline(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    A check-in noted without a network: when, with its offset, and by whose account.
    """

    booking_id: BookingId
    at: dt.datetime
    by: Account


class UploadAsked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    What was noted on a leaf. Uploading it again applies nothing twice.
    """

    reason: Reason
    check_ins: Annotated[list[NotedOffline], msgspec.Meta(min_length=1, max_length=200)]


class MergedAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """
    What became of an entry; of one that conflicts, who is known to have seen the family and when.
    """

    booking_id: str
    outcome: Outcome
    state: State | None
    checked_in_at: str | None
    checked_in_by: str | None


class UploadAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """
    How many entries were new, and every conflict.
    """

    merged: int
    known: int
    conflicts: list[MergedAnswer]


async def read_leaf(request: web.Request) -> web.Response:
    """
    The day, signed.
    """
    return answer_json(request.app[LEAVES].sign(await sheet_of(request)))


async def read_revocations(request: web.Request) -> web.Response:
    """
    What on a leaf is no longer valid, signed.
    """
    office_id = office_of(request)
    must_see(request, office_id)
    async with request.app[DATABASE].connection() as connection:
        time = await desk.read_time(connection, office_id)
        if time is None:
            raise Problem(OFFICE_NOT_FOUND)
        day = day_of(request, time)
        found = await desk.read_revoked(connection, office_id, day, limit=REVOCATIONS_MAX + 1)
    revocations = Revocations(
        office_id=office_id,
        date=day,
        made_at=in_zone(time.now, time.timezone),
        complete=len(found) <= REVOCATIONS_MAX,
        bookings=[
            Revocation(booking_id=one.booking_id, state=one.state, since=in_zone(one.since, time.timezone))
            for one in found[:REVOCATIONS_MAX]
        ],
    )
    return answer_json(request.app[LEAVES].sign(revocations))


async def list_keys(request: web.Request) -> web.Response:
    """
    The keys that check leaves.
    """
    return answer_json(
        LeafKeys(keys=(request.app[LEAVES].public_key(),)), headers={"Cache-Control": "public, max-age=3600"}
    )


async def upload(request: web.Request) -> web.Response:
    """
    Merge check-ins noted offline.
    """
    asked = await body_of(request, UploadAsked)
    who = desk_of(request, asked.reason)
    if any(entry.at.tzinfo is None for entry in asked.check_ins):
        raise Problem(problem.BAD_REQUEST, field="check_ins", reason="a time without its offset")
    fresh: list[Merged] = []

    async def work(connection: Connection) -> web.Response:
        time = await desk.read_time(connection, who.office_id)
        if time is None:
            return problem.answer(request, OFFICE_NOT_FOUND)
        noted = [Noted(booking_id=each.booking_id, at=each.at, by=each.by) for each in asked.check_ins]
        merged = await merge(connection, noted, who)
        fresh.extend(one for one in merged if one.outcome is Outcome.MERGED)
        outcomes = [one.outcome for one in merged]
        return answer_json(
            UploadAnswer(
                merged=outcomes.count(Outcome.MERGED),
                known=outcomes.count(Outcome.KNOWN),
                conflicts=[_shown(one, time.timezone) for one in merged if one.outcome not in SETTLED],
            )
        )

    response = await deed(request, f"upload_leaf:{who.office_id}", work)
    metrics.check_ins.labels("offline").inc(len(fresh))
    metrics.count_steps(State.CHECKED_IN for _ in fresh)
    return response


def _shown(one: Merged, timezone: str) -> MergedAnswer:
    return MergedAnswer(
        booking_id=one.noted.booking_id,
        outcome=one.outcome,
        state=one.state,
        checked_in_at=in_zone(one.check_in.at, timezone) if one.check_in else None,
        checked_in_by=one.check_in.by_account if one.check_in else None,
    )


LEAF_ROUTES = (
    Route(
        method="GET",
        path="/v1/offices/{office_id}/day-leaf",
        handler=read_leaf,
        summary="Officers and auditors: the day sheet as a signed document, for hours without a network",
        operation="read_day_leaf",
        auth=Auth.TOKEN,
        query=(DAY,),
        answers={200: SignedLeaf},
        problems=(OFFICE_NOT_FOUND, FORBIDDEN),
    ),
    Route(
        method="GET",
        path="/v1/offices/{office_id}/revocations",
        handler=read_revocations,
        summary="Officers and auditors: bookings of a day that are no longer valid, signed",
        operation="read_revocations",
        auth=Auth.TOKEN,
        query=(DAY,),
        answers={200: SignedLeaf},
        problems=(OFFICE_NOT_FOUND, FORBIDDEN),
    ),
    Route(
        method="GET",
        path="/v1/leaf-keys",
        handler=list_keys,
        summary="The public keys that check leaves and lists of revocations",
        operation="list_leaf_keys",
        answers={200: LeafKeys},
    ),
    Route(
        method="POST",
        path="/v1/offices/{office_id}/day-leaf/uploads",
        handler=upload,
        summary="Officers: check-ins noted without a network; merged once, conflicts listed",
        operation="upload_day_leaf",
        auth=Auth.TOKEN,
        body=UploadAsked,
        answers={200: UploadAnswer},
        problems=(OFFICE_NOT_FOUND, *UNSAFE),
        idempotent=True,
    ),
)
