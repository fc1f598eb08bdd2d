"""
Which partitions this relay may tell: leases renewed, shared fairly, and lost without argument.

Called by wiring as a task of `quota-relay`; the relay asks `held` at every turn. A lease
counts from before it was asked for, by this process's own clock, so that it ends here before
it ends in Valkey. What a relay whose lease has ended still does is harmless: readers
recognise a repeated decision by its seq, and what throws away or stops shows its token.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from typing import Final

from kernel.errors import Retryable
from kernel.log import get_logger
from services.quota import metrics
from services.quota.domain.shares import share_of, surplus, wanted
from services.quota.stores.leases import Lease, Leases, Look

log = get_logger(__name__)
RENEWALS_PER_LEASE: Final = 3
"""Two renewals may fail before a lease is lost."""
WHOLE_MS: Final = 0.001
"""Seconds. Valkey counts a lease from the last whole millisecond of its clock, up to one before it was asked."""


class Tenure:
    """
    The partitions of one relay, as long as they are its own.
    """

    def __init__(self, leases: Leases, *, partitions: int) -> None:
        self._leases = leases
        self._partitions = partitions
        self._held: dict[int, Lease] = {}
        self._until: float = 0.0

    @property
    def held(self) -> Mapping[int, Lease]:
        """
        What may be told now; nothing while the last renewal is too long ago.
        """
        # Not the loop's clock, which stands still during a turn.
        return self._held if time.monotonic() < self._until else {}

    async def keep(self) -> None:
        """
        Renew and share for ever. While Valkey does not answer, leases run out here first.
        """
        while True:
            try:
                await self.turn()
            except Retryable as error:
                log.warning("leases_wait", error=str(error))
            await asyncio.sleep(self._leases.lease_seconds / RENEWALS_PER_LEASE)

    async def turn(self) -> None:
        """
        Renew what is held, then give up what is too much or take what is missing.
        """
        asked_at = time.monotonic()
        look = await self._leases.renew()
        self._note_lost(set(self._held) - set(look.held))
        self._held, self._until = dict(look.held), asked_at + self._leases.lease_seconds - WHOLE_MS
        await self._settle(look)
        metrics.relay_partitions.set(len(self._held))

    def lose(self, partitions: Collection[int]) -> None:
        """
        Somebody else's token has been seen: these are no longer told from now on.
        """
        self._note_lost({partition for partition in partitions if self._held.pop(partition, None)})
        metrics.relay_partitions.set(len(self._held))

    async def leave(self) -> None:
        """
        Give everything up, so that the others need not wait until the leases run out.
        """
        given, self._held = self._held, {}
        metrics.relay_partitions.set(0)
        await self._leases.give_up(given)
        await self._leases.leave()

    async def _settle(self, look: Look) -> None:
        relay_id, share = self._leases.relay_id, share_of(self._leases.relay_id, look.relays, self._partitions)
        # No longer told here before another may begin.
        given = {partition: self._held.pop(partition) for partition in surplus(list(self._held), share)}
        if given:
            await self._leases.give_up(given)
            metrics.relay_moves.labels("given_up").inc(len(given))
        asked = wanted(relay_id, look.relays, look.free, missing=share - len(self._held), partitions=self._partitions)
        taken = await self._leases.take(asked) if asked else {}
        self._held |= taken
        metrics.relay_moves.labels("taken").inc(len(taken))
        if given or taken:
            log.info(
                "partitions_shared",
                relay=relay_id,
                relays=len(look.relays),
                held=len(self._held),
                taken=sorted(taken),
                given_up=sorted(given),
            )

    def _note_lost(self, partitions: Collection[int]) -> None:
        if partitions:
            metrics.relay_moves.labels("lost").inc(len(partitions))
            log.warning("leases_lost", relay=self._leases.relay_id, partitions=sorted(partitions))


@asynccontextmanager
async def tenure(leases: Leases, *, partitions: int) -> AsyncIterator[Tenure]:
    """
    For the life of a relay; what it holds at its end is given up.
    """
    kept = Tenure(leases, partitions=partitions)
    try:
        yield kept
    finally:
        try:
            await kept.leave()
        except Retryable as error:
            log.warning("leases_run_out_by_themselves", error=str(error))
