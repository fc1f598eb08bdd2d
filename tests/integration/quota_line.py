"""
A line to Valkey that breaks, or falls silent, the first time a script is asked for over it.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from services.quota.stores.scripts import SCRIPTS

CHUNK_BYTES = 1 << 20


class Line:
    """
    Passes everything on until `break_at` has named a script.
    """

    def __init__(self, valkey_url: str) -> None:
        self._far = urlsplit(valkey_url)
        self._sha: bytes | None = None
        self._reaches = True
        self._comes_back = 0.0
        self._silent = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._cut: set[asyncio.StreamWriter] = set()
        self.url = ""
        self.broken = asyncio.Event()

    def break_at(self, verb: str, *, reaches: bool, comes_back: float = 0.0, silent: bool = False) -> None:
        """
        Once: the write reaches Valkey or not, and that part of the reply still comes back. Silent, it does not hang up.
        """
        self._silent = silent
        self._sha, self._reaches, self._comes_back = SCRIPTS[verb].sha.encode(), reaches, comes_back

    async def open(self, near_reader: asyncio.StreamReader, near: asyncio.StreamWriter) -> None:
        """One connection of the client."""
        far_reader, far = await asyncio.open_connection(self._far.hostname, self._far.port)
        for pump in (self._there(near_reader, near, far), self._back(far_reader, near, far)):
            task = asyncio.create_task(pump)
            self._tasks.add(task)

    async def _there(
        self, near_reader: asyncio.StreamReader, near: asyncio.StreamWriter, far: asyncio.StreamWriter
    ) -> None:
        while data := await near_reader.read(CHUNK_BYTES):
            if self._sha and self._sha in data:
                self._sha = None
                self._cut.add(near)
                self.broken.set()
                if not self._reaches and not self._silent:
                    near.close()
            if near not in self._cut or self._reaches:
                far.write(data)
        far.close()

    async def _back(
        self, far_reader: asyncio.StreamReader, near: asyncio.StreamWriter, far: asyncio.StreamWriter
    ) -> None:
        while data := await far_reader.read(CHUNK_BYTES):
            if near in self._cut:
                near.write(data[: int(len(data) * self._comes_back)])
                break
            near.write(data)
        near.close()
        far.close()

    async def close(self) -> None:
        """Hang up on everybody."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@asynccontextmanager
async def line_to(valkey_url: str) -> AsyncIterator[Line]:
    """
    A line for the length of a test.
    """
    line = Line(valkey_url)
    server = await asyncio.start_server(line.open, "127.0.0.1", 0, limit=CHUNK_BYTES)
    line.url = f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0"
    try:
        yield line
    finally:
        server.close()
        await line.close()
