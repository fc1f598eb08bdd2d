"""
The gateway as a client sees it: an answer, or a doubt that the same request settles.

Called by the simulated citizens. A lost connection, a timeout and 429/502/503/504 are not
a no: the same request with the same Idempotency-Key goes out again until there is an
answer or patience ends.
"""

import asyncio
import collections
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgspec

TIMEOUT_SECONDS = 10.0
"""Without a word. Waiting for one of the crowd's connections does not count: a citizen has one of his own."""
PATIENCE_SECONDS = 90.0
DOUBTFUL = frozenset({429, 502, 503, 504})
CONNECTIONS_MAX = 200


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """
    What came back.
    """

    status: int
    body: dict[str, Any]
    replayed: bool = False

    @property
    def code(self) -> str:
        """
        The problem's code, or `ok`.
        """
        return str(self.body.get("code", "ok"))


class OutOfPatience(Exception):
    """
    No answer at all for longer than anybody waits.
    """


class Street:
    """
    One crowd's way to the gateway.
    """

    def __init__(self, session: aiohttp.ClientSession, base_url: str) -> None:
        self._session = session
        self._base_url = base_url
        self.doubts: collections.Counter[str] = collections.Counter()
        """Why requests were sent again: their outcome was not known."""

    async def ask(
        self, method: str, path: str, *, auth: str | None = None, key: str | None = None, body: Any = None
    ) -> Answer:
        """
        Ask until there is an answer. Raises `OutOfPatience`.
        """
        headers = {"Accept-Language": "en"}
        if auth is not None:
            headers["Authorization"] = auth
        if key is not None:
            headers["Idempotency-Key"] = key
        give_up_at = asyncio.get_running_loop().time() + PATIENCE_SECONDS
        while asyncio.get_running_loop().time() < give_up_at:
            answer = await self._once(method, path, headers, body)
            if isinstance(answer, Answer) and answer.status not in DOUBTFUL:
                return answer
            self.doubts[f"{answer.status} {answer.code}" if isinstance(answer, Answer) else answer] += 1
            # Everybody waits a little differently, or all would come back at the same moment.
            await asyncio.sleep(random.uniform(0.2, 1.0))
        raise OutOfPatience(f"{method} {path} had no answer for {PATIENCE_SECONDS:.0f} s")

    async def ask_until(self, path: str, *, auth: str, status: int, patience_seconds: float) -> Answer | None:
        """
        Poll a GET until it answers `status`; None when patience ends first.
        """
        give_up_at = asyncio.get_running_loop().time() + patience_seconds
        while asyncio.get_running_loop().time() < give_up_at:
            answer = await self.ask("GET", path, auth=auth)
            if answer.status == status:
                return answer
            await asyncio.sleep(random.uniform(0.5, 1.0))
        return None

    async def _once(self, method: str, path: str, headers: dict[str, str], body: Any) -> Answer | str:
        try:
            async with self._session.request(method, f"{self._base_url}{path}", headers=headers, json=body) as response:
                raw = await response.read()
                return Answer(
                    status=response.status,
                    body=msgspec.json.decode(raw) if raw else {},
                    replayed=response.headers.get("Idempotency-Replayed") == "true",
                )
        except (aiohttp.ClientError, TimeoutError, msgspec.DecodeError) as error:
            return type(error).__name__


@asynccontextmanager
async def street(base_url: str) -> AsyncIterator[Street]:
    """
    Connections to the gateway for one crowd.
    """
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=CONNECTIONS_MAX),
        timeout=aiohttp.ClientTimeout(sock_connect=TIMEOUT_SECONDS, sock_read=TIMEOUT_SECONDS),
    ) as session:
        yield Street(session, base_url)
