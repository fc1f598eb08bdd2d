"""
The least a durable hold can cost Valkey: count down, record, set a deadline, announce; nothing is looked at.

Called by the bench for the scenario without a worker. One connection to 127.0.0.1, calls
of a batch in one write, the next batch after the last reply of this one.
"""

import asyncio
import itertools
import time
from typing import Final

from loadtests.ratio.client import CONNECT_SECONDS, LAST_ANSWERS_SECONDS, LOCAL, Volley
from ops.errors import StackError

HOLD: Final = """
redis.call("HINCRBY", KEYS[1], "free", -1)
redis.call("HSET", KEYS[2], "slot_id", ARGV[1], "account_id", ARGV[2], "pay_by_ms", ARGV[3], "state", "held")
redis.call("ZADD", KEYS[3], ARGV[3], ARGV[2])
redis.call("XADD", KEYS[4], "*", "type", "held", "slot_id", ARGV[1], "account_id", ARGV[2], "pay_by_ms", ARGV[3])
return 1
"""
SLOTS: Final = 1995
PARTITIONS: Final = 32
_REPLY: Final = b":1\r\n"
_numbers = itertools.count(1)


def command(*parts: str) -> bytes:
    """
    A call as Valkey reads it.
    """
    return b"".join((b"*%d\r\n" % len(parts), *(b"$%d\r\n%s\r\n" % (len(part), part.encode()) for part in parts)))


def _hold(sha: str, number: int) -> bytes:
    slot = number % SLOTS
    tag, hold_id = f"{{m{slot % PARTITIONS:02d}}}", f"{number:032x}"
    slot_id = f"office-{slot % 133:03d}.20261130.morning.regular.online"
    keys = (f"{tag}:slot:{slot}", f"{tag}:hold:{hold_id}", f"{tag}:deadlines", f"{tag}:outbox")
    return command("EVALSHA", sha, "4", *keys, slot_id, f"acc_{hold_id}", "1795000000000")


async def hold(port: int, *, seconds: float, batch: int) -> Volley:
    """
    Hold as fast as Valkey answers; a latency is that of a whole batch.
    """
    volley = Volley()
    reader, writer = await asyncio.wait_for(asyncio.open_connection(LOCAL, port), CONNECT_SECONDS)
    try:
        async with asyncio.timeout(seconds + LAST_ANSWERS_SECONDS):
            writer.write(command("SCRIPT", "LOAD", HOLD))
            await reader.readuntil(b"\r\n")
            sha = (await reader.readuntil(b"\r\n")).strip().decode()
            started = time.perf_counter()
            while (sent_at := time.perf_counter()) < started + seconds:
                writer.write(b"".join(_hold(sha, next(_numbers)) for _ in range(batch)))
                replies = await reader.readexactly(batch * len(_REPLY))
                if replies != batch * _REPLY:
                    raise StackError(f"the minimal hold failed: {replies[:200]!r}")
                volley.latencies += [time.perf_counter() - sent_at] * batch
            volley.seconds = time.perf_counter() - started
    finally:
        writer.close()
    return volley
