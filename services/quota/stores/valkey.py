"""
Calls to Valkey with one kind of surprise: no answer is `Retryable`, which means unknown.

Called by the other stores. Never tries a call again, and never says no when it does not
know. Pipelines are cut to a length, so that none holds the server or the loop for long.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import chain
from typing import Any, Final, NamedTuple

from redis.asyncio import Redis
from redis.exceptions import BusyLoadingError, NoScriptError, ReadOnlyError, RedisError
from redis.exceptions import ConnectionError as ValkeyConnectionError
from redis.exceptions import TimeoutError as ValkeyTimeoutError

from kernel.deadline import within
from kernel.errors import Retryable
from kernel.lua import Script
from services.quota.keys import heard_of
from services.quota.stores.kept import Kept

PIPELINE_MAX = 500
KEYS_PER_COMMAND: Final = 500
UNKNOWN: Final = (ValkeyConnectionError, ValkeyTimeoutError, BusyLoadingError, ReadOnlyError, OSError)
"""Errors that do not say whether anything has run."""

Command = Sequence[str | bytes | float]


class ScriptCall(NamedTuple):
    """
    A script with what it is called with.
    """

    script: Script
    keys: list[str]
    args: list[str | int | bytes]


class Valkey:
    """
    A client with a deadline and a queue: the pool alone would let newcomers overtake those who wait.

    With `replicas_min` above 0 a script has an answer only when so many replicas have heard of it.
    """

    cluster = False
    """Whether keys live on different nodes, so that no script may name keys of two hash tags."""

    def __init__(self, client: Redis, *, timeout_seconds: float, calls_max: int = 32, replicas_min: int = 0) -> None:
        self._kept = Kept(client.connection_pool)
        self._shapes = client.response_callbacks
        self._timeout_seconds = timeout_seconds
        self._turns = asyncio.Semaphore(calls_max)
        self._replicas_min = replicas_min

    async def call(self, *command: str | bytes | float) -> Any:
        """
        One command.
        """
        return self._shaped(command, await self._in_turn(partial(self._kept.ask, *command)))

    async def everywhere(self, *command: str | bytes | float) -> list[Any]:
        """
        One command to every node there is, replicas included, and the reply of each.
        """
        return [await self.call(*command)]

    async def run(self, call: ScriptCall) -> Any:
        """
        One script.
        """
        if self._replicas_min:
            return (await self.run_many([call]))[0]
        return await self._in_turn(partial(call.script.run, self._kept.ask, call.keys, call.args))

    def begin(self, call: ScriptCall) -> Awaitable[Any]:
        """
        One script, on its way before this returns if a connection is at rest. To be awaited at once.
        """
        sent = None if self._replicas_min else self._kept.begin(*evalsha(call))
        return self.run(call) if sent is None else self._begun(call, sent)

    async def _begun(self, call: ScriptCall, sent: Awaitable[Any]) -> Any:
        try:
            with _surprises():
                return await within(self._timeout_seconds, sent, what="Valkey")
        except NoScriptError:
            # Nothing ran, so running it now is not a second try.
            return await self.run(call)

    async def many(self, commands: Sequence[Command]) -> list[Any]:
        """
        Replies of many commands in order. A reply may be an error of its command; the caller looks.
        """
        return _known(await self.write(commands))

    async def texts(self, keys: Iterable[str]) -> dict[str, bytes | None]:
        """
        What stands under keys, wherever they are.
        """
        pieces = list(together(keys))
        replies = await self.many([("MGET", *some) for some in pieces])
        return dict(zip(chain.from_iterable(pieces), chain.from_iterable(replies), strict=True))

    async def write(self, commands: Sequence[Command], *, beside: str = "") -> list[Any]:
        """
        What came back for each command, errors included. Raises `Retryable` when nothing did.

        `beside`: a key these commands are about; a reply that fewer than `replicas_min`
        replicas have heard of is then `Retryable` in its place.
        """
        replies: list[Any] = []
        heard = _heard(beside, self._replicas_min, self._timeout_seconds) if beside and self._replicas_min else ()
        for start in range(0, len(commands), PIPELINE_MAX):
            some = (*commands[start : start + PIPELINE_MAX], *heard)
            answers = list(map(self._shaped, some, await self._in_turn(partial(self._kept.ask_together, some))))
            replies += self._if_heard(answers) if heard else answers
        return replies

    def _if_heard(self, answers: list[Any]) -> list[Any]:
        *of_commands, written, count = answers
        if written is True and isinstance(count, int) and count >= self._replicas_min:
            return of_commands
        unknown = f"{count!r} replicas of {self._replicas_min} have heard of it"
        return [one if isinstance(one, RedisError) else Retryable(unknown) for one in of_commands]

    def _shaped(self, command: Command, reply: Any) -> Any:
        """
        A reply as redis-py shows it.
        """
        shape = self._shapes.get(str(command[0]))
        return reply if shape is None or isinstance(reply, Exception) else shape(reply)

    async def _in_turn(self, ask: Callable[[], Awaitable[Any]]) -> Any:
        async def asked() -> Any:
            async with self._turns:
                return await ask()

        with _surprises():
            return await within(self._timeout_seconds, asked(), what="Valkey")

    async def run_many(self, calls: Sequence[ScriptCall]) -> list[Any]:
        """
        Replies of many scripts, run in order.
        """
        if not calls:
            return []
        commands, beside = [evalsha(call) for call in calls], _beside(calls)
        replies = _known(await self.write(commands, beside=beside))
        if any(isinstance(reply, NoScriptError) for reply in replies):
            # A restarted node knows no scripts. All of them are idempotent: load, then the whole batch again, in order.
            for script in {call.script.name: call.script for call in calls}.values():
                await self.call("SCRIPT", "LOAD", script.text)
            replies = _known(await self.write(commands, beside=beside))
        return or_raise(replies)

    async def run_each(self, calls: Sequence[ScriptCall]) -> list[Any]:
        """
        Replies of at most PIPELINE_MAX scripts, sent in one write, in order; in place of each that failed its error.

        `Retryable` in a reply's place says that it is not known whether that script has run.
        """
        if len(calls) > PIPELINE_MAX:
            raise ValueError(f"{len(calls)} calls in one write, at most {PIPELINE_MAX}")
        if not calls:
            return []
        beside = _beside(calls)
        replies = await self._run_each([evalsha(call) for call in calls], beside)
        missing = [at for at, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
        if missing:
            # A restarted node knows no scripts. Those did not run, so running them now is not a second try.
            loads: list[Command] = [("SCRIPT", "LOAD", text) for text in {calls[at].script.text for at in missing}]
            again = await self._run_each([*loads, *(evalsha(calls[at]) for at in missing)], beside)
            for at, reply in zip(missing, again[len(loads) :], strict=True):
                # Forgotten again in between, as in a failover: nothing ran, and asking again is all there is to do.
                replies[at] = retryable(reply) if isinstance(reply, NoScriptError) else reply
        return replies

    async def _run_each(self, commands: Sequence[Command], beside: str) -> list[Any]:
        try:
            replies = await self.write(commands, beside=beside)
        except Retryable as error:
            return [retryable(error) for _ in commands]
        return [retryable(reply) if isinstance(reply, UNKNOWN) else reply for reply in replies]

    async def scan(self, pattern: str) -> list[str]:
        """
        Every key that matches, once. Reads the whole key space in steps: for audits, not for requests.
        """
        found: set[str] = set()
        cursor = 0
        while True:
            reply = await self.call("SCAN", cursor, "MATCH", pattern, "COUNT", 5000)
            cursor = int(reply[0])
            found.update(key.decode() for key in reply[1])
            if cursor == 0:
                return sorted(found)


def tag_of(key: str) -> str:
    """
    The hash tag a key begins with, up to its end: keys of one tag are on one node.
    """
    return key.partition("}")[0]


def together(keys: Iterable[str]) -> Iterator[list[str]]:
    """
    Keys of one tag together, up to a number.
    """
    by_tag: dict[str, list[str]] = {}
    for key in keys:
        tag = tag_of(key)
        some = by_tag.get(tag)
        if some is None:
            by_tag[tag] = some = []
        some.append(key)
        if len(some) == KEYS_PER_COMMAND:
            yield by_tag.pop(tag)
    yield from by_tag.values()


def evalsha(call: ScriptCall) -> Command:
    """
    A script as a command.
    """
    return call.script.evalsha(call.keys, call.args)


def retryable(error: Exception) -> Retryable:
    """
    An error as one asker's.
    """
    # One for each asker: an exception that is raised in many places collects all their tracebacks.
    if isinstance(error, Retryable):
        return Retryable(str(error))
    return Retryable(f"Valkey: {error!r}")


def _beside(calls: Sequence[ScriptCall]) -> str:
    # A script that names no key runs on a single node, where one tag is as good as another.
    return calls[0].keys[0] if calls[0].keys else "{}"


def _heard(beside: str, replicas_min: int, timeout_seconds: float) -> tuple[Command, ...]:
    """
    WAIT counts who has heard of what its connection wrote, and what was only read may have been written by another.

    So there is a write before it, on the same connection and behind everything else.
    """
    return ("SET", heard_of(beside), "1"), ("WAIT", replicas_min, int(timeout_seconds * 500))


def _known(replies: list[Any]) -> list[Any]:
    for reply in replies:
        if isinstance(reply, (Retryable, *UNKNOWN)):
            raise retryable(reply) from reply
    return replies


def or_raise(replies: list[Any]) -> list[Any]:
    """
    The replies, if none of them is an error. What is not known comes before what is.
    """
    for reply in _known(replies):
        if isinstance(reply, RedisError):
            raise reply
    return replies


@contextmanager
def _surprises() -> Iterator[None]:
    try:
        yield
    except UNKNOWN as error:
        raise Retryable(f"Valkey: {error!r}") from error


def text_of(reply: bytes | None) -> str:
    """
    A reply as text; what is absent is empty.
    """
    return "" if reply is None else reply.decode()


def number_of(reply: bytes | None) -> int:
    """
    A reply as a whole number; what is absent is 0.
    """
    return 0 if reply is None else int(reply)


def ms_of(reply: Any) -> int:
    """
    What TIME answers, in whole milliseconds since 1970 UTC.
    """
    return int(reply[0]) * 1000 + int(reply[1]) // 1000


def scored(reply: list[Any]) -> list[tuple[str, int]]:
    """
    Members and whole scores of a sorted set, whether they come in pairs or flat.
    """
    pairs = reply if reply and isinstance(reply[0], list | tuple) else zip(reply[::2], reply[1::2], strict=True)
    return [(member.decode(), int(float(score))) for member, score in pairs]


def pairs_of(reply: Any) -> dict[str, str]:
    """
    A flat list of fields and values, or a map, as texts.
    """
    if isinstance(reply, dict):
        return {key.decode(): value.decode() for key, value in reply.items()}
    return {reply[at].decode(): reply[at + 1].decode() for at in range(0, len(reply), 2)}
