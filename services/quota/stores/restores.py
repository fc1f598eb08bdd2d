"""
Valkey written anew: what stands there now, holds and claims in bulk, slots one by one, and all of it read back.

Called by the restoring use case while the partitions are stopped. Every write can be made
again; nothing that is there is deleted before the partition is opened, except slots that
booking has not planned. Keys of one tag go together, so that it works on a cluster.
"""

import asyncio
import itertools
import zlib
from array import array
from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import msgspec
from redis.exceptions import RedisError

from kernel.log import get_logger
from services.quota.domain.rebuilding import Batch, Tally
from services.quota.domain.records import ClaimsRecord, HoldRecord, claims_record, hold_record, packed
from services.quota.keys import Keys
from services.quota.stores.ledger import books_of
from services.quota.stores.scripts import SCRIPTS, ReopenCode, RestoreSlotsCode
from services.quota.stores.valkey import KEYS_PER_COMMAND, Command, ScriptCall, Valkey, pairs_of, tag_of, together

log = get_logger(__name__)
KEYS_PER_WRITE: Final = 4000
"""Each write waits for the disk once: few large ones, but none that keeps those who sell elsewhere waiting for long."""
SLOTS_PER_WRITE: Final = 500
"""In one call: as commands of their own they would be read, and waited for, a few at a time."""
GROUP: Final = 4 * KEYS_PER_COMMAND
READ_AT_ONCE: Final = 16
REWRITING: Final = "auto-aof-rewrite-percentage"
_plan_json = msgspec.json.Encoder()
Fact = Sequence[Any]
Books = dict[str, int]


class Restores:
    """
    Writes and reads in bulk.
    """

    def __init__(self, valkey: Valkey, keys: Keys) -> None:
        self._valkey = valkey
        self._keys = keys
        self._written: list[tuple[list[str], array[int]]] = []
        self._written_over: dict[str, int] = {}

    async def stop(self, partitions: Iterable[int], mark: str) -> None:
        """
        Nothing is sold from these until `reopen` with the same mark.
        """
        asked: list[Command] = []
        for partition in partitions:
            asked.append(("SET", self._keys.stopped(partition), mark))
            asked.append(("DEL", self._keys.cleared(partition)))
        _raise_errors(await self._valkey.many(asked))

    @asynccontextmanager
    async def unrewritten(self) -> AsyncIterator[None]:
        """
        Valkey does not rewrite its file while it doubles again and again. Where that may not be set, it does.
        """
        try:
            before = [
                pairs_of(reply).get(REWRITING, "")
                for reply in await self._valkey.everywhere("CONFIG", "GET", REWRITING)
            ]
            await self._valkey.everywhere("CONFIG", "SET", REWRITING, "0")
        except RedisError as error:
            log.info("file_is_rewritten_meanwhile", error=str(error))
            yield
            return
        try:
            yield
        finally:
            # One setting for all nodes. Broken off before this, a node has its own again when it starts anew.
            await self._valkey.everywhere("CONFIG", "SET", REWRITING, max(before, key=int))

    async def marks(self, partitions: Iterable[int]) -> dict[int, str]:
        """
        Why each of these is stopped; empty where it is not.
        """
        asked = list(partitions)
        replies = await self._valkey.many([("GET", self._keys.stopped(partition)) for partition in asked])
        return {partition: (mark or b"").decode() for partition, mark in zip(asked, replies, strict=True)}

    async def holds(self, partitions: Iterable[int]) -> dict[str, HoldRecord]:
        """
        Every hold that is there, by its key.
        """
        wanted = {self._keys.hold_tag(partition) for partition in partitions}
        found = [key for key in await self._valkey.scan(self._keys.any_hold()) if tag_of(key) in wanted]
        return {key: hold_record(value) async for key, value in self._values(found)}

    async def claims(self) -> dict[str, ClaimsRecord]:
        """
        Every account's claims that are there, by account.
        """
        found = await self._valkey.scan(self._keys.any_claims())
        return {key.rpartition(":")[2]: claims_record(value) async for key, value in self._values(found)}

    async def _values(self, keys: Iterable[str]) -> Any:
        for some in together(keys):
            [values] = await self._valkey.many([("MGET", *some)])
            for key, value in zip(some, values, strict=True):
                if value is not None:
                    yield key, value

    async def read(self, keys: Iterable[str]) -> dict[str, bytes | None]:
        """
        What stands under keys.
        """
        return await self._valkey.texts(keys)

    async def write(self, batch: Batch) -> None:
        """
        Put values where they belong, and remember what they were for reading them back.
        """
        # On a single node keys of all tags may go together.
        pieces = _by_tag(batch) if self._valkey.cluster else [batch]
        commands: list[Command] = [
            ("MSET", *some[start : start + 2 * KEYS_PER_WRITE])
            for some in pieces
            for start in range(0, len(some), 2 * KEYS_PER_WRITE)
        ]
        _raise_errors(await self._valkey.many(commands))
        for some in pieces:
            # Keys and values take turns.
            self._written.append((some[::2], array("L", map(zlib.crc32, some[1::2]))))  # type: ignore[arg-type]

    async def write_over(self, batch: Batch) -> None:
        """
        Put few values where others may have been written before.
        """
        pairs = [(str(key), value) for key, value in zip(batch[::2], batch[1::2], strict=True)]
        _raise_errors(await self._valkey.many([("SET", key, value) for key, value in pairs]))
        self._written_over |= {key: zlib.crc32(bytes(value)) for key, value in pairs if isinstance(value, bytes)}

    def written(self) -> frozenset[str]:
        """
        Every key that was written.
        """
        return frozenset(itertools.chain(self._written_over, *(keys for keys, _ in self._written)))

    async def differing(self) -> list[str]:
        """
        Read everything back that was written. Returns the keys under which something else stands.
        """
        pieces = [
            self._unlike(keys[start : start + GROUP], digests[start : start + GROUP])
            for keys, digests in [*self._written, *_one_by_one(self._written_over)]
            for start in range(0, len(keys), GROUP)
        ]
        wrong: list[str] = []
        # A few at a time: one is on its way while another is compared.
        for start in range(0, len(pieces), READ_AT_ONCE):
            for found in await asyncio.gather(*pieces[start : start + READ_AT_ONCE]):
                wrong += found
        return wrong

    async def _unlike(self, keys: list[str], digests: "array[int]") -> list[str]:
        values: list[bytes | None] = []
        pieces: list[Command] = [
            ("MGET", *keys[start : start + KEYS_PER_COMMAND]) for start in range(0, len(keys), KEYS_PER_COMMAND)
        ]
        for reply in await self._valkey.many(pieces):
            values += reply
        if None not in values and array("L", map(zlib.crc32, values)) == digests:  # type: ignore[arg-type]
            return []
        return [
            key
            for key, value, digest in zip(keys, values, digests, strict=True)
            if (value is None or zlib.crc32(value) != digest) and key not in self._written_over
        ]

    async def delete(self, keys: Sequence[str]) -> None:
        """
        Remove keys.
        """
        _raise_errors(await self._valkey.many([("UNLINK", *some) for some in together(keys)]))

    async def slots(self, tallies: Sequence[Tally], mark: str) -> dict[str, RestoreSlotsCode]:
        """
        Put slots back, those of a partition in calls of some hundreds. Returns what became of each.
        """
        by_partition: dict[int, list[Tally]] = {}
        for tally in tallies:
            by_partition.setdefault(tally.partition, []).append(tally)
        found: dict[str, RestoreSlotsCode] = {}
        for partition, own in by_partition.items():
            for start in range(0, len(own), SLOTS_PER_WRITE):
                some = own[start : start + SLOTS_PER_WRITE]
                codes = await self._valkey.run(self._slots_call(partition, some, mark))
                found |= zip((tally.slot_id for tally in some), map(RestoreSlotsCode, codes), strict=True)
        return found

    def _slots_call(self, partition: int, tallies: Sequence[Tally], mark: str) -> ScriptCall:
        own = self._keys.plans, self._keys.revision, self._keys.stopped
        rows = [field for tally in tallies for field in self._row(tally)]
        return ScriptCall(SCRIPTS["restore_slots"], [spell(partition) for spell in own], [mark, packed(rows)])

    def _row(self, tally: Tally) -> list[Any]:
        plan, slot_id = tally.plan, tally.slot_id
        if plan is None:
            raise ValueError(f"{slot_id} is not planned")
        own = self._keys.slot, self._keys.returned, self._keys.withheld, self._keys.books, self._keys.takers
        row: list[Any] = [slot_id, *(spell(slot_id) for spell in own)]
        row += [plan.version, plan.capacity, plan.opens_at_ms, plan.closes_at_ms, plan.pay_seconds]
        # Texts: the scripts' msgpack knows no other kind.
        row += [plan.channel, plan.closed, _plan_json.encode(plan).decode()]
        row += [tally.held, tally.confirmed, tally.next_seat, tally.unused, "".join(tally.takers)]
        return row

    async def books(self, slot_ids: Sequence[str]) -> dict[str, Books]:
        """
        Every slot's books, with how many of its seats have come back.
        """
        asked: list[Command] = []
        for slot_id in slot_ids:
            asked.append(("GET", self._keys.books(slot_id)))
            asked.append(("ZCARD", self._keys.returned(slot_id)))
        replies = await self._valkey.many(asked)
        return {
            slot_id: books_of(replies[at]) | {"returned": int(replies[at + 1])}
            for slot_id, at in zip(slot_ids, range(0, len(replies), 2), strict=True)
        }

    async def planned(self, partitions: Iterable[int]) -> list[str]:
        """
        Every slot that is there.
        """
        replies = await self._valkey.many([("ZRANGE", self._keys.plans(partition), 0, -1) for partition in partitions])
        return [member.decode() for reply in replies for member in reply]

    async def forget_slots(self, slot_ids: Sequence[str]) -> None:
        """
        Remove slots that booking has not planned.
        """
        asked: list[Command] = []
        for slot_id in slot_ids:
            own = self._keys.slot, self._keys.returned, self._keys.withheld, self._keys.books, self._keys.takers
            asked.append(("UNLINK", *(spell(slot_id) for spell in own)))
            asked.append(("ZREM", self._keys.plans(self._keys.partition_of(slot_id)), slot_id))
        _raise_errors(await self._valkey.many(asked))

    async def reopen(self, partition: int, mark: str, *, epoch_known: int, facts: Sequence[Fact]) -> ReopenCode:
        """
        Begin a new epoch with these facts, and sell.
        """
        own = self._keys.outbox, self._keys.position, self._keys.stopped, self._keys.cleared
        keys = [spell(partition) for spell in own]
        [(code, _, _)] = await self._valkey.run_many(
            [ScriptCall(SCRIPTS["reopen"], keys, [mark, epoch_known, packed(facts)])]
        )
        return ReopenCode(code)


def _by_tag(batch: Batch) -> Collection[Batch]:
    apart: dict[str, Batch] = {}
    for key, value in zip(batch[::2], batch[1::2], strict=True):
        apart.setdefault(tag_of(str(key)), []).extend((key, value))
    return apart.values()


def _one_by_one(digests: Mapping[str, int]) -> Iterator[tuple[list[str], "array[int]"]]:
    for key, digest in digests.items():
        yield [key], array("L", [digest])


def _raise_errors(replies: Iterable[Any]) -> None:
    for reply in replies:
        if isinstance(reply, Exception):
            raise reply
