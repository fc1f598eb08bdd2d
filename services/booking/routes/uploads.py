"""
`/v1/offices/{office_id}/day-leaf/uploads`: what a desk noted without a network is brought in later, each once.

Check-ins are merged at once. People who came without a booking are put on record, and quota is asked for their
places: the answer waits a moment for it, and the same upload again, or the list of the day, says what has become of
each. For the office's officers; auditors may look. Ids, never names.
"""

import datetime as dt
from http import HTTPStatus
from typing import Annotated

import msgspec
from aiohttp import web

from kernel.http import problem
from kernel.http.problem import FORBIDDEN, Problem
from kernel.http.route import Auth, Route, answer_json, body_of
from kernel.postgres import Connection
from services.booking import metrics
from services.booking.domain.lifecycle import State
from services.booking.domain.noting import CONFLICTS, UNDER_WAY, WalkInOutcome
from services.booking.domain.record import in_zone
from services.booking.problems import OFFICE_NOT_FOUND
from services.booking.routes.day_sheet import DAY, day_of
from services.booking.routes.desk import UNSAFE, Reason, deed, desk_of, must_see, office_of
from services.booking.routes.keys import COUNTER, DATABASE
from services.booking.stores import desk
from services.booking.stores import noting as notes
from services.booking.stores.noting import Became
from services.booking.use_cases import noting
from services.booking.use_cases.merging import SETTLED, Merged, Noted, Outcome, merge
from services.booking.use_cases.noting import Taken, WalkInNoted

PERSONS_MAX = 5
NOTES_MAX = 1000
Account = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
BookingId = Annotated[str, msgspec.Meta(pattern=r"^rsv_[0-9a-f]{32}$")]
EntryId = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]{8,64}$(?!\n)")]
Service = Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_]{0,31}$(?!\n)")]
Number = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]


class NotedOffline(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    A check-in noted without a network: when, with its offset, and by whose account.
    """

    booking_id: BookingId
    at: dt.datetime
    by: Account


class WalkInNotedOffline(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    People who came without a booking, under an id the desk chose when it noted them.
    """

    entry_id: EntryId
    service: Service
    persons: Annotated[int, msgspec.Meta(ge=1, le=PERSONS_MAX)]
    numbers: Annotated[tuple[Number, ...], msgspec.Meta(max_length=PERSONS_MAX)] = ()
    """Queue numbers of the walk-in places that were handed out, one a person; or none."""
    at: dt.datetime
    by: Account
    served: bool = True
    """False: they were seen, and are to be served another time."""
    reason: Reason


class UploadAsked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    What was noted on a leaf: check-ins, walk-ins, or both. Uploading it again applies nothing twice.
    """

    reason: Reason
    check_ins: Annotated[list[NotedOffline], msgspec.Meta(max_length=200)] = []
    walk_ins: Annotated[list[WalkInNotedOffline], msgspec.Meta(max_length=100)] = []


class MergedAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """
    What became of an entry; of one that conflicts, who is known to have seen the family and when.
    """

    booking_id: str
    outcome: Outcome
    state: State | None
    checked_in_at: str | None
    checked_in_by: str | None


class WalkInAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """
    What has become of people noted as walk-ins. `seats` are the numbers they have, whatever was handed out.
    """

    entry_id: str
    outcome: WalkInOutcome
    date: dt.date | None = None
    service: str | None = None
    persons: int | None = None
    numbers: tuple[int, ...] = ()
    noted_at: str | None = None
    noted_by: str | None = None
    served: bool | None = None
    booking_id: str | None = None
    state: State | None = None
    slot_id: str | None = None
    seats: tuple[int, ...] = ()
    refusal: str | None = None
    """Quota's word where it gave none."""
    pay_by: str | None = None
    billing_code: str | None = None
    virtual_account: str | None = None
    amount_rupiah: int | None = None


class UploadAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """
    How many check-ins were new and how many known, every one that conflicts, and every walk-in.
    """

    merged: int
    known: int
    conflicts: list[MergedAnswer]
    walk_ins: list[WalkInAnswer] = []
    walk_ins_under_way: int = 0
    """Not at an end yet: the same upload again, or the list of the day, tells more."""
    walk_in_conflicts: int = 0


class WalkInsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """
    Everybody noted as a walk-in on a day, in the order they came.
    """

    office_id: str
    date: dt.date
    complete: bool
    walk_ins: list[WalkInAnswer]


class _Kept(msgspec.Struct, frozen=True, kw_only=True):
    """
    What is kept under the Idempotency-Key; what has become of walk-ins is looked up anew each time.
    """

    merged: int
    known: int
    conflicts: list[MergedAnswer]
    taken: list[Taken] = []


async def upload(request: web.Request) -> web.Response:
    """
    Merge what was noted offline.
    """
    asked = await body_of(request, UploadAsked)
    who = desk_of(request, asked.reason)
    _must_be_whole(asked)
    pay_seconds = request.app[COUNTER].pay_seconds
    fresh: list[Merged] = []

    async def work(connection: Connection) -> web.Response:
        time = await desk.read_time(connection, who.office_id)
        if time is None:
            return problem.answer(request, OFFICE_NOT_FOUND)
        checked_in = [Noted(booking_id=each.booking_id, at=each.at, by=each.by) for each in asked.check_ins]
        merged = await merge(connection, checked_in, who)
        fresh.extend(one for one in merged if one.outcome is Outcome.MERGED)
        taken = await noting.take(connection, [_noted(each) for each in asked.walk_ins], who, pay_seconds=pay_seconds)
        outcomes = [one.outcome for one in merged]
        kept = _Kept(
            merged=outcomes.count(Outcome.MERGED),
            known=outcomes.count(Outcome.KNOWN),
            conflicts=[_shown(one, time.timezone) for one in merged if one.outcome not in SETTLED],
            taken=taken or [],
        )
        return answer_json(kept)

    response = await deed(request, f"upload_leaf:{who.office_id}", work)
    metrics.check_ins.labels("offline").inc(len(fresh))
    metrics.count_steps(State.CHECKED_IN for _ in fresh)
    if response.status != HTTPStatus.OK or not isinstance(response.body, bytes):
        return response
    kept = msgspec.json.decode(response.body, type=_Kept)
    return await _answer(request, who.office_id, kept, replayed="Idempotency-Replayed" in response.headers)


async def list_walk_ins(request: web.Request) -> web.Response:
    """
    What has become of everybody noted on a day.
    """
    office_id = office_of(request)
    must_see(request, office_id)
    async with request.app[DATABASE].connection() as connection:
        time = await desk.read_time(connection, office_id)
        if time is None:
            raise Problem(OFFICE_NOT_FOUND)
        day = day_of(request, time)
        found = await notes.read_day(connection, office_id, day, limit=NOTES_MAX + 1)
    return answer_json(
        WalkInsAnswer(
            office_id=office_id,
            date=day,
            complete=len(found) <= NOTES_MAX,
            walk_ins=[_walk_in(one, one.outcome, time.timezone) for one in found[:NOTES_MAX]],
        )
    )


def _must_be_whole(asked: UploadAsked) -> None:
    if not asked.check_ins and not asked.walk_ins:
        raise Problem(problem.BAD_REQUEST, field="check_ins", reason="nothing was noted")
    for field, entries in (("check_ins", asked.check_ins), ("walk_ins", asked.walk_ins)):
        if any(entry.at.tzinfo is None for entry in entries):
            raise Problem(problem.BAD_REQUEST, field=field, reason="a time without its offset")
    for entry in asked.walk_ins:
        if entry.numbers and not len(set(entry.numbers)) == len(entry.numbers) == entry.persons:
            raise Problem(problem.BAD_REQUEST, field="walk_ins", reason="a number for each person, or none")


def _noted(entry: WalkInNotedOffline) -> WalkInNoted:
    return WalkInNoted(**msgspec.structs.asdict(entry))


async def _answer(request: web.Request, office_id: str, kept: _Kept, *, replayed: bool) -> web.Response:
    became: dict[str, Became] = {}
    timezone = "UTC"
    if kept.taken:
        entry_ids = [one.entry_id for one in kept.taken]
        wait_seconds = request.app[COUNTER].wait_seconds
        became = await noting.settled(request.app[DATABASE], office_id, entry_ids, within_seconds=wait_seconds)
        async with request.app[DATABASE].connection() as connection:
            time = await desk.read_time(connection, office_id)
        timezone = time.timezone if time else timezone
    walk_ins = [_one(taken, became.get(taken.entry_id), timezone) for taken in kept.taken]
    answer = UploadAnswer(
        merged=kept.merged,
        known=kept.known,
        conflicts=kept.conflicts,
        walk_ins=walk_ins,
        walk_ins_under_way=sum(one.outcome in UNDER_WAY for one in walk_ins),
        walk_in_conflicts=sum(one.outcome in CONFLICTS for one in walk_ins),
    )
    pending = any(one.outcome is WalkInOutcome.PENDING for one in walk_ins)
    status = HTTPStatus.ACCEPTED if pending else HTTPStatus.OK
    return answer_json(answer, status=status, headers={"Idempotency-Replayed": "true"} if replayed else {})


def _one(taken: Taken, became: Became | None, timezone: str) -> WalkInAnswer:
    """
    Of what stands under an id that another note took, nothing is said: it is not this one's.
    """
    if became is None or taken.outcome not in {None, WalkInOutcome.KNOWN}:
        return WalkInAnswer(entry_id=taken.entry_id, outcome=taken.outcome or WalkInOutcome.PENDING)
    return _walk_in(became, taken.outcome or became.outcome, timezone)


def _shown(one: Merged, timezone: str) -> MergedAnswer:
    return MergedAnswer(
        booking_id=one.noted.booking_id,
        outcome=one.outcome,
        state=one.state,
        checked_in_at=in_zone(one.check_in.at, timezone) if one.check_in else None,
        checked_in_by=one.check_in.by_account if one.check_in else None,
    )


def _walk_in(one: Became, outcome: WalkInOutcome, timezone: str) -> WalkInAnswer:
    note = one.note
    return WalkInAnswer(
        entry_id=note.entry_id,
        outcome=outcome,
        date=note.day,
        service=note.service,
        persons=note.persons,
        numbers=note.numbers,
        noted_at=in_zone(note.at, timezone),
        noted_by=note.by_account,
        served=note.served,
        booking_id=one.booking_id,
        state=one.state,
        slot_id=one.slot_id,
        seats=one.seats,
        refusal=one.refusal,
        pay_by=in_zone(one.pay_by, timezone) if one.pay_by else None,
        billing_code=one.billing_code,
        virtual_account=one.virtual_account,
        amount_rupiah=one.amount_rupiah,
    )


UPLOAD_ROUTES = (
    Route(
        method="POST",
        path="/v1/offices/{office_id}/day-leaf/uploads",
        handler=upload,
        summary="Officers: check-ins and walk-ins noted without a network; merged once, conflicts listed",
        operation="upload_day_leaf",
        auth=Auth.TOKEN,
        body=UploadAsked,
        answers={200: UploadAnswer, 202: UploadAnswer},
        problems=(OFFICE_NOT_FOUND, *UNSAFE),
        idempotent=True,
    ),
    Route(
        method="GET",
        path="/v1/offices/{office_id}/day-leaf/walk-ins",
        handler=list_walk_ins,
        summary="Officers and auditors: what has become of people noted as walk-ins without a network",
        operation="list_noted_walk_ins",
        auth=Auth.TOKEN,
        query=(DAY,),
        answers={200: WalkInsAnswer},
        problems=(OFFICE_NOT_FOUND, FORBIDDEN),
    ),
)
