"""
The nodes of a Valkey Cluster as reached from here: a line to each, and a map of who serves what.

Called by `stores.cluster`, which routes. A node that did not answer is left alone for a
moment; the map is looked at again whenever a node has said, by a redirection or by
silence, that it is out of date. Never decides what may be asked again.
"""

import asyncio
import contextvars
import random
from collections.abc import Sequence
from typing import Any, Final, Protocol, TypedDict

from redis.asyncio import Redis
from redis.exceptions import RedisError

from kernel.errors import Retryable
from kernel.log import get_logger
from kernel.topology import Address, Topology
from services.quota.stores.valkey import Command, Valkey

log = get_logger(__name__)
AWAY_SECONDS: Final = 0.2
"""A node that did not answer is left alone for so long."""
LOOKS_SECONDS_MIN: Final = 0.1
"""Between two looks at who serves what."""


class Limits(TypedDict):
    """
    What a `Valkey` is limited by.
    """

    timeout_seconds: float
    calls_max: int
    replicas_min: int


class ClientOf(Protocol):
    """
    How a node is reached; greeted connections are for decisions, the others for what any node may be asked.
    """

    def __call__(self, address: Address, *, greeted: bool) -> Redis: ...  # noqa: D102  # said by the class


class Line:
    """
    A node, as reached from here: for what it decides, and for what it knows of itself and of the others.
    """

    def __init__(self, valkey: Valkey, plain: Valkey, clients: Sequence[Redis]) -> None:
        self.valkey = valkey
        self.plain = plain
        self.writes = 0
        self._clients = clients
        self._away_until = 0.0

    @property
    def away(self) -> bool:
        """
        Whether it is being left alone.
        """
        return asyncio.get_running_loop().time() < self._away_until

    async def write(self, commands: Sequence[Command], *, beside: str = "") -> list[Any]:
        """
        As `Valkey.write`; nothing is sent while the node is left alone.
        """
        if self.away:
            raise Retryable("the node was away a moment ago, nothing was asked of it")
        self.writes += 1
        try:
            return await self.valkey.write(commands, beside=beside)
        except Retryable:
            self.leave_alone()
            raise
        finally:
            self.writes -= 1

    async def aclose(self) -> None:
        """
        Hang up.
        """
        for client in self._clients:
            await client.aclose()

    def leave_alone(self) -> None:
        """
        Ask it nothing for a moment.
        """
        self._away_until = asyncio.get_running_loop().time() + AWAY_SECONDS


class Nodes:
    """
    Lines, and the map. `limits` are those of each node.
    """

    def __init__(self, client_of: ClientOf, seeds: Sequence[Address], limits: Limits) -> None:
        self._client_of = client_of
        self._seeds = tuple(seeds)
        self._limits = limits
        self._lines: dict[Address, Line] = {}
        self._look: asyncio.Task[None] | None = None
        self._looked_at = -LOOKS_SECONDS_MIN
        self.map = Topology()

    async def aclose(self) -> None:
        """
        Hang up on every node.
        """
        if self._look is not None:
            self._look.cancel()
            await asyncio.gather(self._look, return_exceptions=True)
        for line in self._lines.values():
            await line.aclose()

    def serving(self, slot: int | None) -> Address | None:
        """
        Who serves a hash slot; for None any primary, rather one that answers.
        """
        if slot is not None:
            return self.map.primary_of(slot)
        return next(
            (one for one in self.map.primaries if not self.line(one).away), next(iter(self.map.primaries), None)
        )

    def line(self, address: Address) -> Line:
        """
        The line to a node.
        """
        line = self._lines.get(address)
        if line is None:
            clients = self._client_of(address, greeted=True), self._client_of(address, greeted=False)
            deciding, plain = (Valkey(client, **self._limits) for client in clients)
            line = self._lines[address] = Line(deciding, plain, clients)
        return line

    def look_again(self) -> None:
        """
        Have somebody look who serves what, without waiting for it.
        """
        now = asyncio.get_running_loop().time()
        if (self._look is None or self._look.done()) and now - self._looked_at >= LOOKS_SECONDS_MIN:
            self._looked_at = now
            self._look = asyncio.create_task(self._look_once(), context=contextvars.Context())

    async def _look_once(self) -> None:
        try:
            await self.learn()
        except Retryable as error:
            log.warning("cluster_unknown", error=str(error))

    async def learn(self) -> None:
        """
        Ask who serves what. Raises `Retryable` when no node can say.
        """
        known = dict.fromkeys([*self.map.nodes, *self._seeds])
        # Whoever has just been silent comes last.
        for address in sorted(known, key=lambda one: (self.line(one).away, random.random())):  # noqa: S311  # no secret
            try:
                reply = await self.line(address).plain.call("CLUSTER", "SLOTS")
            except (Retryable, RedisError) as error:
                self.line(address).leave_alone()
                log.warning("node_does_not_say", node=f"{address.host}:{address.port}", error=str(error))
                continue
            if reply:
                self.map.learn(reply, told_by=address)
                await self._hang_up_on_strangers()
                return
        raise Retryable(f"no node of the cluster says who serves what: {', '.join(f'{h}:{p}' for h, p in known)}")

    async def _hang_up_on_strangers(self) -> None:
        for address in self._lines.keys() - self.map.nodes - {*self._seeds}:
            if not self._lines[address].writes:
                await self._lines.pop(address).aclose()
