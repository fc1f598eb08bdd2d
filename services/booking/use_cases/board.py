"""
The board of offices: who they are and when each can be asked, remembered for a moment.

Called by routes. However many people look, Postgres is asked at most once a second.
"""

import asyncio
import datetime as dt
from zoneinfo import ZoneInfo

import msgspec

from kernel.postgres import Connection, Database
from services.booking.domain.calendar import Calendars
from services.booking.domain.plan import Office
from services.booking.domain.releases import next_opening
from services.booking.domain.windows import Span, WindowState, span_to_show, state_of
from services.booking.stores import calendars as calendar_store
from services.booking.stores import offices as store

REMEMBER_SECONDS = 1.0


class OfficeWindow(msgspec.Struct, frozen=True, kw_only=True):
    """
    The window a person wants to see now.
    """

    state: WindowState
    opens_at: dt.datetime
    closes_at: dt.datetime
    next_opens_at: dt.datetime | None


class Board(msgspec.Struct, frozen=True, kw_only=True):
    """
    All offices at one moment, by province, city and name.
    """

    now: dt.datetime
    offices: tuple[tuple[Office, OfficeWindow | None], ...]


class OfficeBoard:
    """
    Hands out a board no older than `REMEMBER_SECONDS`.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = asyncio.Lock()
        self._board: Board | None = None
        self._read_at = 0.0

    async def look(self) -> Board:
        """
        The board. Whoever comes first reads it, the others wait for that one reading.
        """
        async with self._lock:
            now = asyncio.get_running_loop().time()
            if self._board is None or now - self._read_at > REMEMBER_SECONDS:
                async with self._database.connection() as connection:
                    self._board = await read_board(connection)
                self._read_at = now
            return self._board


async def read_board(connection: Connection) -> Board:
    """
    The board as Postgres has it now.
    """
    now = await store.read_now(connection)
    calendars = await calendar_store.read(connection)
    spans = await store.read_spans(connection)
    offices = await store.read(connection)
    return Board(
        now=now,
        offices=tuple((office, _window(calendars, office, spans.get(office.office_id, []), now)) for office in offices),
    )


def _window(calendars: Calendars | None, office: Office, spans: list[Span], now: dt.datetime) -> OfficeWindow | None:
    span = span_to_show(spans, now)
    if span is None or calendars is None:
        return None
    zone = ZoneInfo(office.timezone)
    today = now.astimezone(zone).date()
    policy = calendars.of(office.office_id, today).calendar.window
    local = calendars.local(office.office_id, office.timezone, today)
    return OfficeWindow(
        state=state_of(span, now),
        opens_at=span.opens_at.astimezone(zone),
        closes_at=span.closes_at.astimezone(zone),
        next_opens_at=_in(zone, next_opening(policy, max(span.closes_at, now), local)),
    )


def _in(zone: ZoneInfo, moment: dt.datetime | None) -> dt.datetime | None:
    return None if moment is None else moment.astimezone(zone)
