"""
Valkey Cluster under the same calls as one node: each command goes to who serves its hash slot.

Called by the other stores, which cannot tell the difference but for `cluster`. What a
node refuses without running it (moved, not here yet, script unknown) is asked again
where it belongs; what it may have run is `Retryable` and never asked again here. One
line per node, so a node that is silent keeps nobody waiting who wants another.
"""

import asyncio
import dataclasses
from collections.abc import Sequence
from typing import Any, Final

from redis.exceptions import (
    AskError,
    ClusterDownError,
    MasterDownError,
    MovedError,
    NoScriptError,
    RedisError,
    TryAgainError,
)

from kernel.errors import Retryable
from kernel.topology import Address, redirected, slot_of
from services.quota.stores.apart import put_together, taken_apart
from services.quota.stores.nodes import Nodes
from services.quota.stores.valkey import (
    PIPELINE_MAX,
    UNKNOWN,
    Command,
    ScriptCall,
    Valkey,
    evalsha,
    or_raise,
    retryable,
)

PAUSE_SECONDS: Final = 0.02
"""Between two tries of what nobody serves just now: a slot on its way, a failover."""

_EVERY_PRIMARY: Final = frozenset({"FLUSHALL", "FLUSHDB", "SCRIPT"})
_ANY_PRIMARY: Final = frozenset({"TIME", "PING"})
_OF_A_NODE: Final = frozenset({"INFO", "CONFIG", "CLIENT", "CLUSTER", "DBSIZE", "ROLE", "SCAN", "WAIT"})
_KEY_AT: Final = {"EVAL": 3, "EVALSHA": 3, "XINFO": 2, "OBJECT": 2, "MEMORY": 2}
_NOT_HERE: Final = (TryAgainError, ClusterDownError, MasterDownError)


@dataclasses.dataclass(slots=True)
class _Asked:
    """
    A command on its way to an answer.
    """

    at: int
    command: Command
    slot: int | None
    script_text: str = ""
    beside: str = ""
    asking: Address | None = None
    loads: bool = False
    refused: str = ""


class ClusterValkey(Valkey):
    """
    The calls of `Valkey` over the nodes of a cluster. Made by `stores.opening`, which lets it learn who they are.
    """

    cluster = True

    def __init__(self, nodes: Nodes, *, timeout_seconds: float) -> None:
        self._nodes = nodes
        self._timeout_seconds = timeout_seconds

    async def call(self, *command: str | bytes | float) -> Any:
        """
        One command, of a key or of no node in particular; FLUSHALL, FLUSHDB and SCRIPT are for every primary.
        """
        if _name(command) in _EVERY_PRIMARY:
            return (await self._of_each(self._nodes.map.primaries, command))[0]
        return or_raise(await self.write([command]))[0]

    async def everywhere(self, *command: str | bytes | float) -> list[Any]:
        """
        One command to every node there is, replicas included, and the reply of each.
        """
        await self._nodes.learn()
        return await self._of_each(sorted(self._nodes.map.nodes), command)

    async def _of_each(self, addresses: Sequence[Address], command: Command) -> list[Any]:
        return list(await asyncio.gather(*(self._nodes.line(address).plain.call(*command) for address in addresses)))

    async def run(self, call: ScriptCall) -> Any:
        """
        One script.
        """
        return (await self.run_many([call]))[0]

    async def write(self, commands: Sequence[Command], *, beside: str = "") -> list[Any]:
        """
        What came back for each command, errors included, `Retryable` where nothing did.
        """
        pieces = taken_apart(commands)
        asked = [
            _Asked(at, piece.command, _slot_of(piece.command), beside=_key_of(piece.command) if beside else "")
            for at, piece in enumerate(pieces)
        ]
        return put_together(commands, pieces, await self._settle(asked))

    async def run_many(self, calls: Sequence[ScriptCall]) -> list[Any]:
        """
        Replies of many scripts; those of one hash slot run in order unless the slot is on its way meanwhile.
        """
        return or_raise(await self._run(calls))

    async def run_each(self, calls: Sequence[ScriptCall]) -> list[Any]:
        """
        Replies of at most PIPELINE_MAX scripts, sent in one write to each node; in place of each that failed its error.
        """
        if len(calls) > PIPELINE_MAX:
            raise ValueError(f"{len(calls)} calls in one write, at most {PIPELINE_MAX}")
        return [retryable(reply) if isinstance(reply, UNKNOWN) else reply for reply in await self._run(calls)]

    async def _run(self, calls: Sequence[ScriptCall]) -> list[Any]:
        asked = [
            _Asked(at, evalsha(call), slot_of(call.keys[0]), call.script.text, call.keys[0])
            for at, call in enumerate(calls)
        ]
        return await self._settle(asked)

    async def scan(self, pattern: str) -> list[str]:
        """
        Every key that matches, once. Begins again when a slot it is about has moved meanwhile.
        """
        tag = pattern[pattern.find("{") : pattern.find("}") + 1]
        end = asyncio.get_running_loop().time() + self._timeout_seconds
        while True:
            found = await (self._scan(pattern, tag) if tag and "*" not in tag else self._scan_all(pattern))
            if found is not None:
                return sorted(found)
            if asyncio.get_running_loop().time() > end:
                raise Retryable(f"the keys of {pattern} are on their way between nodes")
            await asyncio.sleep(PAUSE_SECONDS)

    async def _scan(self, pattern: str, tag: str) -> set[str] | None:
        slot = slot_of(tag)
        address = self._nodes.map.primary_of(slot)
        if address is None:
            self._nodes.look_again()
            return None
        found: set[str] = set()
        cursor = -1
        while cursor:
            # A node that no longer serves the slot scans without an error and finds nothing; EXISTS would say so.
            asked: list[Command] = [_scan_from(cursor, pattern), ("EXISTS", tag)]
            reply, served = await self._nodes.line(address).write(asked)
            if self._is_to_be_asked_again(_Asked(1, asked[1], slot), served, address):
                return None
            cursor = int(reply[0])
            found.update(key.decode() for key in reply[1])
        return found

    async def _scan_all(self, pattern: str) -> set[str] | None:
        await self._nodes.learn()
        served = self._nodes.map.served
        found: set[str] = set()
        for address in self._nodes.map.primaries:
            cursor = -1
            while cursor:
                (reply,) = or_raise(await self._nodes.line(address).write([_scan_from(cursor, pattern)]))
                cursor = int(reply[0])
                found.update(key.decode() for key in reply[1])
        await self._nodes.learn()
        return found if served == self._nodes.map.served else None

    async def _settle(self, asked: list[_Asked]) -> list[Any]:
        """
        An answer for each, after as many rounds as the timeout has room for.
        """
        replies: list[Any] = [None] * len(asked)
        clock = asyncio.get_running_loop().time
        end, pause_seconds = clock() + self._timeout_seconds, 0.0
        while asked := await self._round(asked, replies):
            if clock() > end:
                break
            await asyncio.sleep(pause_seconds)
            pause_seconds = PAUSE_SECONDS
        for one in asked:
            replies[one.at] = Retryable(f"no node took it: {one.refused}")
        return replies

    async def _round(self, asked: list[_Asked], replies: list[Any]) -> list[_Asked]:
        """
        Ask everybody once, each at his node. Returns who is to be asked again.
        """
        again, of_node = [], dict[Address, list[_Asked]]()
        for one in asked:
            address = one.asking or self._nodes.serving(one.slot)
            if address is None:
                one.refused = "no node serves it"
                self._nodes.look_again()
                again.append(one)
            else:
                of_node.setdefault(address, []).append(one)
        rounds = [self._ask(address, of, replies) for address, of in of_node.items()]
        # Alone it needs no task of its own.
        refused = [await rounds[0]] if len(rounds) == 1 else await asyncio.gather(*rounds)
        return [*again, *(one for of in refused for one in of)]

    async def _ask(self, address: Address, asked: list[_Asked], replies: list[Any]) -> list[_Asked]:
        again = []
        # ASKING is for the next command of its connection, so the two must not be cut apart.
        size = PIPELINE_MAX // 3 if any(one.asking or one.loads for one in asked) else PIPELINE_MAX
        for start in range(0, len(asked), size):
            part = asked[start : start + size]
            for one, reply in zip(part, await self._replies(address, part), strict=True):
                if self._is_to_be_asked_again(one, reply, address):
                    again.append(one)
                else:
                    replies[one.at] = reply
        return again

    async def _replies(self, address: Address, asked: list[_Asked]) -> list[Any]:
        commands: list[Command] = [("SCRIPT", "LOAD", text) for text in {one.script_text for one in asked if one.loads}]
        spots, beside = [], asked[0].beside
        for one in asked:
            if one.asking:
                commands.append(("ASKING",))
            spots.append(len(commands))
            commands.append(one.command)
        try:
            answers = await self._nodes.line(address).write(commands, beside=beside)
        except Retryable as error:
            self._nodes.look_again()
            return [retryable(error) for _ in asked]
        return [answers[spot] for spot in spots]

    def _is_to_be_asked_again(self, one: _Asked, reply: Any, address: Address) -> bool:
        """
        Whether this reply says that nothing has run, and what to do about it.
        """
        if isinstance(reply, Retryable):
            one.refused = str(reply)
            return one.slot is None  # of no node in particular, and it changes nothing
        if not isinstance(reply, RedisError):
            return False
        one.refused = f"{type(reply).__name__} {reply}"
        if isinstance(reply, MovedError):
            self._nodes.map.move(reply.slot_id, redirected(reply, address))
            one.asking = None
            self._nodes.look_again()
        elif isinstance(reply, AskError):
            # A script looks at keys it does not name, and would take those that have not arrived yet for absent.
            one.asking = None if one.script_text else redirected(reply, address)
        elif isinstance(reply, NoScriptError):
            one.loads = bool(one.script_text)
            return one.loads
        elif isinstance(reply, _NOT_HERE):
            one.asking = None
            self._nodes.look_again()
        else:
            return False
        return True


def _name(command: Command) -> str:
    return str(command[0]).upper()


def _scan_from(cursor: int, pattern: str) -> Command:
    return ("SCAN", max(0, cursor), "MATCH", pattern, "COUNT", 5000)


def _slot_of(command: Command) -> int | None:
    name = _name(command)
    if name in _ANY_PRIMARY:
        return None
    if name in _OF_A_NODE:
        raise ValueError(f"{name} is about one node: ask it `everywhere`")
    return slot_of(_key_of(command))


def _key_of(command: Command) -> str:
    key = command[_KEY_AT.get(_name(command), 1)]
    return key.decode() if isinstance(key, bytes) else str(key)
