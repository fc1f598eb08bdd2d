"""
Whether a Valkey may be sold from: every server is compared with what is recorded elsewhere before it decides.

A restart, a promotion and a copy of the data each give a server another identity (its run id
and its replication id), and a partition is cleared for one identity only. `Greeter` looks at that on
every new connection, before anything else is sent over it: a server that has restarted has
hung up on everybody, so nobody can decide on it unasked. `Histories` is how the relay
compares and clears. Called by wiring and by the relay.
"""

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as ValkeyConnectionError
from redis.exceptions import MovedError, ResponseError

from services.quota.keys import Keys
from services.quota.stores.outbox import Position
from services.quota.stores.scripts import SCRIPTS, ClearCode
from services.quota.stores.valkey import ScriptCall, Valkey

_IDENTITY: Final = re.compile(rb"run_id:([0-9a-f]+).*?role:(\w+).*?master_replid:([0-9a-f]+)", re.DOTALL)


class NotClearedError(ValkeyConnectionError):
    """
    This server's history has not been compared, so the connection is not used.
    """

    def __repr__(self) -> str:
        """
        The sentence: redis-py's errors show a category instead.
        """
        return str(self)


class Standing(NamedTuple):
    """
    How a partition stands on its server.
    """

    code: ClearCode
    end: Position


class Greeter:
    """
    A process's guard at its connections.
    """

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self.identities: frozenset[str] = frozenset()
        """Servers that were found cleared."""
        self.refuses = False
        """Whether the last connection was refused."""

    async def greet(self, connection: AbstractConnection) -> None:
        """
        Let a new connection in, or raise: for redis-py's `redis_connect_func`.
        """
        await connection.on_connect()
        partitions = range(self._keys.partitions)
        asked: list[tuple[str, ...]] = [("INFO", "server", "replication")]
        asked += [("MGET", self._keys.cleared(partition), self._keys.stopped(partition)) for partition in partitions]
        await connection.send_packed_command(connection.pack_commands(asked))
        identity = _identity_of(await connection.read_response())
        waiting = [partition for partition in partitions if not _may_be_asked(await _reply(connection), identity)]
        self.refuses = identity is None or bool(waiting)
        if identity is None:
            raise NotClearedError("this Valkey is a replica: it decides nothing")
        if waiting:
            raise NotClearedError(f"the history of {len(waiting)} partitions has not been compared on {identity}")
        self.identities |= {identity}

    def knows(self, mark: bytes | None) -> bool:
        """
        Whether a partition's mark is one of a server this process has greeted.
        """
        return mark is not None and mark.decode() in self.identities


class Histories:
    """
    All partitions' histories, for whoever compares them.
    """

    def __init__(self, valkey: Valkey, keys: Keys) -> None:
        self._valkey = valkey
        self._keys = keys

    async def look(self) -> dict[int, Standing]:
        """
        How every partition stands.
        """
        return await self._run(dict.fromkeys(range(self._keys.partitions), ("", "")))

    async def clear(self, known: Mapping[int, Position]) -> dict[int, Standing]:
        """
        Clear partitions that have all that is known elsewhere, and stop those that have not.
        """
        return await self._run({partition: (str(at.epoch), str(at.seq)) for partition, at in known.items()})

    async def _run(self, asked: Mapping[int, tuple[str, str]]) -> dict[int, Standing]:
        replies = await self._valkey.run_many(
            [ScriptCall(SCRIPTS["clear"], self._of(partition), [*args]) for partition, args in asked.items()]
        )
        return {
            partition: Standing(ClearCode(code), Position(epoch, seq))
            for partition, (code, epoch, seq) in zip(asked, replies, strict=True)
        }

    def _of(self, partition: int) -> list[str]:
        return [self._keys.position(partition), self._keys.stopped(partition), self._keys.cleared(partition)]


async def _reply(connection: AbstractConnection) -> Any:
    try:
        return await connection.read_response()
    except MovedError:
        # Another node of the cluster has this partition, and is greeted when it is asked.
        return None
    except ResponseError as error:
        raise NotClearedError(f"this Valkey does not say how its partitions stand: {error}") from error


def _identity_of(info: Any) -> str | None:
    found = _IDENTITY.search(info)
    if found is None or found[2] != b"master":
        return None
    return f"{found[1].decode()}.{found[3].decode()}"


def _may_be_asked(reply: Any, identity: str | None) -> bool:
    """
    A stopped partition refuses by itself: the scripts look at that.
    """
    if reply is None or identity is None:
        return True
    cleared, stopped = reply
    return stopped is not None or cleared == identity.encode()
