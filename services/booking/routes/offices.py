"""
`/v1/offices`: every office is listed to everyone, with the window it is in.

There are no coordinates of offices, so nothing sorts by distance: the order is province,
city, name.
"""

import hashlib

import msgspec
from aiohttp import web

from kernel.http import problem
from kernel.http.problem import Problem
from kernel.http.route import Query, Route
from services.booking.domain.plan import Office
from services.booking.domain.record import ms_of
from services.booking.domain.windows import ZONE_LABELS
from services.booking.problems import OFFICE_NOT_FOUND
from services.booking.routes.keys import BOARD
from services.booking.use_cases.board import Board, OfficeWindow

FILTER_CHARACTERS_MAX = 100
CACHE_CONTROL = "public, max-age=5"


class OfficeAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """
    An office and the window to show: open, else the next to open, else the last that closed; null before any plan.
    """

    office_id: str
    name: str
    office_class: str
    city: str
    province: str
    timezone: str
    zone_label: str
    window: OfficeWindow | None


class OfficesAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """
    Offices by province, city and name, and the time by the server that decides.
    """

    server_time_ms: int
    offices: list[OfficeAnswer]


class OneOfficeAnswer(OfficeAnswer, frozen=True, kw_only=True):
    """
    One office, its places a day over all channels, and the server's time.
    """

    server_time_ms: int
    daily_quota: int


async def list_offices(request: web.Request) -> web.Response:
    """
    All offices, or those that match.
    """
    board = await request.app[BOARD].look()
    province = _filter(request, "province")
    words = _filter(request, "q").split()
    offices = [
        _answer_for(office, window)
        for office, window in board.offices
        if province in {"", office.province.casefold()} and _matches(office, words)
    ]
    return _cacheable(request, OfficesAnswer(server_time_ms=ms_of(board.now), offices=offices))


async def read_office(request: web.Request) -> web.Response:
    """
    One office.
    """
    board = await request.app[BOARD].look()
    found = _find(board, request.match_info["office_id"])
    if found is None:
        return problem.answer(request, OFFICE_NOT_FOUND)
    office, window = found
    fields = msgspec.structs.asdict(_answer_for(office, window))
    return _cacheable(
        request, OneOfficeAnswer(**fields, server_time_ms=ms_of(board.now), daily_quota=office.daily_quota)
    )


def _filter(request: web.Request, name: str) -> str:
    value = request.query.get(name, "").strip().casefold()
    if len(value) > FILTER_CHARACTERS_MAX:
        raise Problem(problem.BAD_REQUEST, field=name, reason=f"longer than {FILTER_CHARACTERS_MAX} characters")
    return value


def _matches(office: Office, words: list[str]) -> bool:
    text = f"{office.office_id} {office.name} {office.city} {office.province}".casefold()
    return all(word in text for word in words)


def _find(board: Board, office_id: str) -> tuple[Office, OfficeWindow | None] | None:
    return next((entry for entry in board.offices if entry[0].office_id == office_id), None)


def _answer_for(office: Office, window: OfficeWindow | None) -> OfficeAnswer:
    return OfficeAnswer(
        office_id=office.office_id,
        name=office.name,
        office_class=office.office_class,
        city=office.city,
        province=office.province,
        timezone=office.timezone,
        zone_label=ZONE_LABELS[office.timezone],
        window=window,
    )


def _cacheable(request: web.Request, answer: msgspec.Struct) -> web.Response:
    # The server's time is part of the answer, and so of the tag: a countdown must never be fed an old one.
    body = msgspec.json.encode(answer)
    tag = f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
    headers = {"ETag": tag, "Cache-Control": CACHE_CONTROL}
    if tag in {each.strip() for each in request.headers.get("If-None-Match", "").split(",")}:
        return web.Response(status=304, headers=headers)
    return web.Response(body=body, content_type="application/json", headers=headers)


_TEXT = {"type": "string", "maxLength": FILTER_CHARACTERS_MAX}
OFFICE_ROUTES = (
    Route(
        method="GET",
        path="/v1/offices",
        handler=list_offices,
        summary="All immigration offices, with the window each is in",
        operation="list_offices",
        query=(
            Query(name="province", summary="Only this province, by its whole name.", schema=_TEXT),
            Query(name="q", summary="Only offices whose id, name, city or province hold every word.", schema=_TEXT),
        ),
        answers={200: OfficesAnswer, 304: None},
        problems=(),
    ),
    Route(
        method="GET",
        path="/v1/offices/{office_id}",
        handler=read_office,
        summary="One immigration office",
        operation="read_office",
        answers={200: OneOfficeAnswer, 304: None},
        problems=(OFFICE_NOT_FOUND,),
    ),
)
