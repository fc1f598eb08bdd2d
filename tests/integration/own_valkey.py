"""
A Valkey of a test's own, to be killed, wiped, rolled back and replaced by its replica.
"""

import asyncio
import contextlib
import shutil
import subprocess
import time
from collections.abc import AsyncIterator
from pathlib import Path

from redis.asyncio import Redis
from redis.exceptions import RedisError

from ops.ports import free_port
from ops.valkey import CONFIG, binary

START_SECONDS = 10.0


class Server:
    """
    One server process on one folder and one port.
    """

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.port = folder, port
        self.url = f"redis://127.0.0.1:{port}/0"
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self, *options: str) -> None:
        """Start, and wait until it answers."""
        self.folder.mkdir(exist_ok=True)
        config = self.folder / "valkey.conf"
        config.write_text(CONFIG.format(port=self.port, folder=self.folder))
        self._spawn([str(binary()), str(config), *options])
        await self._answers()

    def _spawn(self, command: list[str]) -> None:
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    async def _answers(self) -> None:
        give_up_at = time.monotonic() + START_SECONDS
        while True:
            try:
                async with self.client() as client:
                    await client.ping()
                    return
            except (RedisError, OSError):
                if time.monotonic() > give_up_at:
                    raise
                await asyncio.sleep(0.02)

    @contextlib.asynccontextmanager
    async def client(self) -> AsyncIterator[Redis]:
        """A plain client."""
        client = Redis.from_url(self.url)
        try:
            yield client
        finally:
            await client.aclose()

    def kill(self) -> None:
        """As `kill -9` does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def copy_files(self, to: Path) -> None:
        """Put what is on disk now aside."""
        shutil.copytree(self.folder / "appendonlydir", to)

    def put_files(self, old: Path | None) -> None:
        """Put older files in the place of its own, or none at all."""
        shutil.rmtree(self.folder / "appendonlydir")
        if old is not None:
            shutil.copytree(old, self.folder / "appendonlydir")


@contextlib.asynccontextmanager
async def own_valkey(folder: Path) -> AsyncIterator[Server]:
    """
    A running server, ended with the test.
    """
    server = Server(folder, free_port(set()))
    await server.start()
    try:
        yield server
    finally:
        server.kill()
