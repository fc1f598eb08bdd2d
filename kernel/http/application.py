"""
An aiohttp application from a table of routes.

Called by rooms' wiring. Around every handler: request id, log context, who asks, a
deadline, metrics, and problems for everything that goes wrong. Never logs a path
parameter's person, a body or a token.
"""

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

import structlog
from aiohttp import hdrs, web

from kernel import metrics
from kernel.auth.principal import Principal
from kernel.errors import Retryable
from kernel.http import problem
from kernel.http.problem import Problem
from kernel.http.quick import LATER, QUICK_WAYS, Begin, Begun, Tell
from kernel.http.route import Auth, Call, Handler, Route
from kernel.http.short import SHORT_WAYS, ShortWays
from kernel.http.spoken import Spoken
from kernel.ids import fresh
from kernel.log import get_logger
from kernel.settings import HttpSettings

log = get_logger(__name__)
PRINCIPAL = web.RequestKey("principal", Principal)
RETRY_AFTER_SECONDS = 2
TOKEN_CHARACTERS_MAX = 4096
# In small letters, as a quick way has them; aiohttp's headers do not mind.
_REQUEST_ID = "x-request-id"
_AUTHORIZATION = "authorization"


class Authenticator(Protocol):
    """
    Turns an Authorization header into a principal, or None.
    """

    def of_token(self, token: str) -> Principal | None: ...  # noqa: D102 - said by the class

    def of_pass(self, token: str) -> Principal | None: ...  # noqa: D102 - said by the class


def application(
    routes: Sequence[Route], settings: HttpSettings, *, authenticator: Authenticator | None, sandbox: bool = False
) -> web.Application:
    """
    Serve `routes`. Sandbox routes exist only where `sandbox` is true.
    """
    app = web.Application(client_max_size=settings.body_bytes_max, middlewares=[_unrouted])
    short_ways: ShortWays = {}
    quick_ways: dict[bytes, Begin] = {}
    for route in routes:
        if route.sandbox and not sandbox:
            continue
        if route.hot:
            handler = short_ways[f"{route.method} {route.path}"] = _lean(route, app, authenticator)
            if route.quick is not None:
                quick_ways[route.path.encode()] = _quick(route, app, authenticator)
        else:
            handler = _wrapped(route, settings, authenticator)
        app.router.add_route(route.method, route.path, handler)
    app[SHORT_WAYS] = short_ways
    app[QUICK_WAYS] = quick_ways
    return app


def principal_of(request: web.Request) -> Principal:
    """
    Who asks. Only on routes with `auth`.
    """
    return request[PRINCIPAL]


@web.middleware
async def _unrouted(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    if request.match_info.http_exception is None:
        return await handler(request)
    refused = request.match_info.http_exception
    if isinstance(refused, web.HTTPMethodNotAllowed):
        answer = problem.answer(request, problem.METHOD_NOT_ALLOWED)
        answer.headers["Allow"] = ", ".join(sorted(refused.allowed_methods))
        return answer
    return problem.answer(request, problem.NOT_FOUND)


def _wrapped(route: Route, settings: HttpSettings, authenticator: Authenticator | None) -> Handler:
    answers = _Answers(route)

    async def serve(request: web.Request) -> web.StreamResponse:
        began = time.perf_counter()
        request_id = request[problem.REQUEST_ID] = answers.id_of(request.headers)
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            response = await _answered(route, request, settings, authenticator)
        if not response.prepared:
            response.headers["X-Request-Id"] = request_id
        answers.count(response.status, began)
        return response

    return serve


class _Answers:
    """
    Numbers the requests of a route and counts their answers.
    """

    __slots__ = ("_numbers", "_prefix", "_tally", "_timed")

    def __init__(self, route: Route) -> None:
        self._tally = metrics.answers.of(route.path, route.method)
        self._timed = not route.stream
        self._prefix, self._numbers = fresh("req"), itertools.count()

    def id_of(self, headers: Mapping[str, str]) -> str:
        """
        What the gateway called the request, or a name of our own.
        """
        return headers.get(_REQUEST_ID, "")[:64] or f"{self._prefix}-{next(self._numbers)}"

    def count(self, status: int, began: float) -> None:
        """
        Count an answer to a request that began at that moment of `time.perf_counter`.
        """
        self._tally.count(status)
        if self._timed:
            self._tally.time(time.perf_counter() - began)


def _lean(route: Route, app: web.Application, authenticator: Authenticator | None) -> Handler:
    """
    The same around a hot route, without what costs more than it: the handler answers in time and logs ids itself.
    """
    answers, handler = _Answers(route), route.handler

    async def serve(request: web.Request) -> web.StreamResponse:
        began, headers = time.perf_counter(), request.headers
        request_id = answers.id_of(headers)
        response: web.StreamResponse
        try:
            principal = _authenticated(route, headers.get(hdrs.AUTHORIZATION, ""), authenticator)
            response = await handler(request, Call(principal, request_id, app))
        except Exception as error:  # noqa: BLE001 - whatever it is, it gets its answer
            request[problem.REQUEST_ID] = request_id
            response = _excused(route, request, error)
        if not isinstance(response, Spoken):
            response.headers["X-Request-Id"] = request_id
        answers.count(response.status, began)
        return response

    return serve


def _quick(route: Route, app: web.Application, authenticator: Authenticator | None) -> Begin:
    """
    The quick way of a hot route, counted as its handler's answers are. Whatever goes wrong is the handler's to say.
    """
    answers, quick = _Answers(route), route.quick

    def begin(headers: Mapping[str, str], body: bytes, tell: Tell) -> Begun:
        began, request_id = time.perf_counter(), answers.id_of(headers)

        def told(spoken: Spoken | None) -> None:
            if spoken is not None:
                answers.count(spoken.status, began)
            tell(spoken)

        try:
            principal = _authenticated(route, headers.get(_AUTHORIZATION, ""), authenticator)
            taken = None if quick is None else quick(headers, body, Call(principal, request_id, app), told)
        except Exception:  # noqa: BLE001 - the handler meets it too, answers and logs it; here it would cut the connection
            return None
        if taken is not None and taken is not LATER:
            answers.count(taken.status, began)
        return taken

    return begin


async def _answered(
    route: Route, request: web.Request, settings: HttpSettings, authenticator: Authenticator | None
) -> web.StreamResponse:
    try:
        async with asyncio.timeout(None if route.stream else settings.request_deadline_seconds):
            if route.auth is not Auth.NONE:
                request[PRINCIPAL] = _authenticated(route, request.headers.get(hdrs.AUTHORIZATION, ""), authenticator)
            return await route.handler(request)
    except web.HTTPRequestEntityTooLarge:
        return problem.answer(request, problem.TOO_LARGE)
    except web.HTTPException:
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, it gets its answer
        return _excused(route, request, error)


def _excused(route: Route, request: web.Request, error: Exception) -> web.Response:
    """
    What is said when a handler has raised.
    """
    if isinstance(error, Problem):
        return problem.answer(request, error.kind, retry_after_seconds=error.retry_after_seconds, **error.extras)
    if isinstance(error, TimeoutError | Retryable):
        log.warning("outcome_unknown", route=route.operation, error=repr(error))
        return problem.answer(request, problem.OUTCOME_UNKNOWN, retry_after_seconds=RETRY_AFTER_SECONDS)
    log.error("internal_error", route=route.operation, request_id=request.get(problem.REQUEST_ID), exc_info=error)
    return problem.answer(request, problem.INTERNAL)


def _authenticated(route: Route, authorization: str, authenticator: Authenticator | None) -> Principal:
    scheme, _, token = authorization.partition(" ")
    scheme, principal = scheme.lower(), None
    if authenticator is not None and token and len(token) <= TOKEN_CHARACTERS_MAX:
        if scheme == "bearer":
            principal = authenticator.of_token(token)
        elif scheme == "pass" and route.auth is Auth.PASS_OR_TOKEN:
            principal = authenticator.of_pass(token)
    if principal is None:
        raise Problem(problem.UNAUTHENTICATED, field="Authorization")
    if route.role is not None and route.role not in principal.roles:
        raise Problem(problem.FORBIDDEN, role=route.role)
    return principal
