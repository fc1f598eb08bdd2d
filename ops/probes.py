"""
Asks a program whether it is ready, by the address alone.

Used by the supervisor while starting, and by `status` and `doctor` from outside.
Every question has a deadline. An answer is a fault in words, or None when ready.
"""

import asyncio
import struct
from typing import Final
from urllib.parse import urlsplit

import aiohttp
import asyncpg

DEADLINE_SECONDS: Final = 2.0
_API_VERSIONS: Final = struct.pack(">hhih", 18, 0, 1, -1)
"""Kafka's first question: ApiVersions, version 0, correlation 1, no client name."""


async def fault(address: str) -> str | None:
    """
    Why the program behind `address` is not ready. Schemes: http, redis, postgresql, kafka, tcp.
    """
    ask = {"http": _http, "redis": _redis, "postgresql": _postgres, "kafka": _kafka, "tcp": _tcp}
    try:
        return await asyncio.wait_for(ask[urlsplit(address).scheme](address), DEADLINE_SECONDS)
    except TimeoutError:
        return f"no answer within {DEADLINE_SECONDS:g} s"
    except (OSError, EOFError, aiohttp.ClientError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        return str(error) or type(error).__name__


async def _http(address: str) -> str | None:
    async with aiohttp.ClientSession() as session, session.get(address) as response:
        if response.status == 200:  # noqa: PLR2004  # the one good answer
            return None
        return f"answers {response.status}: {(await response.text())[:200].strip()}"


async def _redis(address: str) -> str | None:
    reply = await _exchange(address, b"PING\r\n", reply_bytes=5)
    # Anything but PONG is an error line, such as LOADING while the file is read back; cut to what was read.
    return None if reply == b"+PONG" else f"answers {reply.decode(errors='replace')}"


async def _kafka(address: str) -> str | None:
    reply = await _exchange(address, struct.pack(">i", len(_API_VERSIONS)) + _API_VERSIONS, reply_bytes=10)
    _, correlation, error = struct.unpack(">iih", reply)
    return None if (correlation, error) == (1, 0) else f"answers with error {error}"


async def _postgres(address: str) -> str | None:
    connection = await asyncpg.connect(address)
    await connection.close()
    return None


async def _tcp(address: str) -> str | None:
    await _exchange(address, b"", reply_bytes=0)
    return None


async def _exchange(address: str, question: bytes, *, reply_bytes: int) -> bytes:
    parts = urlsplit(address)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    try:
        writer.write(question)
        return await reader.readexactly(reply_bytes)
    finally:
        writer.close()
