"""
The street door on real sockets, on the loop that processes run on, and a client that can be slow or many.
"""

import asyncio
import dataclasses
import json
import threading
import time
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeVar

import msgspec
import uvloop
from aiohttp import web

from kernel import metrics
from kernel.http.application import application
from kernel.http.door import DoorRunner, DoorServer
from kernel.http.route import Route, answer_json, body_of
from kernel.settings import HttpSettings

T = TypeVar("T")
ANSWER_SECONDS = 10
SETTINGS = HttpSettings(
    port=0,
    body_bytes_max=1024,
    header_bytes_max=1024,
    connections_max=50,
    head_timeout_seconds=0.4,
    body_timeout_seconds=0.4,
    answer_timeout_seconds=0.4,
    keepalive_seconds=30,
)
MEGABYTES = 64
WHOLE = b"GET /quick HTTP/1.1\r\nHost: a\r\n\r\n"
HEAD_OF_BODY = b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 20\r\n\r\n"


class Text(msgspec.Struct, frozen=True):
    """
    A body.
    """

    text: str


async def _quick(_: web.Request) -> web.Response:
    return answer_json("done")


async def _echo(request: web.Request) -> web.Response:
    return answer_json((await body_of(request, Text)).text)


async def _endless(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    for _ in range(MEGABYTES):
        await response.write(bytes(1 << 20))
    return response


def _route(method: str, path: str, handler: Any) -> Route:
    return Route(method=method, path=path, handler=handler, summary="", operation=path.strip("/"), answers={200: None})


ROUTES = (_route("GET", "/quick", _quick), _route("POST", "/echo", _echo), _route("GET", "/endless", _endless))


@dataclasses.dataclass(slots=True)
class Line:
    """
    A connection as a client has it.
    """

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def ask(self, raw: bytes = WHOLE) -> tuple[int, dict[str, str], Any]:
        """
        Send, and read one answer whole.
        """
        self.writer.write(raw)
        return await self.answer()

    async def answer(self) -> tuple[int, dict[str, str], Any]:
        """
        Status, headers, body.
        """
        async with asyncio.timeout(ANSWER_SECONDS):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = dict(line.split(": ", 1) for line in head[1:-2])
            body = await self.reader.readexactly(int(headers["Content-Length"]))
        return int(head[0].split(" ")[1]), headers, json.loads(body)

    async def ended(self) -> bool:
        """
        Whether the other side has closed it, without another byte.
        """
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return b"" == await self.reader.read(1)
        except ConnectionError:
            return True


class House:
    """
    An application behind the door.
    """

    def __init__(self, runner: DoorRunner, loop: asyncio.AbstractEventLoop) -> None:
        self._runner = runner
        self._loop = loop
        self._lines: list[Line] = []

    async def line(self) -> Line:
        """
        One more connection.
        """
        line = Line(*await asyncio.open_connection(*self._runner.addresses[0]))
        self._lines.append(line)
        return line

    @property
    def leaving(self) -> int:
        """
        How many of those turned away have not gone yet.
        """
        server = self._runner.server
        assert isinstance(server, DoorServer)
        return len(server.leaving)

    def doze(self, seconds: float) -> None:
        """
        Let the house notice nothing for a while: whatever comes meanwhile, it then meets at once.
        """
        self._loop.call_soon_threadsafe(time.sleep, seconds)

    def leave(self) -> None:
        """
        Hang up everywhere.
        """
        for line in self._lines:
            line.writer.transport.abort()


@contextmanager
def _other_loop() -> Iterator[asyncio.AbstractEventLoop]:
    """
    The loop that processes run on, in a thread of its own: how it ends connections is a part of what is tested.
    """
    loop = uvloop.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def opened_runner(settings: HttpSettings) -> DoorRunner:
    runner = DoorRunner(application(ROUTES, settings, authenticator=None), settings, shutdown_timeout_seconds=2)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=4096).start()
    return runner


@asynccontextmanager
async def open_house(**changes: Any) -> AsyncIterator[House]:
    with _other_loop() as loop:

        async def there(work: Coroutine[Any, Any, T]) -> T:
            return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, loop))

        runner = await there(opened_runner(dataclasses.replace(SETTINGS, **changes)))
        house = House(runner, loop)
        try:
            yield house
        finally:
            house.leave()
            await there(runner.cleanup())


def answers(route: str, status: str) -> float:
    return metrics.answers.of(route, "POST").by_status.get(int(status), 0)


def cut(stage: str) -> float:
    return metrics.http_cut[stage]._value.get()
