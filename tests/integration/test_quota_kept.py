"""
Connections kept for whoever asks next: as few as were needed at once, whole again after anything that happens to one.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import redis
from redis.asyncio import Connection, Redis
from redis.exceptions import BusyLoadingError, InvalidResponse, ResponseError
from redis.exceptions import ConnectionError as ValkeyConnectionError

from kernel.settings import ValkeySettings
from kernel.valkey import valkey_client
from services.quota.stores.kept import Kept
from services.quota.stores.wire import Wire

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


@asynccontextmanager
async def closing(connection: Connection) -> AsyncIterator[Connection]:
    """
    One without a pool.
    """
    try:
        yield connection
    finally:
        await connection.disconnect()


async def _unmet(connection: Connection) -> None:
    """
    Greets nobody.
    """


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


async def test_what_is_begun_is_on_its_way_before_the_loop_turns(kept: Kept, stores: Any) -> None:
    """
    A decision need not wait until everybody else has been read. Its reply is the asker's as ever.
    """
    first = await _number(kept)
    with redis.Redis.from_url(stores.valkey_url) as apart:
        begun = kept.begin("RPUSH", "begun", "one")
        assert begun is not None
        assert (b"begun", b"one") == apart.blpop("begun", timeout=5)

    assert 1 == await begun
    assert first == await _number(kept)


async def test_nothing_is_begun_where_no_connection_is_at_rest(kept: Kept, other: Redis, eventually: Any) -> None:
    """
    Neither before the first was wanted nor while it is another's nor after the server has hung up.
    """
    assert kept.begin("ECHO", "too early") is None
    first = await _number(kept)
    waits = asyncio.ensure_future(kept.ask(*WAITS))
    await asyncio.sleep(0)

    assert kept.begin("ECHO", "meanwhile") is None
    await other.execute_command("RPUSH", "comes", "one")
    assert [b"comes", b"one"] == await waits
    await other.execute_command("CLIENT", "KILL", "ID", first)

    async def gone() -> bool:
        return kept.begin("ECHO", "too late") is None

    await eventually(gone)


async def test_who_leaves_what_he_has_begun_never_leaves_its_reply_to_the_next(kept: Kept) -> None:
    """
    As if he had asked: the connection is hung up on.
    """
    first = await _number(kept)
    begun = kept.begin(*WAITS)
    assert begun is not None
    leaver = asyncio.ensure_future(begun)
    await asyncio.sleep(0)
    leaver.cancel()
    await asyncio.wait({leaver})

    assert b"my own" == await kept.ask("ECHO", "my own")
    assert first != await _number(kept)


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        (b":1\r\n:2\r\n", [1]),
        (b"what\r\n", InvalidResponse),
        (b"-LOADING not yet\r\n", BusyLoadingError),
        (b"", ValkeyConnectionError),
    ],
    ids=["one more than was asked for", "what is no reply", "loading", "nothing"],
)
async def test_a_server_that_talks_out_of_turn_is_hung_up_on(said: bytes, answer: Any) -> None:
    """
    Nothing it says reaches whoever would ask next; an answer that had come whole stands.
    """

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(said)
        if said:
            await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, closing(Connection(host="127.0.0.1", port=port, redis_connect_func=_unmet)) as connection:
        await connection.connect()
        wire = Wire(connection)

        (heard,) = await asyncio.gather(wire.ask([b"PING\r\n"], 1), return_exceptions=True)

        assert answer == (type(heard) if isinstance(heard, Exception) else heard)
        assert not wire.at_rest
        with pytest.raises(ValkeyConnectionError, match="not at rest"):
            wire.ask([b"PING\r\n"], 1)


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
    (wire,) = kept._resting

    async def hung_up() -> bool:
        return not wire.at_rest

    await other.execute_command("CLIENT", "KILL", "ID", first)
    await eventually(hung_up)

    assert first != await _number(kept)
