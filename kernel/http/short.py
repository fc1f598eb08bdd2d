"""
A short way through the server for the hottest routes: found by method and path, without router and middlewares.

Taken by `kernel.process` once the server stands; `kernel.http.application` says which routes
there are. Whatever is not plain HTTP/1.1 goes the ordinary way, to the same handler.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Final

from aiohttp import HttpVersion11, hdrs, web

ShortWays = dict[str, Callable[[Any], Awaitable[web.StreamResponse]]]
SHORT_WAYS: Final = web.AppKey("short_ways", ShortWays)
"""Handlers by method and raw path, such as `POST /v1/reservations`."""


def take_short_ways(server: web.Server, app: web.Application) -> None:
    """
    Look into `app`'s short ways first, from the next connection on.
    """
    ways = app.get(SHORT_WAYS)
    if not ways:
        return
    ordinary = server.request_handler

    def handle(request: web.BaseRequest) -> Awaitable[web.StreamResponse]:
        way = ways.get(f"{request.method} {request.raw_path}")
        if way is None or request.version != HttpVersion11 or hdrs.EXPECT in request.headers:
            return ordinary(request)
        return way(request)

    server.request_handler = handle
