"""
The quickest way to answer: from the bytes of a request to those of its answer without a task and a coroutine.

A hot route may have such a way beside its handler. It looks at a request that has come whole, and
says its answer, or what it waits for, or that it does not know: then the handler is asked as
if nothing had been. So it must be safe to begin a request twice. Called by `kernel.http.door`
for every connection; the table is put together by `kernel.http.application`.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from aiohttp import HttpVersion11, StreamReader, hdrs, web
from multidict import CIMultiDictProxy

from kernel.http.spoken import Spoken

BODY_BYTES_MAX: Final = 8192
"""Larger bodies are the handler's."""


class Pending(NamedTuple):
    """
    What an answer waits for, and how it is said then; None: the handler has to say it.
    """

    answer: "asyncio.Future[Any]"
    spell: "Callable[[asyncio.Future[Any]], Spoken | None]"


Begun = Spoken | Pending | None
Begin = Callable[[CIMultiDictProxy[str], bytes], Begun]
QUICK_WAYS: Final = web.AppKey("quick_ways", dict[str, Begin])
"""By raw path; only for POST."""


def begun(ways: dict[str, Begin], message: Any, payload: object) -> Begun:
    """
    What becomes of a request that may go the quick way; None if it may not, or if it could not be read.
    """
    begin = ways.get(getattr(message, "path", ""))
    if begin is None or not isinstance(payload, StreamReader):
        return None
    if message.method != hdrs.METH_POST or message.version != HttpVersion11:
        return None
    if message.should_close or message.upgrade or message.compression or hdrs.EXPECT in message.headers:
        return None
    body = _whole(payload)
    return None if body is None else begin(message.headers, body)


def _whole(payload: StreamReader) -> bytes | None:
    """
    The body without taking it: the handler may want it yet.
    """
    if not payload.is_eof() or payload.exception() is not None:
        return None
    chunks = payload._buffer  # noqa: SLF001 - there is no way to look without taking
    if len(chunks) != 1 or len(chunks[0]) > BODY_BYTES_MAX:
        return None
    return bytes(chunks[0])
