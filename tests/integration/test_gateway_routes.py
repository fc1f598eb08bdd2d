"""
The gateway's own configuration, rendered and run by the real nginx, in front of small rooms that say who they are.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.integration.gateway_nginx import ROOMS, Gateway

ROUTES = (
    ("POST", "/v1/accounts", "identity"),
    ("POST", "/v1/accounts/activation", "identity"),
    ("POST", "/v1/tokens", "identity"),
    ("POST", "/v1/passes", "identity"),
    ("POST", "/v1/persons", "identity"),
    ("GET", "/v1/persons", "identity"),
    ("GET", "/.well-known/jwks.json", "identity"),
    ("GET", "/v1/offices/bandung/name-sheet?date=2026-11-30", "identity"),
    ("GET", "/v1/offices/bandung/name-sheet.csv", "identity"),
    ("GET", "/v1/offices/bandung/name-sheet.pdf", "identity"),
    ("GET", "/v1/offices/bandung/availability?from=2026-11-30&days=7", "quota"),
    ("GET", "/v1/offices/bandung/availability/stream", "quota"),
    ("POST", "/v1/reservations", "quota"),
    ("GET", "/v1/reservations/rsv_1", "quota"),
    ("DELETE", "/v1/reservations/rsv_1", "quota"),
    ("GET", "/v1/offices", "booking"),
    ("GET", "/v1/offices/bandung", "booking"),
    ("PUT", "/v1/offices/bandung/calendar", "booking"),
    ("PUT", "/v1/calendar", "booking"),
    ("POST", "/v1/windows", "booking"),
    ("GET", "/v1/slots/bandung.20261130.morning.regular.online", "booking"),
    ("PATCH", "/v1/slots/bandung.20261130.morning.regular.online", "booking"),
    ("POST", "/v1/offices/bandung/closures", "booking"),
    ("GET", "/v1/offices/bandung/closures/2026-11-30", "booking"),
    ("GET", "/v1/bookings", "booking"),
    ("GET", "/v1/bookings/rsv_1", "booking"),
    ("POST", "/v1/bookings/rsv_1/cancel", "booking"),
    ("POST", "/v1/bookings/rsv_1/reschedule", "booking"),
    ("POST", "/v1/bookings/rsv_1/choice", "booking"),
    ("GET", "/v1/bookings/rsv_1/moves/rsv_2", "booking"),
    ("POST", "/v1/offices/bandung/bookings/rsv_1/reschedule", "booking"),
    ("GET", "/v1/offices/bandung/bookings/rsv_1/moves/rsv_2", "booking"),
    ("POST", "/v1/offices/bandung/walk-ins", "booking"),
    ("POST", "/v1/offices/bandung/priority-bookings", "booking"),
    ("POST", "/v1/offices/bandung/assisted-bookings", "booking"),
    ("GET", "/v1/offices/bandung/counter-bookings/rsv_1", "booking"),
    ("POST", "/v1/waitlist", "booking"),
    ("GET", "/v1/waitlist", "booking"),
    ("DELETE", "/v1/waitlist/wtl_1", "booking"),
    ("POST", "/v1/offices/bandung/check-ins", "booking"),
    ("POST", "/v1/offices/bandung/bookings/rsv_1/served", "booking"),
    ("POST", "/v1/offices/bandung/bookings/rsv_1/pardon", "booking"),
    ("GET", "/v1/offices/bandung/day-sheet?date=2026-11-30", "booking"),
    ("GET", "/v1/offices/bandung/day-sheet.csv", "booking"),
    ("GET", "/v1/offices/bandung/day-sheet.pdf", "booking"),
    ("POST", "/v1/offices/bandung/incidents", "booking"),
    ("GET", "/v1/offices/bandung/day-leaf?date=2026-11-30", "booking"),
    ("GET", "/v1/offices/bandung/revocations", "booking"),
    ("POST", "/v1/offices/bandung/day-leaf/uploads", "booking"),
    ("GET", "/v1/leaf-keys", "booking"),
    ("GET", "/v1/bookings/rsv_1/invoice", "payment"),
    ("GET", "/v1/bookings/rsv_1/refund", "payment"),
    ("GET", "/v1/refunds?state=requested", "payment"),
    ("POST", "/v1/refunds", "payment"),
    ("POST", "/v1/refunds/rfd_1/approve", "payment"),
    ("POST", "/v1/refunds/rfd_1/reject", "payment"),
    ("POST", "/v1/bank/callbacks/sandbox", "payment"),
    ("POST", "/v1/bookings/rsv_1/payment-proof", "payment"),
    ("GET", "/v1/payments/exceptions?limit=10", "payment"),
    ("POST", "/v1/payments/exceptions/1/resolve", "payment"),
    ("POST", "/v1/sandbox/bank/payments", "payment"),
    ("POST", "/v1/sandbox/bank/access-token", "payment"),
    ("POST", "/v1/sandbox/bank/inquiries", "payment"),
    ("GET", "/v1/bookings/rsv_1/ticket.pdf", "notify"),
    ("GET", "/v1/bookings/rsv_1/ticket.ics", "notify"),
    ("GET", "/v1/bookings/rsv_1/qr.svg", "notify"),
    ("GET", "/v1/ticket-keys", "notify"),
)


@pytest.fixture
def gateway(tmp_path: Path) -> Gateway:
    """
    Its rooms are away until a test lets them in.
    """
    return Gateway(tmp_path)


@contextlib.asynccontextmanager
async def room(gateway: Gateway, name: str) -> AsyncIterator[None]:
    """
    A room that answers every request with its name and what it was sent.
    """

    async def echo(request: web.Request) -> web.Response:
        body = (await request.read()).decode()
        return web.json_response(
            {
                "room": name,
                "path": request.raw_path,
                "headers": {name.lower(): value for name, value in request.headers.items()},
                "body": body,
            }
        )

    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", echo)
    async with TestServer(app) as server:
        gateway.rooms[name] = f"127.0.0.1:{server.port}"
        yield


@contextlib.asynccontextmanager
async def moody_room(gateway: Gateway, name: str, *, answers: int) -> AsyncIterator[list[str]]:
    """
    Answers so many requests of each connection, then hangs up on the next after reading it. Yields what it read.
    """
    read: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            for turn in range(answers + 1):
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                read.append(head.split(" ", 1)[0])
                if turn < answers:
                    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
                    await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        gateway.rooms[name] = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield read


@contextlib.asynccontextmanager
async def silent_room(gateway: Gateway, name: str) -> AsyncIterator[None]:
    """
    Takes the request and never says anything.
    """

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while await reader.read(65536):
                continue
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        gateway.rooms[name] = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield


async def test_every_path_reaches_its_room_unchanged(gateway: Gateway) -> None:
    """
    The routing table is the one the rooms were written against.
    """
    async with contextlib.AsyncExitStack() as rooms:
        for name in ROOMS:
            await rooms.enter_async_context(room(gateway, name))
        client = await rooms.enter_async_context(gateway.running())
        reached = []
        for method, path, _ in ROUTES:
            async with client.request(method, path) as response:
                answer = await response.json()
                assert path == answer["path"]
                reached.append((method, path, answer["room"]))

    assert list(ROUTES) == reached


async def test_a_request_arrives_with_its_trace_a_fresh_id_and_its_origin(gateway: Gateway) -> None:
    """
    A client's own request id is not believed; its trace is none of the gateway's business.
    """
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    async with room(gateway, "quota"), gateway.running() as client:
        sent = {"traceparent": trace, "X-Request-Id": "forged", "Idempotency-Key": "key-1"}
        async with client.post("/v1/reservations", headers=sent, data=b"{}") as response:
            seen = (await response.json())["headers"]
            request_ids = response.headers.getall("X-Request-Id")

    assert [seen["x-request-id"]] == request_ids
    assert 32 == len(seen["x-request-id"])
    assert trace == seen["traceparent"]
    assert "key-1" == seen["idempotency-key"]
    assert "127.0.0.1" == seen["x-forwarded-for"]
    assert f"127.0.0.1:{gateway.port}" == seen["host"]


@pytest.mark.parametrize(("language", "title"), [("en-GB,en", "Not found"), ("", "Tidak ditemukan")])
async def test_an_unknown_path_is_a_problem_in_the_callers_language(
    gateway: Gateway, language: str, title: str
) -> None:
    """
    A typing mistake is answered in the same form as every other refusal.
    """
    async with (
        gateway.running() as client,
        client.get("/v1/bookingz?x=1", headers={"Accept-Language": language}) as response,
    ):
        problem = json.loads(await response.text())

        assert 404 == response.status
        assert "application/problem+json" == response.content_type
        assert (title, "not_found", 404, "/v1/bookingz") == (
            problem["title"],
            problem["code"],
            problem["status"],
            problem["instance"],
        )
        assert "Retry-After" not in response.headers


async def test_a_path_that_would_break_the_json_is_not_repeated_in_it(gateway: Gateway) -> None:
    """
    What a client types never decides the shape of an answer.
    """
    reader, writer = None, None
    async with gateway.running():
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        writer.write(b'GET /v1/"x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()

    assert "" == json.loads(answer.partition(b"\r\n\r\n")[2])["instance"]


async def test_a_room_that_is_away_is_502_with_the_time_to_return(gateway: Gateway) -> None:
    """
    Away is said at once, in the form clients understand.
    """
    async with gateway.running() as client, client.post("/v1/reservations", data=b"{}") as response:
        problem = json.loads(await response.text())

        assert (502, 502, "gateway_unavailable") == (response.status, problem["status"], problem["code"])
        assert response.headers["Retry-After"] == str(problem["retry_after"]) in {"2", "3", "4"}
        assert response.headers["X-Request-Id"] == problem["request_id"]


async def test_a_room_that_does_not_answer_is_504(gateway: Gateway) -> None:
    """
    Silence is unknown, not no: the status differs from a room that is away.
    """

    def impatient(config: str) -> str:
        assert "proxy_read_timeout 20s;" in config
        return config.replace("proxy_read_timeout 20s;", "proxy_read_timeout 100ms;")

    async with (
        silent_room(gateway, "quota"),
        gateway.running(impatient) as client,
        client.post("/v1/reservations", data=b"{}") as response,
    ):
        problem = json.loads(await response.text())

        assert (504, 504, "gateway_unavailable") == (response.status, problem["status"], problem["code"])
        assert response.headers["Retry-After"] in {"2", "3", "4"}


async def test_a_rooms_own_refusal_passes_untouched(gateway: Gateway) -> None:
    """
    A room that says 503 has said more than the gateway could.
    """

    async def refuse(_: web.Request) -> web.Response:
        return web.json_response(
            {"code": "not_ready"}, status=503, content_type="application/problem+json", headers={"Retry-After": "7"}
        )

    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", refuse)
    async with TestServer(app) as server:
        gateway.rooms["quota"] = f"127.0.0.1:{server.port}"
        async with gateway.running() as client, client.post("/v1/reservations") as response:
            assert {"code": "not_ready"} == json.loads(await response.text())
            assert (503, ["7"]) == (response.status, response.headers.getall("Retry-After"))


async def test_a_stream_is_heard_word_by_word_and_outlives_the_patience_for_an_answer(gateway: Gateway) -> None:
    """
    The next event is sent only when the one before has arrived, later than any other room may take to answer.
    """
    heard = asyncio.Event()

    async def tell(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b"data: 1\n\n")
        await heard.wait()
        await asyncio.sleep(0.3)
        await response.write(b"data: 2\n\n")
        return response

    app = web.Application()
    app.router.add_get("/{rest:.*}", tell)
    async with TestServer(app) as server:
        gateway.rooms["quota"] = f"127.0.0.1:{server.port}"
        async with (
            gateway.running(
                lambda config: config.replace("proxy_read_timeout 20s;", "proxy_read_timeout 100ms;")
            ) as door,
            door.get("/v1/offices/bandung/availability/stream", headers={"Accept-Encoding": "gzip"}) as response,
            asyncio.timeout(5),
        ):
            first = await response.content.readuntil(b"\n\n")
            heard.set()
            rest = await response.content.read()

    assert (b"data: 1\n\n", b"data: 2\n\n") == (first, rest)


@pytest.mark.parametrize("method", ["POST", "DELETE", "PUT", "PATCH"])
async def test_a_write_without_an_answer_is_never_repeated(gateway: Gateway, method: str) -> None:
    """
    The gateway does not know whether it happened, so only the sender may ask again.
    """
    async with moody_room(gateway, "quota", answers=1) as read, gateway.running() as client:
        assert [200, 502] == [await _status(client.request(method, "/v1/reservations/rsv_1")) for _ in range(2)]

    assert [method, method] == read


async def test_a_read_on_a_connection_gone_stale_is_asked_again(gateway: Gateway) -> None:
    """
    A room that restarts does not blink in front of people who only look.
    """
    async with moody_room(gateway, "booking", answers=1) as read, gateway.running() as client:
        assert [200, 200] == [await _status(client.get("/v1/offices")) for _ in range(2)]

    assert ["GET", "GET", "GET"] == read


async def test_a_body_beyond_the_limit_is_refused_at_the_door(gateway: Gateway) -> None:
    """
    64 KiB is more than any call needs.
    """
    async with room(gateway, "quota"), gateway.running() as client:
        assert 200 == await _status(client.post("/v1/reservations", data=b"x" * 65536))
        async with client.post("/v1/reservations", data=b"x" * 65537) as response:
            assert (413, "body_too_large") == (response.status, json.loads(await response.text())["code"])


async def test_the_page_comes_with_a_policy_that_allows_only_itself(gateway: Gateway) -> None:
    """
    No script, style or picture from anywhere else, and nobody may frame it.
    """
    async with gateway.running() as client, client.get("/") as response:
        assert 200 == response.status
        policy = dict(part.strip().split(" ", 1) for part in response.headers["Content-Security-Policy"].split(";"))

        assert "text/html" == response.content_type
        assert "'none'" == policy["default-src"]
        assert ["'self'"] * 3 == [policy[kind] for kind in ("script-src", "style-src", "connect-src")]
        assert ["'none'"] * 3 == [policy[kind] for kind in ("base-uri", "form-action", "frame-ancestors")]
        assert "nosniff" == response.headers["X-Content-Type-Options"]
        assert "no-cache" == response.headers["Cache-Control"]


async def test_files_have_their_types(gateway: Gateway) -> None:
    """
    With nosniff a wrong type is a blank page.
    """
    async with gateway.running() as client:
        types = [await _type(client.get(path)) for path in ("/app.js", "/openapi.json", "/asyncapi.json")]

    assert ["text/javascript", "application/json", "application/json"] == types


async def _status(asked: Awaitable[aiohttp.ClientResponse]) -> int:
    response = await asked
    await response.read()
    return response.status


async def _type(asked: Awaitable[aiohttp.ClientResponse]) -> str:
    response = await asked
    await response.read()
    return response.content_type
