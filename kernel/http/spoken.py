"""
Answers whose bytes are spelled out beforehand: head and body leave in one write.

For the hottest routes, where building headers one by one costs more than deciding. What
stands in the head is the caller's business; date, length and connection are ours.
Never compresses, never chunks.
"""

import time
from http import HTTPStatus
from typing import Final

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

_STATUS_LINES: Final = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}
_DRAIN_ABOVE_BYTES: Final = 65_536
_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class _DateLine:
    """
    The Date header, put together once a second.
    """

    def __init__(self) -> None:
        self._second = -1
        self._line = b""

    def now(self) -> bytes:
        """
        As RFC 9110 spells it.
        """
        second = int(time.time())
        if second != self._second:
            at = time.gmtime(second)
            self._line = (
                f"Date: {_DAYS[at.tm_wday]}, {at.tm_mday:02d} {_MONTHS[at.tm_mon - 1]} {at.tm_year} "
                f"{at.tm_hour:02d}:{at.tm_min:02d}:{at.tm_sec:02d} GMT\r\n"
            ).encode()
            self._second = second
        return self._line


_date = _DateLine()


class Spoken(web.StreamResponse):
    """
    A whole answer. `head` holds header lines, each ending in CRLF, without date, length and connection.
    """

    def __init__(self, status: int, head: bytes, body: bytes) -> None:  # the base would build what is never used
        self._status = status
        self._head = head
        self._said = body
        self._keep_alive = True
        self._request: web.BaseRequest | None = None

    @property
    def status(self) -> int:
        """
        The status code.
        """
        return self._status

    @property
    def body(self) -> bytes:
        """
        What stands below the head.
        """
        return self._said

    @property
    def keep_alive(self) -> bool:
        """
        Whether the connection may be used again.
        """
        return bool(self._keep_alive)

    def spelled(self, *, keep_alive: bool) -> bytes:
        """
        All of it.
        """
        connection = b"" if keep_alive else b"Connection: close\r\n"
        return b"%b%b%b%bContent-Length: %d\r\n\r\n%b" % (
            _STATUS_LINES[self._status],
            self._head,
            _date.now(),
            connection,
            len(self._said),
            self._said,
        )

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """
        Nothing is sent yet.
        """
        self._request = request
        self._keep_alive = bool(request.keep_alive)
        return None

    async def write_eof(self, data: bytes = b"") -> None:  # noqa: ARG002 - the base has it
        """
        Everything is sent. Raises `ConnectionResetError` when nobody is there any more.
        """
        request = self._request
        transport = None if request is None else request.transport
        if request is None or transport is None:
            raise ConnectionResetError("the client is gone")
        transport.write(self.spelled(keep_alive=bool(self._keep_alive)))
        if transport.get_write_buffer_size() > _DRAIN_ABOVE_BYTES:
            await request.writer.drain()
