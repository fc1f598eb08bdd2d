"""
`/v1/offices/{office_id}/incidents`: hours in which an office could not serve. Nobody is blocked for missing them.

Declared by the office's officers; auditors may look.
"""

import datetime as dt
from typing import Literal

import msgspec
from aiohttp import web

from kernel.http import problem
from kernel.http.application import principal_of
from kernel.http.problem import FORBIDDEN, Problem
from kernel.http.route import Auth, Route, answer_json, body_of, idempotency_key
from kernel.ids import derived
from kernel.postgres import Connection
from services.booking.domain.record import in_zone
from services.booking.problems import OFFICE_NOT_FOUND
from services.booking.routes.desk import UNSAFE, Reason, deed, desk_of, must_see, office_of
from services.booking.routes.keys import DATABASE
from services.booking.stores import desk, incidents
from services.booking.stores.incidents import Incident
from services.booking.use_cases.incidents import declare

SHOWN_MAX = 200
EARLIEST, LATEST = (dt.datetime(year, 1, 1, tzinfo=dt.UTC) for year in (2000, 2200))
SPAN_MAX = dt.timedelta(days=7)
"""A longer one is declared again: an incident by mistake excuses a whole office."""


class IncidentAsked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    From when to when, with an offset. It covers every session that it meets.
    """

    starts_at: dt.datetime
    ends_at: dt.datetime
    kind: Literal["outage", "disaster", "security", "other"]
    reason: Reason


class IncidentAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """
    An incident; times are the office's.
    """

    incident_id: str
    office_id: str
    starts_at: str
    ends_at: str
    kind: str
    reason: str
    declared_by: str
    declared_at: str


class DeclaredAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """
    What it means at once: no-shows pardoned, and bookings still awaited that will not be blocked.
    """

    incident: IncidentAnswer
    pardoned: int
    awaited: int


class IncidentsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """
    An office's latest incidents, newest first.
    """

    incidents: list[IncidentAnswer]


async def declare_incident(request: web.Request) -> web.Response:
    """
    Declare hours without service.
    """
    asked = await body_of(request, IncidentAsked)
    who = desk_of(request, asked.reason)
    if asked.starts_at.tzinfo is None or asked.ends_at.tzinfo is None:
        raise Problem(problem.BAD_REQUEST, field="starts_at", reason="a time without its offset")
    if not EARLIEST < asked.starts_at < LATEST:
        raise Problem(problem.BAD_REQUEST, field="starts_at", reason="not in this age")
    if not dt.timedelta(0) < asked.ends_at - asked.starts_at <= SPAN_MAX:
        raise Problem(problem.BAD_REQUEST, field="ends_at", reason=f"must be within {SPAN_MAX.days} days of starts_at")
    incident_id = derived("inc", who.office_id, principal_of(request).account_id, idempotency_key(request))

    async def work(connection: Connection) -> web.Response:
        time = await desk.read_time(connection, who.office_id)
        if time is None:
            return problem.answer(request, OFFICE_NOT_FOUND)
        declared = await declare(
            connection,
            incident_id=incident_id,
            office_id=who.office_id,
            starts_at=asked.starts_at,
            ends_at=asked.ends_at,
            kind=asked.kind,
            reason=asked.reason,
            actor=who.actor,
        )
        answer = DeclaredAnswer(
            incident=_shown(declared.incident, time.timezone),
            pardoned=len(declared.pardoned),
            awaited=declared.awaited,
        )
        return answer_json(answer, status=201)

    return await deed(request, f"declare_incident:{who.office_id}", work)


async def list_incidents(request: web.Request) -> web.Response:
    """
    The office's incidents.
    """
    office_id = office_of(request)
    must_see(request, office_id)
    async with request.app[DATABASE].connection() as connection:
        time = await desk.read_time(connection, office_id)
        if time is None:
            return problem.answer(request, OFFICE_NOT_FOUND)
        found = await incidents.read(connection, office_id, limit=SHOWN_MAX)
    return answer_json(IncidentsAnswer(incidents=[_shown(incident, time.timezone) for incident in found]))


def _shown(incident: Incident, timezone: str) -> IncidentAnswer:
    fields = msgspec.structs.asdict(incident)
    return IncidentAnswer(
        **{
            name: in_zone(value, timezone) if isinstance(value, dt.datetime) else value
            for name, value in fields.items()
        }
    )


_PATH = "/v1/offices/{office_id}/incidents"
INCIDENT_ROUTES = (
    Route(
        method="POST",
        path=_PATH,
        handler=declare_incident,
        summary="Officers: hours without service; nobody booked in them is blocked",
        operation="declare_incident",
        auth=Auth.TOKEN,
        body=IncidentAsked,
        answers={201: DeclaredAnswer},
        problems=(OFFICE_NOT_FOUND, *UNSAFE),
        idempotent=True,
    ),
    Route(
        method="GET",
        path=_PATH,
        handler=list_incidents,
        summary="Officers and auditors: the office's latest incidents",
        operation="list_incidents",
        auth=Auth.TOKEN,
        answers={200: IncidentsAnswer},
        problems=(OFFICE_NOT_FOUND, FORBIDDEN),
    ),
)
