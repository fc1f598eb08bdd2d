"""
The relays' leases: who tells which partition, by which token.

Called by the use case that keeps them, and by the worker's watch. A lease is (holder, token,
until_ms) by the server's clock. Never decides who should have what.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from services.quota.keys import Keys
from services.quota.stores.scripts import SCRIPTS, LeaseCode
from services.quota.stores.valkey import Command, ScriptCall, Valkey, number_of

ENROLL, LEASE, UNLEASE = SCRIPTS["enroll"], SCRIPTS["lease"], SCRIPTS["unlease"]
_SECOND_MS: Final = 1000


class Lease(NamedTuple):
    """
    What its holder shows with every write that could do harm.
    """

    relay_id: str
    token: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """
    How everything stands, as one write has found it.
    """

    relays: tuple[str, ...]
    held: Mapping[int, Lease]
    free: frozenset[int]


class Leases:
    """
    The leases of all partitions, as one relay sees them.
    """

    def __init__(self, valkey: Valkey, keys: Keys, *, relay_id: str, lease_seconds: float) -> None:
        self._valkey = valkey
        self._keys = keys
        self.relay_id = relay_id
        self.lease_seconds = lease_seconds
        self._lease_ms = int(lease_seconds * _SECOND_MS)

    async def renew(self) -> Look:
        """
        Be there, renew what is held, and see what is free: one write for all partitions.
        """
        partitions = range(self._keys.partitions)
        replies = await self._valkey.run_many(
            [self._enroll(self._lease_ms), *(self._lease(partition, wanted=False) for partition in partitions)]
        )
        stands = {partition: (LeaseCode(code), token) for partition, (code, token) in enumerate(replies[1:])}
        return Look(
            relays=tuple(relay.decode() for relay in replies[0][1]),
            held={at: Lease(self.relay_id, token) for at, (code, token) in stands.items() if code == LeaseCode.RENEWED},
            free=frozenset(at for at, (code, _) in stands.items() if code == LeaseCode.FREE),
        )

    async def take(self, partitions: Sequence[int]) -> dict[int, Lease]:
        """
        Ask for partitions that were free a moment ago. Returns those that came.
        """
        replies = await self._valkey.run_many([self._lease(partition, wanted=True) for partition in partitions])
        return {
            partition: Lease(self.relay_id, token)
            for partition, (code, token) in zip(partitions, replies, strict=True)
            if code in {LeaseCode.TAKEN, LeaseCode.RENEWED}
        }

    async def give_up(self, leases: Mapping[int, Lease]) -> None:
        """
        Let others have them at once.
        """
        await self._valkey.run_many(
            [
                ScriptCall(UNLEASE, [self._keys.lease(partition)], [lease.relay_id, lease.token])
                for partition, lease in leases.items()
            ]
        )

    async def leave(self) -> None:
        """
        Be missed at once.
        """
        await self._valkey.run(self._enroll(0))

    def _enroll(self, lease_ms: int) -> ScriptCall:
        return ScriptCall(ENROLL, [self._keys.relays()], [self.relay_id, lease_ms])

    def _lease(self, partition: int, *, wanted: bool) -> ScriptCall:
        return ScriptCall(LEASE, [self._keys.lease(partition)], [self.relay_id, self._lease_ms, int(wanted)])


async def untold(valkey: Valkey, keys: Keys) -> list[int]:
    """
    The partitions nobody has a lease of.
    """
    asked: list[Command] = [("TIME",)]
    asked += [("HMGET", keys.lease(partition), "until_ms") for partition in range(keys.partitions)]
    (seconds, micros), *stands = await valkey.many(asked)
    at_ms = int(seconds) * _SECOND_MS + int(micros) // _SECOND_MS
    return [partition for partition, (until_ms,) in enumerate(stands) if number_of(until_ms) <= at_ms]
