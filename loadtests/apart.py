"""
What a bench with stores of its own needs: a folder, an environment without anybody's stores, keys for tokens.

Called by the stands. Nothing here is measured.
"""

import asyncio
import datetime as dt
import os
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from kernel.auth.tokens import TokenSigner
from loadtests.ratio.client import LOCAL
from loadtests.ratio.processor import machine
from ops.state import PROJECT

_GIVEN: Final = {"VALKEY_URL", "DATABASE_URL", "KAFKA_BOOTSTRAP", "SMTP_URL", "MAIL_LOOKUP_URL", "PUBLIC_URL"}


def environ_apart() -> dict[str, str]:
    """
    The environment without URLs: a developer's own stores must never be the ones that are measured and filled.
    """
    return {name: value for name, value in os.environ.items() if name not in _GIVEN}


@asynccontextmanager
async def thrown_away(prefix: str) -> AsyncIterator[Path]:
    """
    A folder for the time of a run. Postgres, run as another account when we are root, may pass through.
    """
    with tempfile.TemporaryDirectory(prefix=f"antrean-{prefix}-") as name:
        folder = Path(name)
        await asyncio.to_thread(folder.chmod, 0o755)
        yield folder


@asynccontextmanager
async def published(signer: TokenSigner) -> AsyncIterator[str]:
    """
    The key that checks tokens, where identity would publish it. Gives its URL.
    """

    async def jwks(_: web.Request) -> web.Response:
        return web.json_response(signer.jwks())

    app = web.Application()
    app.router.add_get("/jwks.json", jwks)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, LOCAL, 0).start()
        yield f"http://{LOCAL}:{runner.addresses[0][1]}/jwks.json"
    finally:
        await runner.cleanup()


def facts(*, seed: int) -> dict[str, Any]:
    """
    What belongs beside every figure.
    """
    return {
        "commit": commit(),
        "seed": seed,
        "machine": machine(),
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
    }


def commit() -> str:
    """
    What is measured, `+` when the tree differs from it.
    """

    def git(*words: str) -> str:
        done = subprocess.run(["git", *words], cwd=PROJECT, check=False, capture_output=True, text=True, timeout=10)
        return done.stdout.strip()

    return (git("rev-parse", "--short=12", "HEAD") or "unknown") + ("+" if git("status", "--porcelain") else "")
