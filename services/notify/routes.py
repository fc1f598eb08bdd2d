"""
Notify's doors: a confirmed booking's ticket as PDF, calendar entry and QR code, and the key that checks it.

Called by the gateway through `kernel.http`. Prints off the event loop, one at a time; a bounded
number may wait. Another account's booking looks exactly like none.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import msgspec
from aiohttp import web

from contracts.events import Booking
from kernel.errors import Retryable
from kernel.http.application import principal_of
from kernel.http.problem import NOT_FOUND, Problem, language_of
from kernel.http.route import Auth, Route, answer_json
from kernel.postgres import Database
from services.notify import documents, problems, stores
from services.notify.documents import Documents
from services.notify.domain import TICKET_STATES
from services.notify.tickets import TicketKey, TicketSigner

WAITING_MAX: Final = 64
"""Prints asked for and not done; more would not be done within a request's deadline."""
KEYS_CACHE_SECONDS: Final = 3600


class Press:
    """
    Prints for many, one after the other.
    """

    def __init__(self, prints: Documents) -> None:
        self.prints = prints
        self._desk = ThreadPoolExecutor(max_workers=1, thread_name_prefix="press")
        self._waiting = 0

    async def run(self, work: Callable[[], bytes]) -> bytes:
        """
        Do `work` off the loop. Raises `Retryable` when too many wait.
        """
        if self._waiting >= WAITING_MAX:
            raise Retryable("too many tickets are being printed")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._desk, work)
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """
        Print nothing more.
        """
        self._desk.shutdown(wait=False, cancel_futures=True)


DATABASE: Final = web.AppKey("database", Database)
PRESS: Final = web.AppKey("press", Press)
SIGNER: Final = web.AppKey("signer", TicketSigner)


class TicketKeys(msgspec.Struct, frozen=True, kw_only=True):
    """
    A JWK set: a ticket is good when one of these has signed it.
    """

    keys: tuple[TicketKey, ...]


async def get_ticket_pdf(request: web.Request) -> web.Response:
    """
    One page to print or to show.
    """
    booking = await _confirmed(request)
    press = request.app[PRESS]
    return _file(await press.run(lambda: press.prints.pdf(booking)), "application/pdf", "ticket.pdf")


async def get_ticket_ics(request: web.Request) -> web.Response:
    """
    The appointment for a calendar.
    """
    booking, locale = await _confirmed(request), language_of(request)
    entry = await request.app[PRESS].run(lambda: documents.calendar(booking, locale=locale))
    return _file(entry, "text/calendar", "ticket.ics", charset="utf-8")


async def get_qr(request: web.Request) -> web.Response:
    """
    The signed ticket as a picture.
    """
    booking = await _confirmed(request)
    press = request.app[PRESS]
    return _file(await press.run(lambda: documents.svg(press.prints.qr(booking))), "image/svg+xml", "qr.svg")


async def get_ticket_keys(request: web.Request) -> web.Response:
    """
    What a reader at the door needs, once and for offline use.
    """
    keys = TicketKeys(keys=(request.app[SIGNER].public_key(),))
    return answer_json(keys, headers={"Cache-Control": f"public, max-age={KEYS_CACHE_SECONDS}"})


async def _confirmed(request: web.Request) -> Booking:
    async with request.app[DATABASE].connection() as connection:
        booking = await stores.booking_of(
            connection, booking_id=request.match_info["booking_id"], account_id=principal_of(request).account_id
        )
    if booking is None:
        raise Problem(NOT_FOUND)
    if booking.state not in TICKET_STATES:
        raise Problem(problems.NOT_CONFIRMED, state=booking.state)
    return booking


def _file(body: bytes, content_type: str, name: str, charset: str | None = None) -> web.Response:
    headers = {"Cache-Control": "private, no-store", "Content-Disposition": f'inline; filename="{name}"'}
    return web.Response(body=body, content_type=content_type, charset=charset, headers=headers)


ROUTES = (
    Route(
        method="GET",
        path="/v1/bookings/{booking_id}/ticket.pdf",
        handler=get_ticket_pdf,
        summary="The ticket of a confirmed booking, one page",
        operation="get_ticket_pdf",
        auth=Auth.TOKEN,
        answers={200: "application/pdf"},
        problems=(NOT_FOUND, problems.NOT_CONFIRMED),
    ),
    Route(
        method="GET",
        path="/v1/bookings/{booking_id}/ticket.ics",
        handler=get_ticket_ics,
        summary="The appointment as a calendar entry",
        operation="get_ticket_ics",
        auth=Auth.TOKEN,
        answers={200: "text/calendar"},
        problems=(NOT_FOUND, problems.NOT_CONFIRMED),
    ),
    Route(
        method="GET",
        path="/v1/bookings/{booking_id}/qr.svg",
        handler=get_qr,
        summary="The signed ticket as a QR code",
        operation="get_ticket_qr",
        auth=Auth.TOKEN,
        answers={200: "image/svg+xml"},
        problems=(NOT_FOUND, problems.NOT_CONFIRMED),
    ),
    Route(
        method="GET",
        path="/v1/ticket-keys",
        handler=get_ticket_keys,
        summary="The public keys that check tickets offline",
        operation="get_ticket_keys",
        answers={200: TicketKeys},
    ),
)
