"""
A bank over real HTTP with books a test writes: it answers signed inquiries, and can be silent, broken or wrong.

Used by `payment_room.py`.
"""

import asyncio
import enum
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from kernel.clock import now_ms
from services.payment.domain import snap
from services.payment.domain.snap import Keys

PARTNER = "antrean"


class Mood(enum.Enum):
    """
    How the bank answers.
    """

    WELL = "well"
    SILENT = "silent"
    BROKEN = "broken"
    BABBLING = "babbling"


class TestBank:
    """
    Its books, its mood, and how often it was asked.
    """

    __test__ = False

    def __init__(self, secret: str) -> None:
        self.mood = Mood.WELL
        self.asked = 0
        self._keys = Keys(secrets=(secret,))
        self._books: dict[tuple[str, str], dict[str, Any]] = {}

    def book(self, payment: dict[str, Any]) -> None:
        """
        Write a payment into the books, instead of what stands there under its code and journal number.
        """
        self._books[payment["billing_code"], payment["journal_number"]] = payment

    def answer_instead(self, billing_code: str, journal_number: str, payment: dict[str, Any]) -> None:
        """
        Answer the question for one payment with another.
        """
        self._books[billing_code, journal_number] = payment

    @asynccontextmanager
    async def open(self) -> AsyncIterator[str]:
        """
        Answer inquiries. Yields the address.
        """
        app = web.Application()
        app.router.add_post("/status", self._inquire)
        door = socket.create_server(("127.0.0.1", 0))
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.SockSite(runner, door).start()
        try:
            yield f"http://127.0.0.1:{door.getsockname()[1]}/status"
        finally:
            await runner.cleanup()

    async def _inquire(self, request: web.Request) -> web.Response:
        self.asked += 1
        body, headers = await request.read(), snap.headers_of(request.headers)
        refused = snap.check(headers, keys=self._keys, partner=PARTNER, path=request.path, body=body, now_ms=now_ms())
        if refused is not None:
            return web.json_response({"responseCode": "4012600", "responseMessage": refused.reason}, status=401)
        if self.mood is Mood.SILENT:
            await asyncio.Event().wait()
        if self.mood is Mood.BROKEN:
            return web.json_response({"responseCode": "5002600", "responseMessage": "General Error"}, status=500)
        if self.mood is Mood.BABBLING:
            return web.Response(body=b"<html>maintenance")
        asked = await request.json()
        payment = self._books.get((asked["billing_code"], asked["journal_number"]))
        if payment is None:
            return web.json_response({"responseCode": "4042601", "responseMessage": "Not Found"}, status=404)
        return web.json_response({"responseCode": "2002600", "responseMessage": "Successful", "payment": payment})
