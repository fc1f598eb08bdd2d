"""
What Valkey holds: memory without what passes through, and the books of slots.

Called by scenarios between volleys, never under one.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from redis.asyncio import Redis

from contracts.envelope import Envelope
from contracts.events import SlotPlanned
from loadtests.ratio.client import LOCAL
from loadtests.ratio.stand import Stand
from services.quota.keys import Keys
from services.quota.stores.claims import Claims
from services.quota.stores.holds import Holds
from services.quota.stores.ledger import Ledger
from services.quota.stores.valkey import Valkey
from services.quota.use_cases.following import Following

CALL_SECONDS: Final = 30.0


@asynccontextmanager
async def store(stand: Stand, name: str) -> AsyncIterator[tuple[Any, Keys]]:
    """
    A connection to one of the stand's Valkeys.
    """
    client: Redis = Redis.from_url(f"redis://{LOCAL}:{stand.port_of[name]}/0", socket_timeout=CALL_SECONDS)
    try:
        yield client, Keys(int(stand.stack.env["PARTITIONS"]))
    finally:
        await client.aclose()


async def trimmed_memory(stand: Stand, name: str) -> int:
    """
    Bytes in use once the streams are told and the claims looked after, as relay and worker leave them.
    """
    async with store(stand, name) as (client, keys):
        for partition in range(keys.partitions):
            await client.xtrim(keys.outbox(partition), maxlen=0, approximate=False)
            await client.delete(keys.pending(partition))
        return int((await client.info("memory"))["used_memory"])


async def plan(stand: Stand, name: str, plans: Sequence[SlotPlanned]) -> None:
    """
    Load slots as quota's worker does.
    """
    async with store(stand, name) as (client, keys):
        valkey = Valkey(client, timeout_seconds=CALL_SECONDS)
        following = Following(Holds(valkey, keys), Claims(valkey, keys))
        await following.plans([Envelope(event_id=f"bench.{one.slot_id}", event=one) for one in plans])


async def books(stand: Stand, name: str, slot_ids: Sequence[str]) -> list[dict[str, int]]:
    """
    The counters of slots.
    """
    async with store(stand, name) as (client, keys):
        return await Ledger(Valkey(client, timeout_seconds=CALL_SECONDS), keys).books(slot_ids)
