"""
The books of all slots, read as a whole: for gauges, for the audit and for the boot's look at the server.

Called by the worker's watch and by `snapshot`. Reads in steps, so that reservations go
on in between; a slot is consistent in itself, the whole is not one moment.
"""

from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

import msgspec

from kernel.errors import Retryable
from services.quota.domain.records import ClaimsRecord, claims_record, hold_record, slot_books
from services.quota.keys import Keys
from services.quota.stores.outbox import position_of
from services.quota.stores.valkey import Command, Valkey, pairs_of

BOOKS: Final = ("capacity", "free", "held", "confirmed", "withheld", "next_seat")
SAFE: Final = {"appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction"}
"""Without these an acknowledged place can be forgotten."""


async def refuse_forgetful(valkey: Valkey) -> None:
    """
    Raise `Retryable`, which ends a boot with its sentence, unless Valkey keeps what it acknowledges.
    """
    wrong = []
    for name, value in SAFE.items():
        # On a cluster a replica too: tomorrow it may be the one that decides.
        for reply in await valkey.everywhere("CONFIG", "GET", name):
            found = pairs_of(reply).get(name)
            if found != value:
                wrong.append(f"{name} is {found!r}, not {value!r}")
    if wrong:
        said = ", ".join(dict.fromkeys(wrong))
        raise Retryable(f"this Valkey may forget places: {said}; VALKEY_DURABILITY=memory accepts that")


class Ledger:
    """
    The books as they stand.
    """

    def __init__(self, valkey: Valkey, keys: Keys) -> None:
        self._valkey = valkey
        self._keys = keys

    async def slot_ids(self) -> list[str]:
        """
        Every slot ever loaded.
        """
        asked: list[Command] = [
            ("ZRANGE", self._keys.plans(partition), 0, -1) for partition in range(self._keys.partitions)
        ]
        return [member.decode() for reply in await self._valkey.many(asked) for member in reply]

    async def books(self, slot_ids: Sequence[str]) -> list[dict[str, int]]:
        """
        Each slot's books.
        """
        keys = [self._keys.books(slot_id) for slot_id in slot_ids]
        texts = await self._valkey.texts(keys)
        return [books_of(texts[key]) for key in keys]

    async def everything(self) -> AsyncIterator[dict[str, Any]]:
        """
        Partitions, slots, holds and claims as plain records; `kind` says which.
        """
        for partition in range(self._keys.partitions):
            at, stopped = await self._valkey.call("MGET", self._keys.position(partition), self._keys.stopped(partition))
            epoch, seq = position_of(at)
            length = await self._valkey.call("XLEN", self._keys.outbox(partition))
            yield {
                "kind": "partition",
                "partition": partition,
                "epoch": epoch,
                "seq": seq,
                "stopped": stopped is not None,
                "stream_entries": length,
            }
        async for record in self.slots():
            yield record
        for partition in range(self._keys.partitions):
            async for record in self._holds(partition):
                yield record
        for tag in range(self._keys.partitions):
            async for record in self._claims(tag):
                yield record

    async def slots(self) -> AsyncIterator[dict[str, Any]]:
        """
        Every slot's books and unused numbers.
        """
        slot_ids = await self.slot_ids()
        books = await self.books(slot_ids)
        returned = await self._valkey.many([("ZRANGE", self._keys.returned(one), 0, -1) for one in slot_ids])
        withheld = await self._valkey.many([("ZRANGE", self._keys.withheld(one), 0, -1) for one in slot_ids])
        for at, slot_id in enumerate(slot_ids):
            yield {
                "kind": "slot",
                "slot_id": slot_id,
                **books[at],
                "returned": sorted(int(seat) for seat in returned[at]),
                "withheld_seats": sorted(int(seat) for seat in withheld[at]),
            }

    async def _holds(self, partition: int) -> AsyncIterator[dict[str, Any]]:
        found = await self._valkey.scan(self._keys.holds_pattern(partition))
        for key, reply in zip(found, await self._valkey.many([("GET", key) for key in found]), strict=True):
            if reply is not None:
                yield {"kind": "hold", "reservation_id": key.rpartition(":")[2]} | msgspec.structs.asdict(
                    hold_record(reply)
                )

    async def _claims(self, tag: int) -> AsyncIterator[dict[str, Any]]:
        found = await self._valkey.scan(self._keys.claims_pattern(tag))
        for key, reply in zip(found, await self._valkey.many([("GET", key) for key in found]), strict=True):
            claims = claims_record(reply) if reply is not None else ClaimsRecord()
            yield {
                "kind": "claim",
                "account_id": key.rpartition(":")[2],
                "claimed_for": claims.account and claims.account.reservation_id,
                "last_claimed_for": claims.last and claims.last.reservation_id,
                "persons": claims.persons or {},
            }

    async def answers(self) -> bool:
        """
        Whether Valkey is there.
        """
        # The client turns PONG into True.
        return await self._valkey.call("PING") is True


def books_of(reply: bytes | None) -> dict[str, int]:
    """
    The books of a slot as they are kept; all zero for a slot that is not there.
    """
    if reply is None:
        return dict.fromkeys(BOOKS, 0)
    books = slot_books(reply)
    return {name: getattr(books, name) for name in BOOKS}
