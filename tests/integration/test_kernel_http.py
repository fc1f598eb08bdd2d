"""
The edge of every room: who may in, how long it may take, and that every refusal is a problem.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient

from kernel.auth.principal import Principal
from kernel.errors import DeadlineExceeded, Retryable
from kernel.http import problem
from kernel.http.application import application, principal_of
from kernel.http.problem import Problem
from kernel.http.route import Auth, Route, answer_json, body_of
from kernel.settings import HttpSettings

Client = TestClient[web.Request, web.Application]
SETTINGS = HttpSettings(host="127.0.0.1", port=0, request_deadline_seconds=0.3, body_bytes_max=1024)


class Wish(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    A body.
    """

    seats: int


class Door:
    """
    Knows one token and one pass.
    """

    def of_token(self, token: str) -> Principal | None:
        """
        A citizen's, or an officer's.
        """
        roles = {"citizen-token": frozenset[str](), "officer-token": frozenset({"officer"})}
        return Principal(account_id="acc_1", roles=roles[token], expires_at_ms=1) if token in roles else None

    def of_pass(self, token: str) -> Principal | None:
        """
        A citizen's.
        """
        return Principal(account_id="acc_2", expires_at_ms=1) if token == "a-pass" else None


async def _who(request: web.Request) -> web.Response:
    return answer_json({"account_id": principal_of(request).account_id})


async def _take(request: web.Request) -> web.Response:
    return answer_json({"seats": (await body_of(request, Wish)).seats}, status=201)


async def _read_raw(request: web.Request) -> web.Response:
    return answer_json(len(await request.read()))


def _raising(error: BaseException) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def handler(_: web.Request) -> web.StreamResponse:
        raise error

    return handler


async def _forever(_: web.Request) -> web.StreamResponse:
    await asyncio.Event().wait()
    return web.Response()


def _route(method: str, path: str, handler: Any, **more: Any) -> Route:
    return Route(
        method=method,
        path=path,
        handler=handler,
        summary=path,
        operation=path.strip("/"),
        **{"answers": {200: None}, **more},
    )


ROUTES = (
    _route("GET", "/who", _who, auth=Auth.TOKEN),
    _route("GET", "/who-by-pass", _who, auth=Auth.PASS_OR_TOKEN),
    _route("GET", "/officers", _who, auth=Auth.TOKEN, role="officer"),
    _route("POST", "/take", _take, body=Wish),
    _route("POST", "/raw", _read_raw),
    _route("GET", "/forever", _forever),
    _route("GET", "/away", _raising(Retryable("Postgres is away"))),
    _route("GET", "/late", _raising(DeadlineExceeded("no answer"))),
    _route("GET", "/fault", _raising(RuntimeError("secret detail"))),
    _route("GET", "/refused", _raising(Problem(problem.STILL_RUNNING, retry_after_seconds=1, slot_id="s"))),
    _route("GET", "/sandbox", _read_raw, sandbox=True),
)


@pytest.fixture
async def client(aiohttp_client: Callable[[web.Application], Awaitable[Client]]) -> Client:
    return await aiohttp_client(application(ROUTES, SETTINGS, authenticator=Door()))


async def _code(client: Client, method: str, path: str, **more: Any) -> tuple[int, str]:
    async with client.request(method, path, **more) as response:
        assert response.content_type == "application/problem+json"
        return response.status, (await response.json(content_type=None))["code"]


@pytest.mark.parametrize(
    "authorization",
    [None, "", "Bearer", "Bearer ", "Bearer wrong", "Basic citizen-token", "citizen-token", "Bearer " + "x" * 5000],
)
async def test_who_shows_nothing_valid_is_told_to_sign_in(client: Client, authorization: str | None) -> None:
    """
    Missing, malformed, foreign and endless credentials all get the same answer.
    """
    headers = {} if authorization is None else {"Authorization": authorization}

    assert (401, "unauthenticated") == await _code(client, "GET", "/who", headers=headers)


async def test_a_token_opens_and_a_pass_opens_only_the_hot_path(client: Client) -> None:
    """
    A pass is good for nothing but reserving.
    """
    async with client.get("/who", headers={"Authorization": "bearer citizen-token"}) as response:
        assert {"account_id": "acc_1"} == await response.json()
    async with client.get("/who-by-pass", headers={"Authorization": "Pass a-pass"}) as response:
        assert {"account_id": "acc_2"} == await response.json()

    assert (401, "unauthenticated") == await _code(client, "GET", "/who", headers={"Authorization": "Pass a-pass"})


async def test_a_role_is_asked_for(client: Client) -> None:
    """
    Signed in is not the same as entitled.
    """
    headers = {"Authorization": "Bearer citizen-token"}

    assert (403, "forbidden") == await _code(client, "GET", "/officers", headers=headers)
    async with client.get("/officers", headers={"Authorization": "Bearer officer-token"}) as response:
        assert 200 == response.status


@pytest.mark.parametrize(
    ("method", "path", "body", "expected"),
    [
        ("POST", "/take", b"{", (400, "bad_request")),
        ("POST", "/take", b'{"seats":"two"}', (400, "bad_request")),
        ("POST", "/take", b'{"seats":1,"x":"' + b"x" * 2000 + b'"}', (413, "body_too_large")),
        ("POST", "/raw", b"x" * 2000, (413, "body_too_large")),
        ("GET", "/nowhere", None, (404, "not_found")),
        ("DELETE", "/take", None, (405, "method_not_allowed")),
        ("GET", "/sandbox", None, (404, "not_found")),
        ("GET", "/forever", None, (503, "outcome_unknown")),
        ("GET", "/away", None, (503, "outcome_unknown")),
        ("GET", "/late", None, (503, "outcome_unknown")),
        ("GET", "/fault", None, (500, "internal_error")),
        ("GET", "/refused", None, (409, "still_running")),
    ],
)
async def test_whatever_goes_wrong_is_a_problem_with_a_code(
    client: Client, method: str, path: str, body: bytes | None, expected: tuple[int, str]
) -> None:
    """
    No client ever meets a bare error page of a framework.
    """
    assert expected == await _code(client, method, path, data=body)


async def test_a_fault_of_ours_tells_nothing_of_its_inside(client: Client) -> None:
    """
    The detail is in the log, under the request id the client can name.
    """
    async with client.get("/fault", headers={"X-Request-Id": "req-42"}) as response:
        text = await response.text()

    assert "secret detail" not in text
    assert '"request_id":"req-42"' in text
    assert "req-42" == response.headers["X-Request-Id"]


async def test_an_unknown_outcome_says_when_to_ask_again(client: Client) -> None:
    """
    503 is not no: the same key may be sent again.
    """
    async with client.get("/away") as response:
        assert response.headers["Retry-After"].isdigit()


async def test_sandbox_routes_exist_in_the_sandbox(
    aiohttp_client: Callable[[web.Application], Awaitable[Client]],
) -> None:
    """
    Elsewhere they are not refused but absent.
    """
    sandbox = await aiohttp_client(application(ROUTES, SETTINGS, authenticator=None, sandbox=True))

    async with sandbox.get("/sandbox") as response:
        assert 200 == response.status
