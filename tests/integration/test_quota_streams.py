"""
Availability as server-sent events on a real Valkey: what listeners hear, and what they cannot cost.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from services.quota import metrics, routes
from tests.conftest import Eventually
from tests.integration.quota_door import Api, refused, served
from tests.integration.quota_room import SLOT, SLOT_DAY, plan, room_of

PATH = "/v1/offices/bandung/availability"
STREAM = f"{PATH}/stream?from={SLOT_DAY}"
WITHIN_SECONDS = 5.0
OpenDoor = Callable[..., Awaitable[Api]]


class Door(TestServer):
    """
    A server that, as a process of ours, does not end a handler because its client has hung up.
    """

    async def _make_runner(self, **kwargs: Any) -> web.AppRunner:
        return web.AppRunner(self.app, **kwargs | {"handler_cancellation": False})


class Heard:
    """
    A client of a stream: its events, one after the other.
    """

    def __init__(self, response: Any) -> None:
        self.response = response

    async def event(self) -> dict[str, str]:
        """
        The next block of lines as fields; a comment is the field without a name. Empty at the end.
        """
        fields: dict[str, str] = {}
        async with asyncio.timeout(WITHIN_SECONDS):
            while True:
                line = (await self.response.content.readline()).decode()
                if line in ("", "\n"):
                    return fields
                name, _, value = line.rstrip("\n").partition(":")
                fields[name] = value.lstrip()


@pytest.fixture
async def open_door(valkey: Any, aiohttp_client: Any) -> AsyncIterator[OpenDoor]:
    """
    Bandung's morning, served as asked.
    """
    work = []

    async def opened(**how: Any) -> Api:
        room = room_of(valkey)
        await room.holds.apply([plan(SLOT)])
        app, underway = await served(room, **how)
        work.append(underway)
        return Api(await aiohttp_client(Door(app)), room, underway)

    yield opened
    for one in work:
        await one.settle()


async def _listening(api: Api, path: str = STREAM, **headers: str) -> Heard:
    heard = Heard(await api.client.get(path, headers=headers))
    assert (200, "text/event-stream") == (heard.response.status, heard.response.content_type)
    assert 1000 <= int((await heard.event())["retry"]) <= 5000
    return heard


async def test_a_listener_hears_what_is_free_and_again_when_a_place_is_taken(open_door: OpenDoor) -> None:
    """
    Each frame is what the plain call answers, under its ETag.
    """
    api = await open_door()
    heard = await _listening(api)
    before, plain = await heard.event(), await api.client.get(f"{PATH}?from={SLOT_DAY}")
    await api.reserve(persons=3)
    after = await heard.event()

    assert (plain.headers["ETag"], "availability") == (before["id"], before["event"])
    assert '"free":10' in before["data"]
    assert '"free":7' in after["data"]
    assert before["id"] != after["id"]


async def test_a_client_that_comes_back_hears_only_what_it_has_not_seen(open_door: OpenDoor) -> None:
    """
    Last-Event-ID names what it has: nothing is repeated until something changes.
    """
    api = await open_door()
    seen = (await (await _listening(api)).event())["id"]
    heard = await _listening(api, **{"Last-Event-ID": seen})
    await api.reserve()

    assert '"free":9' in (await heard.event())["data"]


async def test_a_frame_is_encoded_once_and_an_office_looked_at_once_for_all_who_listen(
    open_door: OpenDoor, eventually: Eventually
) -> None:
    """
    Fifty listeners to one view: one frame at the beginning, one for the change, one task.
    """
    api = await open_door()
    encoded = metrics.stream_frames._value.get()
    crowd = [await _listening(api) for _ in range(50)]
    for one in crowd:
        await one.event()
    reads = metrics.free_reads._value.get()
    await api.reserve()
    frames = [await one.event() for one in crowd]
    reads_after = metrics.free_reads._value.get()

    async def looked_again() -> bool:
        return metrics.free_reads._value.get() >= reads_after + 3

    await eventually(looked_again)

    assert 1 == len({frame["data"] for frame in frames})
    assert 2 == metrics.stream_frames._value.get() - encoded
    assert (1, 50) == (api.client.app[routes.STREAMS].watched, metrics.stream_listeners._value.get())
    assert reads_after - reads <= 6
    for one in crowd:
        one.response.close()
    await eventually(lambda: api.client.app[routes.STREAMS].watched == 0, within_seconds=WITHIN_SECONDS)
    assert 0 == metrics.stream_listeners._value.get()


async def test_a_stream_outlives_the_deadline_of_a_request_and_its_heart_beats(open_door: OpenDoor) -> None:
    """
    Nothing changes for longer than any other request may take: comments come, and then the news.
    """
    api = await open_door(request_deadline_seconds=0.2, stream_beat_seconds=0.1)
    heard = await _listening(api)
    await heard.event()
    beats = [await heard.event() for _ in range(4)]
    await api.room.holds.apply([plan(SLOT, version=2, capacity=12)])
    await api.client.app[routes.CATALOGUE].load()
    news = [await heard.event() for _ in range(10)]

    assert [{"": ""}] * 4 == beats
    assert 1 == sum('"capacity":12' in event.get("data", "") for event in news)


async def test_more_listeners_than_the_limit_are_told_to_come_later(
    open_door: OpenDoor, eventually: Eventually
) -> None:
    """
    503 with Retry-After; the plain call still answers, and who hangs up makes room.
    """
    api = await open_door(stream_listeners_max=2)
    first, _ = [await _listening(api) for _ in range(2)]
    turned_away = await api.client.get(STREAM, headers={"Accept-Language": "en"})
    status, code, body = await refused(turned_away)
    plain = await api.client.get(PATH)
    first.response.close()

    assert (503, "streams_full", 200) == (status, code, plain.status)
    assert 5 <= int(turned_away.headers["Retry-After"]) == body["retry_after"] <= 60

    async def let_in() -> bool:
        response = await api.client.get(STREAM)
        return bool(response.status == 200)

    await eventually(let_in, within_seconds=WITHIN_SECONDS)


async def test_views_of_one_office_are_limited_too(open_door: OpenDoor) -> None:
    """
    Each different query costs an encoding of its own: the seventeenth is refused.
    """
    api = await open_door()
    streams = [await api.client.get(f"{PATH}/stream?days={days}") for days in range(1, 18)]

    assert [200] * 16 + [503] == [stream.status for stream in streams]


async def test_a_listener_that_does_not_read_loses_its_stream_and_nobody_else_does(
    open_door: OpenDoor, eventually: Eventually
) -> None:
    """
    Its frames pile up only as far as the buffers go; then it is cut off, while others hear on.
    """
    api = await open_door(stream_write_seconds=0.2)
    # Two hundred slots make a frame that fills buffers soon.
    wide = [plan(f"bandung.20261130.s{number:03d}.regular.online") for number in range(200)]
    await api.room.holds.apply(wide)
    await api.client.app[routes.CATALOGUE].load()
    slow = metrics.streams_ended.labels("slow")._value
    ended = slow.get()
    with socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.setblocking(False)
        await asyncio.get_running_loop().sock_connect(deaf, (api.client.host, api.client.port))
        await asyncio.get_running_loop().sock_sendall(deaf, f"GET {STREAM} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        heard = await _listening(api)
        await heard.event()
        for number in range(20):
            await api.room.holds.apply([plan(SLOT, version=2 + number, capacity=20 + number)])
            await heard.event()
            if slow.get() > ended:
                break
        await eventually(lambda: slow.get() == ended + 1)

    assert 1 == metrics.stream_listeners._value.get()
    heard.response.close()


async def test_a_drain_ends_every_stream_and_asks_the_clients_to_come_again(open_door: OpenDoor) -> None:
    """
    The last words carry a new delay; then the stream ends, and no new one begins on this worker.
    """
    api = await open_door()
    crowd = [await _listening(api) for _ in range(3)]
    for one in crowd:
        await one.event()
    runner: web.AppRunner = api.client.server.runner
    closing = asyncio.ensure_future(runner.cleanup())
    last = [await one.event() for one in crowd]
    rest = [await one.response.content.read() for one in crowd]
    async with asyncio.timeout(WITHIN_SECONDS):
        await closing

    assert ["come again"] * 3 == [words[""] for words in last]
    assert all(1000 <= int(words["retry"]) <= 5000 for words in last)
    assert [b""] * 3 == rest


async def test_what_is_not_there_and_what_is_not_asked_well_is_not_streamed(open_door: OpenDoor) -> None:
    """
    An office nobody knows and a day that is none are answered as the plain call answers them.
    """
    api = await open_door()

    assert (404, "not_found") == (await refused(await api.client.get("/v1/offices/atlantis/availability/stream")))[:2]
    assert (400, "bad_request") == (await refused(await api.client.get(f"{PATH}/stream?days=0")))[:2]
    assert 0 == api.client.app[routes.STREAMS].watched
