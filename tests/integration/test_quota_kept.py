"""
Connections kept for scripts: as few as were needed at once, whole again after anything that happens to one.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis.exceptions import ResponseError

from kernel.settings import ValkeySettings
from kernel.valkey import valkey_client
from services.quota.stores.kept import Kept

SLEEPS = ("BLPOP", "nothing-comes", 1)


@pytest.fixture
async def kept(stores: Any) -> AsyncIterator[Kept]:
    """
    Two at most.
    """
    async with valkey_client(ValkeySettings(url=stores.valkey_url)) as client:
        yield Kept(client.connection_pool, most=2)


async def _number(kept: Kept) -> int:
    return int(await kept.ask(("CLIENT", "ID")))


async def test_one_after_the_other_is_asked_over_the_same_connection(kept: Kept) -> None:
    """
    It is laid back and taken again, also after an error that was an answer.
    """
    first = await _number(kept)
    with pytest.raises(ResponseError):
        await kept.ask(("EVALSHA", "unknown", 0))

    assert first == await _number(kept)


async def test_no_more_are_taken_than_may_be(kept: Kept) -> None:
    """
    While both are out nobody else may ask.
    """
    assert kept.ready
    both = [asyncio.ensure_future(kept.ask(SLEEPS)) for _ in range(2)]
    await asyncio.sleep(0)

    assert not kept.ready
    assert [None, None] == await asyncio.gather(*both)
    assert kept.ready


async def test_who_leaves_before_his_reply_never_leaves_it_to_the_next(kept: Kept) -> None:
    """
    The connection is hung up on; the next to ask has a new one and reads his own reply.
    """
    first = await _number(kept)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await kept.ask(("BLPOP", "comes", 5))
    await kept.ask(("RPUSH", "comes", "somebody else's"))

    assert b"my own" == await kept.ask(("ECHO", "my own"))
    assert first != await _number(kept)


async def test_a_connection_the_server_has_hung_up_on_is_made_anew_before_it_is_asked(kept: Kept, stores: Any) -> None:
    """
    So a restart of Valkey is no unknown outcome for whoever asks first after it.
    """
    first = await _number(kept)
    async with valkey_client(ValkeySettings(url=stores.valkey_url)) as other:
        await other.execute_command("CLIENT", "KILL", "ID", first)
    await asyncio.sleep(0.05)

    assert first != await _number(kept)
