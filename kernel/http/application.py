"""
An aiohttp application from a table of routes.

Called by rooms' wiring. Around every handler: request id, log context, who asks, a
deadline, metrics, and problems for everything that goes wrong. Never logs a path
parameter's person, a body or a token.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import structlog
from aiohttp import web
from prometheus_client import Counter

from kernel import metrics
from kernel.auth.principal import Principal
from kernel.errors import Retryable
from kernel.http import problem
from kernel.http.problem import Problem
from kernel.http.route import Auth, Handler, Route
from kernel.ids import fresh
from kernel.log import get_logger
from kernel.settings import HttpSettings

log = get_logger(__name__)
PRINCIPAL = web.RequestKey("principal", Principal)
RETRY_AFTER_SECONDS = 2
TOKEN_CHARACTERS_MAX = 4096


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
    for route in routes:
        if route.sandbox and not sandbox:
            continue
        app.router.add_route(route.method, route.path, _wrapped(route, settings, authenticator))
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
    seconds = metrics.http_request_seconds.labels(route.path)
    counts: dict[int, Counter] = {}

    async def serve(request: web.Request) -> web.StreamResponse:
        started = time.perf_counter()
        request[problem.REQUEST_ID] = request.headers.get("X-Request-Id", "")[:64] or fresh("req")
        with structlog.contextvars.bound_contextvars(request_id=request[problem.REQUEST_ID]):
            response = await _answered(route, request, settings, authenticator)
        if not response.prepared:
            response.headers["X-Request-Id"] = request[problem.REQUEST_ID]
        count = counts.get(response.status)
        if count is None:
            count = metrics.http_requests.labels(route.path, route.method, str(response.status))
            counts[response.status] = count
        count.inc()
        if not route.stream:
            seconds.observe(time.perf_counter() - started)
        return response

    return serve


async def _answered(
    route: Route, request: web.Request, settings: HttpSettings, authenticator: Authenticator | None
) -> web.StreamResponse:
    try:
        async with asyncio.timeout(None if route.stream else settings.request_deadline_seconds):
            if route.auth is not Auth.NONE:
                request[PRINCIPAL] = _authenticated(route, request, authenticator)
            return await route.handler(request)
    except Problem as refused:
        return problem.answer(request, refused.kind, retry_after_seconds=refused.retry_after_seconds, **refused.extras)
    except web.HTTPRequestEntityTooLarge:
        return problem.answer(request, problem.TOO_LARGE)
    except web.HTTPException:
        raise
    except (TimeoutError, Retryable) as error:
        log.warning("outcome_unknown", route=route.operation, error=repr(error))
        return problem.answer(request, problem.OUTCOME_UNKNOWN, retry_after_seconds=RETRY_AFTER_SECONDS)
    except Exception:
        log.exception("internal_error", route=route.operation)
        return problem.answer(request, problem.INTERNAL)


def _authenticated(route: Route, request: web.Request, authenticator: Authenticator | None) -> Principal:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    principal: Principal | None = None
    if authenticator is not None and token and len(token) <= TOKEN_CHARACTERS_MAX:
        if scheme.lower() == "bearer":
            principal = authenticator.of_token(token)
        elif scheme.lower() == "pass" and route.auth is Auth.PASS_OR_TOKEN:
            principal = authenticator.of_pass(token)
    if principal is None:
        raise Problem(problem.UNAUTHENTICATED, field="Authorization")
    if route.role is not None and route.role not in principal.roles:
        raise Problem(problem.FORBIDDEN, role=route.role)
    return principal
