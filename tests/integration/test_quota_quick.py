"""
The quick way of a reservation over real sockets: the same answers, in order, whatever way requests come.
"""

import asyncio
import dataclasses
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from kernel.http import quick
from kernel.http.door import DoorRunner
from kernel.http.short import take_short_ways
from kernel.settings import HttpSettings
from services.quota.routes import reserving
from services.quota.stores.batching import BatchingDecider
from tests.integration.quota_door import KEYS, served
from tests.integration.quota_room import HOUR_MS, SLOT, Room, plan, room_of

FULL = "bandung.20261130.midday.regular.online"


@dataclasses.dataclass(slots=True)
class Line:
    """
    One connection of one client.
    """

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def answer(self) -> tuple[int, dict[str, str], dict[str, Any]]:
        """Status, headers and body of the next answer."""
        async with asyncio.timeout(10):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = dict(line.split(": ", 1) for line in head[1:] if line)
            body = await self.reader.readexactly(int(headers["Content-Length"]))
        return int(head[0].split()[1]), headers, json.loads(body)

    async def ask(self, raw: bytes) -> tuple[int, dict[str, str], dict[str, Any]]:
        """A request and its answer."""
        self.writer.write(raw)
        return await self.answer()


@dataclasses.dataclass(slots=True)
class Door:
    """
    A room as `kernel.process` serves it.
    """

    room: Room
    decider: BatchingDecider
    runner: DoorRunner
    lines: list[Line] = dataclasses.field(default_factory=list)

    async def line(self) -> Line:
        """A connection that has come to rest."""
        reader, writer = await asyncio.open_connection(*self.runner.addresses[0])
        self.lines.append(Line(reader, writer))
        return self.lines[-1]


@asynccontextmanager
async def _opened(valkey: Any, *, decide_deadline_seconds: float = 5.0) -> AsyncIterator[Door]:
    room = room_of(valkey)
    await room.holds.apply([plan(SLOT), plan(FULL, capacity=0)])
    app, decider = await served(room, decide_deadline_seconds=decide_deadline_seconds)
    runner = DoorRunner(app, HttpSettings(port=0), shutdown_timeout_seconds=5.0)
    await runner.setup()
    assert runner.server is not None
    take_short_ways(runner.server, app)
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    opened = Door(room, decider, runner)
    try:
        yield opened
    finally:
        await runner.cleanup()
        for line in opened.lines:
            line.writer.close()


@pytest.fixture
async def door(valkey: Any) -> AsyncIterator[Door]:
    """
    A slot with places and one without.
    """
    async with _opened(valkey) as opened:
        yield opened


@pytest.fixture
def quickly(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """
    Of every request that was looked at: whether it went the quick way.
    """
    went: list[bool] = []
    begun = quick.begun

    def watched(*looked_at: Any) -> Any:
        taken = begun(*looked_at)
        went.append(taken is not None)
        return taken

    monkeypatch.setattr("kernel.http.quick.begun", watched)
    return went


def _raw(who: str, slot_id: str = SLOT, *, persons: int = 1, version: str = "1.1", **headers: str) -> bytes:
    ids = [f"per_{who}{number}" for number in range(persons)]
    token = KEYS.issue(account_id=f"acc_{who}", person_ids=tuple(ids), expires_at_ms=_expires())
    body = json.dumps({"slot_id": slot_id, "person_ids": ids}).encode()
    more = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    head = (
        f"POST /v1/reservations HTTP/{version}\r\nHost: a\r\nAuthorization: Pass {token}\r\n"
        f"Idempotency-Key: key-0000000{len(who)}\r\nContent-Type: application/json\r\nAccept-Language: en\r\n"
        f"{more}Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _expires() -> int:
    return plan().opens_at_ms + 10 * HOUR_MS


async def test_held_repeated_and_sold_out_go_the_quick_way(door: Door, quickly: list[bool]) -> None:
    """
    One connection, one after the other: places, the same places again, and a refusal with its next steps.
    """
    line = await door.line()
    first = await line.ask(_raw("a", persons=2))
    again = await line.ask(_raw("a", persons=2))
    refused = [await line.ask(_raw(who, FULL)) for who in ("b", "cc")]

    assert (201, [1, 2], f"/v1/reservations/{first[2]['reservation_id']}") == (
        first[0],
        first[2]["seats"],
        first[1]["Location"],
    )
    assert (201, "true", first[2]) == (again[0], again[1]["Idempotency-Replayed"], again[2])
    assert [(409, "sold_out")] * 2 == [(status, body["code"]) for status, _, body in refused]
    assert "alternatives" in refused[1][2]
    # The first refusal is put together by the handler, which waits for what else is free; after that nobody waits.
    assert [True, True, True, True] == quickly


async def test_once_it_is_known_what_else_is_free_no_refusal_waits_for_the_handler(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    The first has to look; for another family the answer is another one, and is put together where it is asked for.
    """
    handled: list[str] = []
    in_the_handler = reserving._sold_out

    async def watched(request: web.Request, call: Any, ask: Any) -> web.StreamResponse:
        handled.append(ask.account_id)
        return await in_the_handler(request, call, ask)

    monkeypatch.setattr(reserving, "_sold_out", watched)
    line = await door.line()
    refused = [await line.ask(_raw(who, FULL, persons=len(who))) for who in ("b", "cc", "ddd")]

    assert [(409, "sold_out")] * 3 == [(status, body["code"]) for status, _, body in refused]
    assert all("alternatives" in body for _, _, body in refused)
    assert ["acc_b"] == handled


async def test_requests_that_come_together_are_answered_in_order(door: Door) -> None:
    """
    Five in one write, the third of which no quick way understands: five answers, in the order of asking.
    """
    line = await door.line()
    slow = b"GET /v1/offices/bandung/availability HTTP/1.1\r\nHost: a\r\n\r\n"
    line.writer.write(_raw("a") + _raw("b") + slow + _raw("c", FULL) + _raw("d"))

    answers = [await line.answer() for _ in range(5)]

    assert [201, 201, 200, 409, 201] == [status for status, _, _ in answers]
    assert [["per_a0"], ["per_b0"], ["per_d0"]] == [answers[at][2]["person_ids"] for at in (0, 1, 4)]


async def test_a_line_goes_back_to_the_quick_way_after_what_only_the_framework_reads(
    door: Door, quickly: list[bool], eventually: Any
) -> None:
    """
    A look, a body in pieces, a refusal put together by the handler: the parser is known to stand between two requests.
    """
    line, raw = await door.line(), _raw("a")
    await line.ask(b"GET /v1/offices/bandung/availability HTTP/1.1\r\nHost: a\r\n\r\n")
    line.writer.write(raw[:-5])
    await eventually(lambda: quickly == [False, False])  # so that the pieces are two
    answers = [await line.ask(raw[-5:]), await line.ask(_raw("b", FULL)), await line.ask(_raw("cc"))]

    assert [201, 409, 201] == [status for status, _, _ in answers]
    assert quickly[-1]


async def test_who_sends_on_while_he_is_decided_for_stays_stopped(door: Door, valkey: Any, eventually: Any) -> None:
    """
    Also when a piece of his that waited for its turn at the turnstile comes through: what waits here is bounded.
    """
    line = await door.line()
    await line.ask(_raw("z"))
    await valkey.execute_command("CLIENT", "PAUSE", 200, "WRITE")
    line.writer.write(_raw("a"))
    await eventually(lambda: door.decider.underway)
    assert door.runner.server is not None
    connection: Any = door.runner.server.connections[0]
    connection.data_received(b"POST")
    connection._unread, connection._stopped = b" /v1", True
    connection.go_on()
    reading = connection.transport.is_reading()

    assert (201, False) == ((await line.answer())[0], reading)


async def test_what_hides_a_second_request_in_its_body_is_one_request(door: Door, quickly: list[bool]) -> None:
    """
    Two lengths, or chunks beside a length: refused as ever, the connection ends, and what was hidden reserves nothing.
    """
    hidden = _raw("b")
    for trick in ({"Content_Length": str(len(hidden))}, {"Transfer_Encoding": "chunked"}):
        line = await door.line()
        line.writer.write(_raw("a", **trick) + hidden)
        status, _, _ = await line.answer()
        async with asyncio.timeout(5):
            rest = await line.reader.read()
        assert (400, b"") == (status, rest)
    assert not any(quickly)
    assert [] == await door.room.records("hold")


async def test_a_request_that_meets_one_under_way_waits_for_its_turn(door: Door, valkey: Any, eventually: Any) -> None:
    """
    The second comes while the first is being decided, and is answered after it.
    """
    line = await door.line()
    await line.ask(_raw("z"))
    await valkey.execute_command("CLIENT", "PAUSE", 200, "WRITE")
    line.writer.write(_raw("a"))
    await eventually(lambda: door.decider.underway)
    line.writer.write(_raw("b"))

    answers = [await line.answer() for _ in range(2)]

    assert [(201, ["per_a0"]), (201, ["per_b0"])] == [(status, body["person_ids"]) for status, _, body in answers]


@pytest.mark.parametrize("cut", [40, -20, -1])
async def test_a_request_in_pieces_gets_the_same_answer(
    door: Door, quickly: list[bool], eventually: Any, cut: int
) -> None:
    """
    Cut in the head or in the body: the handler sees to it.
    """
    line, raw = await door.line(), _raw("a")
    line.writer.write(raw[:cut])
    await eventually(lambda: quickly == [False])  # so that the pieces are two

    assert 201 == (await line.ask(raw[cut:]))[0]


async def test_what_is_wrong_is_said_as_ever_and_changes_nothing(door: Door) -> None:
    """
    No pass, another's person, no key, no JSON: the same refusals as on the long way, and the connection goes on.
    """
    line, good = await door.line(), _raw("a")
    bad = [
        good.replace(b"Pass ", b"Pass x"),
        good.replace(b"per_a0", b"per_b0"),
        good.replace(b"Idempotency-Key: key-00000001\r\n", b""),
        good.replace(b'{"slot_id"', b'["slot_id"'),
    ]
    answers = [await line.ask(raw) for raw in bad]

    codes = ["unauthenticated", "person_not_yours", "idempotency_key_missing", "bad_request"]
    assert codes == [body["code"] for _, _, body in answers]
    assert [] == await door.room.records("hold")
    assert 201 == (await line.ask(good))[0]


async def test_a_client_that_asks_to_close_or_speaks_an_older_tongue_is_answered_and_let_go(door: Door) -> None:
    """
    Connection: close and HTTP/1.0 are the ordinary way's.
    """
    for raw in (_raw("a", Connection="close"), _raw("bb", version="1.0")):
        line = await door.line()
        status, _, _ = await line.ask(raw)
        async with asyncio.timeout(5):
            rest = await line.reader.read()
        assert (201, b"") == (status, rest)


async def test_the_drain_waits_for_a_decision_on_the_quick_way(door: Door, valkey: Any, eventually: Any) -> None:
    """
    Whoever was being decided when the door closes hears his answer first.
    """
    line = await door.line()
    await line.ask(_raw("z"))
    await valkey.execute_command("CLIENT", "PAUSE", 200, "WRITE")
    line.writer.write(_raw("a"))
    await eventually(lambda: door.decider.underway)
    closing = asyncio.ensure_future(door.runner.cleanup())
    status, _, body = await line.answer()
    await closing

    assert (201, ["per_a0"]) == (status, body["person_ids"])


async def test_no_answer_in_time_is_unknown_on_the_quick_way_too(valkey: Any) -> None:
    """
    503 with the reservation's id; the same request finds out later.
    """
    async with _opened(valkey, decide_deadline_seconds=0.2) as door:
        line = await door.line()
        await line.ask(_raw("z"))
        await valkey.execute_command("CLIENT", "PAUSE", 600, "WRITE")
        status, _, unknown = await line.ask(_raw("a"))
        await door.decider.settle()
        _, headers, found = await line.ask(_raw("a"))

    assert (503, "outcome_unknown") == (status, unknown["code"])
    assert ("true", unknown["reservation_id"]) == (headers["Idempotency-Replayed"], found["reservation_id"])


async def test_a_client_that_hangs_up_leaves_its_places_and_nobody_else_waits(
    door: Door, valkey: Any, eventually: Any
) -> None:
    """
    The decision is seen through; whoever asks again on another line gets what was his.
    """
    line = await door.line()
    await line.ask(_raw("z"))
    await valkey.execute_command("CLIENT", "PAUSE", 150, "WRITE")
    line.writer.write(_raw("a"))
    await eventually(lambda: door.decider.underway)
    line.writer.transport.abort()
    await door.decider.settle()

    status, headers, _ = await (await door.line()).ask(_raw("a"))
    assert (201, "true") == (status, headers["Idempotency-Replayed"])


async def test_what_the_framework_was_given_after_all_is_answered_once(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A way that breaks after it has asked: what it is told then is nobody's, least of all the next request's.
    """
    begun = quick.begun

    def broken(*looked_at: Any) -> None:
        begun(*looked_at)

    monkeypatch.setattr("kernel.http.quick.begun", broken)
    line = await door.line()

    answers = [await line.ask(_raw(who)) for who in ("1", "22", "333")]

    assert [201, 201, 201] == [status for status, _, _ in answers]
    assert [["per_10"], ["per_220"], ["per_3330"]] == [body["person_ids"] for _, _, body in answers]
