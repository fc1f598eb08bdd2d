"""
The partitions' streams: read in order, trimmed only to what is recorded elsewhere.

Called by the relay. The id of an entry is `<epoch>-<seq>`, so a position is a pair of
numbers and trimming names the first entry to keep. An entry is one decision, or the holds
of a pass, and has the id of the last. Whoever trims or stops shows his lease; reading needs
none.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from services.quota.keys import Keys
from services.quota.stores.leases import Lease
from services.quota.stores.scripts import SCRIPTS, StopCode, TrimCode
from services.quota.stores.valkey import ScriptCall, Valkey

TRIM, STOP = SCRIPTS["trim"], SCRIPTS["stop"]
ENTRIES_PER_READ_MAX = 100
"""Of a partition. Each may be as many decisions as a pass has."""


class Position(NamedTuple):
    """
    A decision's place in its partition's history. (0, 0) is before the first.
    """

    epoch: int
    seq: int


START = Position(0, 0)


def position_of(reply: bytes | None) -> Position:
    """
    The position an id or a partition's text says; the start where there is none.
    """
    if reply is None:
        return START
    epoch, _, seq = reply.partition(b"-")
    return Position(int(epoch), int(seq))


class Entry(NamedTuple):
    """
    One decision as the script wrote it.
    """

    partition: int
    position: Position
    fields: dict[bytes, bytes]


class Outbox:
    """
    The streams of all partitions.
    """

    def __init__(self, valkey: Valkey, keys: Keys) -> None:
        self._valkey = valkey
        self._keys = keys

    async def after(self, positions: Mapping[int, Position]) -> list[Entry]:
        """
        What comes after a position of each partition, in order, up to a limit each.
        """
        replies = await self._valkey.many(
            [
                ("XRANGE", self._keys.outbox(partition), f"({epoch}-{seq}", "+", "COUNT", ENTRIES_PER_READ_MAX)
                for partition, (epoch, seq) in positions.items()
            ]
        )
        return [
            decision
            for (partition, after), reply in zip(positions.items(), replies, strict=True)
            for entry_id, fields in reply
            for decision in _decisions(partition, position_of(entry_id), _fields(fields))
            # Who has heard of some of an entry's has them told by the same entry.
            if decision.position > after
        ]

    async def trim(self, recorded: Mapping[int, Position], leases: Mapping[int, Lease]) -> list[int]:
        """
        Let go of everything up to and including a position of each partition. Returns those whose lease is stale.
        """
        replies = await self._valkey.run_many(
            [
                ScriptCall(
                    TRIM,
                    [self._keys.lease(partition), self._keys.outbox(partition)],
                    [*leases[partition], f"{epoch}-{seq + 1}"],
                )
                for partition, (epoch, seq) in recorded.items()
            ]
        )
        return [partition for partition, (code, _) in zip(recorded, replies, strict=True) if code == TrimCode.STALE]

    async def lengths(self, partitions: Sequence[int]) -> dict[int, int]:
        """
        How many entries each partition still keeps.
        """
        replies = await self._valkey.many([("XLEN", self._keys.outbox(partition)) for partition in partitions])
        return dict(zip(partitions, (int(reply) for reply in replies), strict=True))

    async def ends(self, partitions: Sequence[int]) -> dict[int, Position]:
        """
        Each partition's last decision.
        """
        replies = await self._valkey.many([("GET", self._keys.position(partition)) for partition in partitions])
        return {partition: position_of(reply) for partition, reply in zip(partitions, replies, strict=True)}

    async def stop_selling(self, partition: int, lease: Lease) -> bool:
        """
        Mark a partition whose history is not the recorded one: it sells nothing until it is rebuilt.

        False if the lease is stale.
        """
        keys = [self._keys.lease(partition), self._keys.stopped(partition)]
        code: int = await self._valkey.run(ScriptCall(STOP, keys, [*lease]))
        return code == StopCode.STOPPED


def _decisions(partition: int, last: Position, fields: dict[bytes, bytes]) -> Iterator[Entry]:
    """
    What an entry says: a fact by its fields' names, or holds by their ids.
    """
    if b"type" in fields or b"hold" in fields:
        yield Entry(partition, last, fields)
        return
    first = last.seq - len(fields) + 1
    for seq, (reservation_id, hold) in enumerate(fields.items(), first):
        yield Entry(partition, Position(last.epoch, seq), {b"held": reservation_id, b"hold": hold})


def _fields(reply: Any) -> dict[bytes, bytes]:
    if isinstance(reply, dict):
        return reply
    return dict(zip(reply[::2], reply[1::2], strict=True))
