"""
`/v1/offices/{office_id}/name-sheet`: who comes today, by name, as JSON, CSV and PDF. For the office's officers alone.

The desk's own sheet, booking's, has ids and may be read by auditors on any day; names lie here and are read here, by
whoever serves these people, on the day he serves them.
"""

import asyncio
import datetime as dt
import re

from aiohttp import web

from kernel.auth.staff import Role, must_have
from kernel.http import problem
from kernel.http.application import principal_of
from kernel.http.problem import FORBIDDEN, Problem
from kernel.http.route import Auth, Query, Route, answer_json
from kernel.log import get_logger
from kernel.sheets import csv_of
from services.identity import metrics
from services.identity.problems import NAMES_NOT_TODAY, NO_VISITS_KNOWN
from services.identity.routes.keys import DESK
from services.identity.sheets import COLUMNS, NameLine, NameSheet
from services.identity.use_cases.read_names import NamedLine, Names, NotToday, NoVisitsKnown, Reading, read_names

LINES_MAX = 5000
"""Ten times the busiest office seen."""
PRINTED_LINES_MAX = 1000
"""A page takes 50 ms to print; what is printed says when it is not all. Names that are not printed are not opened."""
OFFICE_ID = re.compile(r"[a-z0-9-]{1,64}")
log = get_logger(__name__)


async def read_json(request: web.Request) -> web.Response:
    """
    The day as data.
    """
    return answer_json(await sheet_of(request, "json", lines_max=LINES_MAX))


async def read_csv(request: web.Request) -> web.Response:
    """
    The day for a spreadsheet.
    """
    sheet = await sheet_of(request, "csv", lines_max=LINES_MAX)
    return _file(sheet, csv_of(COLUMNS, sheet.lines), "text/csv", "csv")


async def read_pdf(request: web.Request) -> web.Response:
    """
    The day for a printer.
    """
    sheet = await sheet_of(request, "pdf", lines_max=PRINTED_LINES_MAX)
    body = await asyncio.to_thread(request.app[DESK].printer.pdf, sheet)
    return _file(sheet, body, "application/pdf", "pdf")


async def sheet_of(request: web.Request, form: str, *, lines_max: int) -> NameSheet:
    """
    The sheet asked for. Raises `Problem` for whoever is no officer of the office, and for any day but today.
    """
    office_id = request.match_info["office_id"]
    if not OFFICE_ID.fullmatch(office_id):
        raise Problem(NO_VISITS_KNOWN)
    principal = principal_of(request)
    must_have(principal, Role.OFFICER, office_id)
    ask = Reading(
        office_id=office_id, date=_day_of(request), actor=principal.account_id, form=form, lines_max=lines_max
    )
    desk = request.app[DESK]
    async with desk.database.transaction() as connection:
        outcome = await read_names(connection, ask, vault=desk.vault)
    if isinstance(outcome, NoVisitsKnown):
        metrics.name_sheets.labels("no_visits").inc()
        raise Problem(NO_VISITS_KNOWN)
    if isinstance(outcome, NotToday):
        metrics.name_sheets.labels("not_today").inc()
        raise Problem(NAMES_NOT_TODAY, today=outcome.today, readable_from=outcome.readable_from)
    _tell(ask, outcome)
    return _sheet(office_id, outcome)


def _day_of(request: web.Request) -> dt.date | None:
    asked = request.query.get("date")
    if asked is None:
        return None
    try:
        return dt.datetime.strptime(asked, "%Y-%m-%d").replace(tzinfo=dt.UTC).date()
    except ValueError:
        raise Problem(problem.BAD_REQUEST, field="date", reason="not a day as YYYY-MM-DD") from None


def _tell(ask: Reading, names: Names) -> None:
    metrics.name_sheets.labels("read").inc()
    metrics.names_read.inc(names.count)
    log.info(
        "names_read",
        office_id=ask.office_id,
        account_id=ask.actor,
        date=names.date.isoformat(),
        form=ask.form,
        names=names.count,
    )


def _sheet(office_id: str, names: Names) -> NameSheet:
    return NameSheet(
        office_id=office_id,
        office_name=names.office.name,
        date=names.date,
        printed_at=names.office.local(names.office.now),
        complete=names.complete,
        lines=[_line(named, names) for named in names.lines],
    )


def _line(named: NamedLine, names: Names) -> NameLine:
    line = named.line
    return NameLine(
        session=line.session,
        arrive_from=names.office.local(line.starts_at),
        arrive_until=names.office.local(line.ends_at),
        queue_number=line.seat,
        service=line.service,
        channel=line.channel,
        state=line.state,
        name=named.name,
        nik=named.nik,
        booking_id=line.booking_id,
    )


def _file(sheet: NameSheet, body: bytes, content_type: str, ending: str) -> web.Response:
    filename = f"{sheet.office_id}-{sheet.date.isoformat()}-names.{ending}"
    return web.Response(
        body=body,
        content_type=content_type,
        headers={
            "Cache-Control": "no-store",
            "Content-Disposition": f'attachment; filename="{filename}"',
            "X-Complete": "true" if sheet.complete else "false",
        },
    )


_DAY = Query(
    name="date",
    summary="The day at the office, YYYY-MM-DD. None but today is answered; today if not given.",
    schema={"type": "string", "format": "date"},
)
_PATH = "/v1/offices/{office_id}/name-sheet"
ROUTES = tuple(
    Route(
        method="GET",
        path=f"{_PATH}{ending}",
        handler=handler,
        summary=f"The office's officers: who comes today, by name, session and queue number{words}",
        operation=operation,
        auth=Auth.TOKEN,
        query=(_DAY,),
        answers={200: kind},
        problems=(NO_VISITS_KNOWN, NAMES_NOT_TODAY, FORBIDDEN),
    )
    for ending, handler, operation, words, kind in (
        ("", read_json, "read_name_sheet", "", NameSheet),
        (".csv", read_csv, "read_name_sheet_csv", ", for a spreadsheet", "text/csv"),
        (".pdf", read_pdf, "read_name_sheet_pdf", ", for a printer", "application/pdf"),
    )
)
