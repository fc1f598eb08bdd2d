"""
`/v1/offices/{office_id}/day-sheet`: who is awaited, as JSON, CSV and PDF. For the office's officers and for auditors.

Holds ids, never names: names are identity's.
"""

import asyncio
import datetime as dt

import msgspec
from aiohttp import web

from kernel.http import problem
from kernel.http.problem import FORBIDDEN, Problem
from kernel.http.route import Auth, Query, Route, answer_json
from kernel.sheets import csv_of
from services.booking.domain.desk import day_at
from services.booking.domain.record import in_zone
from services.booking.problems import OFFICE_NOT_FOUND
from services.booking.routes.desk import must_see, office_of
from services.booking.routes.keys import DATABASE, SHEETS
from services.booking.sheets import COLUMNS, DaySheet, SheetLine
from services.booking.stores import desk
from services.booking.stores.desk import Line, OfficeTime

LINES_MAX = 5000
"""Ten times the busiest office seen."""
PRINTED_LINES_MAX = 1000
"""A page takes 50 ms to print; what is printed says when it is not all."""


async def read_json(request: web.Request) -> web.Response:
    """
    The day as data.
    """
    return answer_json(await sheet_of(request))


async def read_csv(request: web.Request) -> web.Response:
    """
    The day for a spreadsheet.
    """
    sheet = await sheet_of(request)
    return _file(sheet, csv_of(COLUMNS, sheet.lines), "text/csv", "csv")


async def read_pdf(request: web.Request) -> web.Response:
    """
    The day for a printer.
    """
    sheet = await sheet_of(request)
    if len(sheet.lines) > PRINTED_LINES_MAX:
        sheet = msgspec.structs.replace(sheet, lines=sheet.lines[:PRINTED_LINES_MAX], complete=False)
    body = await asyncio.to_thread(request.app[SHEETS].pdf, sheet)
    return _file(sheet, body, "application/pdf", "pdf")


def day_of(request: web.Request, time: OfficeTime) -> dt.date:
    """
    The day asked for, or today at the office. Raises `Problem` for what is no day.
    """
    asked = request.query.get("date")
    if asked is None:
        return day_at(time.now, time.timezone)
    try:
        return dt.datetime.strptime(asked, "%Y-%m-%d").replace(tzinfo=dt.UTC).date()
    except ValueError:
        raise Problem(problem.BAD_REQUEST, field="date", reason="not a day as YYYY-MM-DD") from None


async def sheet_of(request: web.Request) -> DaySheet:
    """
    The sheet asked for. Raises `Problem` for whoever may not see it, and for what is no office or no day.
    """
    office_id = office_of(request)
    must_see(request, office_id)
    async with request.app[DATABASE].connection() as connection:
        time = await desk.read_time(connection, office_id)
        if time is None:
            raise Problem(OFFICE_NOT_FOUND)
        day = day_of(request, time)
        lines = await desk.read_sheet(connection, office_id, day, limit=LINES_MAX + 1)
    return DaySheet(
        office_id=office_id,
        office_name=time.name,
        date=day,
        printed_at=in_zone(time.now, time.timezone),
        complete=len(lines) <= LINES_MAX,
        lines=[_line(line, time.timezone) for line in lines[:LINES_MAX]],
    )


def _line(line: Line, timezone: str) -> SheetLine:
    return SheetLine(
        session=line.session,
        arrive_from=in_zone(line.starts_at, timezone),
        arrive_until=in_zone(line.ends_at, timezone),
        queue_number=line.seat,
        service=line.service,
        channel=line.channel,
        state=line.state.value,
        checked_in_at=in_zone(line.checked_in_at, timezone) if line.checked_in_at else None,
        person_id=line.person_id,
        booking_id=line.booking_id,
    )


def _file(sheet: DaySheet, body: bytes, content_type: str, ending: str) -> web.Response:
    return web.Response(
        body=body,
        content_type=content_type,
        headers={
            "Cache-Control": "no-store",
            "Content-Disposition": f'attachment; filename="{sheet.office_id}-{sheet.date.isoformat()}.{ending}"',
            "X-Complete": "true" if sheet.complete else "false",
        },
    )


DAY = Query(
    name="date",
    summary="The day at the office, YYYY-MM-DD; today if not given.",
    schema={"type": "string", "format": "date"},
)
_PATH = "/v1/offices/{office_id}/day-sheet"
DAY_SHEET_ROUTES = tuple(
    Route(
        method="GET",
        path=f"{_PATH}{ending}",
        handler=handler,
        summary=f"Officers and auditors: who is awaited on a day, by session and queue number{words}",
        operation=operation,
        auth=Auth.TOKEN,
        query=(DAY,),
        answers={200: kind},
        problems=(OFFICE_NOT_FOUND, FORBIDDEN),
    )
    for ending, handler, operation, words, kind in (
        ("", read_json, "read_day_sheet", "", DaySheet),
        (".csv", read_csv, "read_day_sheet_csv", ", for a spreadsheet", "text/csv"),
        (".pdf", read_pdf, "read_day_sheet_pdf", ", for a printer", "application/pdf"),
    )
)
