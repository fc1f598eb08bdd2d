"""
Connections kept for whoever asks next: as few as were needed at once, whole again after anything that happens to one.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from kernel.settings import ValkeySettings
from kernel.valkey import valkey_client
from services.quota.stores.kept import Kept

WAITS = ("BLPOP", "comes", 5)


@pytest.fixture
async def kept(stores: Any) -> AsyncIterator[Kept]:
    """
    Of a client of its own.
    """
    async with valkey_client(ValkeySettings(url=stores.valkey_url)) as client:
        yield Kept(client.connection_pool)


@pytest.fixture
async def other(stores: Any) -> AsyncIterator[Redis]:
    """
    Somebody else at the same server.
    """
    async with valkey_client(ValkeySettings(url=stores.valkey_url)) as client:
        yield client


async def _number(kept: Kept) -> int:
    return int(await kept.ask("CLIENT", "ID"))


async def test_one_after_the_other_is_asked_over_the_same_connection(kept: Kept) -> None:
    """
    It is laid back and taken again, also after an error that was an answer.
    """
    first = await _number(kept)
    with pytest.raises(ResponseError):
        await kept.ask("EVALSHA", "unknown", 0)

    assert first == await _number(kept)


async def test_as_many_are_taken_as_are_wanted_at_once(kept: Kept, other: Redis) -> None:
    """
    Each has a connection to himself, and both are laid back.
    """
    both = [asyncio.ensure_future(kept.ask(*WAITS)) for _ in range(2)]
    await other.execute_command("RPUSH", "comes", "one", "another")

    assert {b"one", b"another"} == {value for _, value in await asyncio.gather(*both)}
    assert 2 == len(kept._resting)


async def test_of_commands_asked_together_an_error_is_one_replys_alone(kept: Kept) -> None:
    """
    The others have theirs, in order, and the connection stays.
    """
    first = await _number(kept)
    one, error, other = await kept.ask_together([("ECHO", "one"), ("EVALSHA", "unknown", 0), ("ECHO", "other")])

    assert (b"one", b"other") == (one, other)
    assert isinstance(error, ResponseError)
    assert first == await _number(kept)


async def test_who_leaves_between_replies_never_leaves_the_rest_to_the_next(
    kept: Kept, other: Redis, eventually: Any
) -> None:
    """
    Of commands asked together one has been answered, the next waits, and the asker goes.
    """
    first = await _number(kept)
    leaver = asyncio.ensure_future(kept.ask_together([("ECHO", "his"), WAITS, ("ECHO", "his too")]))

    async def waits() -> bool:
        return f"id={first} ".encode() in await other.execute_command("CLIENT", "LIST", "FLAGS", "b")

    await eventually(waits)
    leaver.cancel()
    await asyncio.wait({leaver})

    assert b"my own" == await kept.ask("ECHO", "my own")
    assert first != await _number(kept)


async def test_who_leaves_before_his_reply_never_leaves_it_to_the_next(
    kept: Kept, other: Redis, eventually: Any
) -> None:
    """
    The connection is hung up on; the next to ask has a new one and reads his own reply.
    """
    first = await _number(kept)
    leaver = asyncio.ensure_future(kept.ask(*WAITS))

    async def waits() -> bool:
        return f"id={first} ".encode() in await other.execute_command("CLIENT", "LIST", "FLAGS", "b")

    await eventually(waits)
    leaver.cancel()
    await asyncio.wait({leaver})
    await other.execute_command("RPUSH", "comes", "somebody else's")

    assert 1 == await other.execute_command("DEL", "comes")
    assert b"my own" == await kept.ask("ECHO", "my own")
    assert first != await _number(kept)


async def test_a_connection_the_server_has_hung_up_on_is_made_anew_before_it_is_asked(
    kept: Kept, other: Redis, eventually: Any
) -> None:
    """
    So a restart of Valkey is no unknown outcome for whoever asks first after it.
    """
    first = await _number(kept)
    (connection,) = kept._resting
    await other.execute_command("CLIENT", "KILL", "ID", first)
    await eventually(connection.can_read)

    assert first != await _number(kept)
