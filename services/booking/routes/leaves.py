"""
`/v1/offices/{office_id}/day-leaf`: a signed list of a day for hours without a network, and of what is no longer valid.

For the office's officers and for auditors. What comes back of it is another door's (uploads). Ids, never names.
"""

import datetime as dt

import msgspec
from aiohttp import web

from kernel.http.problem import FORBIDDEN, Problem
from kernel.http.route import Auth, Route, answer_json
from services.booking.domain.lifecycle import State
from services.booking.domain.record import in_zone
from services.booking.leaves import LeafKey, SignedLeaf
from services.booking.problems import OFFICE_NOT_FOUND
from services.booking.routes.day_sheet import DAY, day_of, sheet_of
from services.booking.routes.desk import must_see, office_of
from services.booking.routes.keys import DATABASE, LEAVES
from services.booking.sheets import DaySheet
from services.booking.stores import desk, noting
from services.booking.use_cases.noting import CHANNEL

REVOCATIONS_MAX = 5000


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


class WalkInPlaces(msgspec.Struct, frozen=True, kw_only=True):
    """
    Walk-in places of a session and service when the leaf was made. A desk may hand its free numbers out; what others
    had meanwhile is had by others, and the merge says which number it is then.
    """

    slot_id: str
    session: str
    service: str
    arrive_from: str
    arrive_until: str
    places: int
    free_numbers: list[int]
    """The lowest, 200 at most."""


class DayLeaf(DaySheet, frozen=True, kw_only=True):
    """
    The day sheet, and what a desk may give to people who come without a booking.
    """

    walk_ins: list[WalkInPlaces]


async def read_leaf(request: web.Request) -> web.Response:
    """
    The day, signed.
    """
    sheet = await sheet_of(request)
    walk_ins = await _walk_ins(request, sheet)
    leaf = DayLeaf(**{name: getattr(sheet, name) for name in DaySheet.__struct_fields__}, walk_ins=walk_ins)
    return answer_json(request.app[LEAVES].sign(leaf))


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


async def _walk_ins(request: web.Request, sheet: DaySheet) -> list[WalkInPlaces]:
    async with request.app[DATABASE].connection() as connection:
        time = await desk.read_time(connection, sheet.office_id)
        if time is None:
            raise Problem(OFFICE_NOT_FOUND)
        found = await noting.places(connection, sheet.office_id, sheet.date, channel=CHANNEL)
    return [
        WalkInPlaces(
            slot_id=each.slot_id,
            session=each.session,
            service=each.service,
            arrive_from=in_zone(each.starts_at, time.timezone),
            arrive_until=in_zone(each.ends_at, time.timezone),
            places=each.places,
            free_numbers=each.free_numbers,
        )
        for each in found
    ]


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
)
