"""
The worker's rounds: claims whose request never came back, and the books of all slots for the gauges.

Called by wiring as tasks. Any number of workers may make the rounds at once: taking a
claim back compares before it deletes, and reading changes nothing.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sized

from kernel.errors import Retryable
from kernel.log import get_logger
from services.quota import metrics
from services.quota.domain.decisions import HoldState
from services.quota.stores.claims import Claims
from services.quota.stores.ledger import Ledger

log = get_logger(__name__)
CLAIM_AGE_MS = 60_000
"""Twice as long as a claim is good for a decision, so that none is taken back under one."""
SWEEP_SECONDS = 5.0
WATCH_SECONDS = 5.0
_STATES = ("free", "held", "confirmed", "withheld")


class Sweep:
    """
    Looks after claims: those with a hold are settled, those without are taken back.
    """

    def __init__(self, claims: Claims) -> None:
        self._claims = claims

    async def run(self) -> None:
        """
        For ever.
        """
        while True:
            try:
                await self.turn(older_than_ms=CLAIM_AGE_MS)
            except Retryable as error:
                log.warning("sweep_waits", error=str(error))
            await asyncio.sleep(SWEEP_SECONDS)

    async def turn(self, *, older_than_ms: int) -> None:
        """
        One round over claims at least that old.
        """
        before_ms, found = await self._claims.left_pending(older_than_ms)
        settled = [claim for claim, state in found.items() if state in (HoldState.HELD, HoldState.CONFIRMED)]
        ended = [claim for claim, state in found.items() if state == HoldState.RELEASED]
        orphaned = [claim for claim, state in found.items() if not state]
        await self._claims.settle(settled)
        await self._claims.give_back(ended, ended=True)
        await self._claims.give_back(orphaned, ended=False, claimed_before_ms=before_ms)
        for name, claims in (("settled", settled), ("ended", ended), ("orphaned", orphaned)):
            metrics.claims_swept.labels(name).inc(len(claims))
        if orphaned:
            log.info("claims_taken_back", claims=len(orphaned))


class Watch:
    """
    Shows the books, and the partitions nobody tells: a relay that is away cannot say so itself.
    """

    def __init__(self, ledger: Ledger, untold: Callable[[], Awaitable[Sized]]) -> None:
        self._ledger = ledger
        self._untold = untold

    async def run(self) -> None:
        """
        For ever.
        """
        while True:
            try:
                await self.turn()
            except Retryable as error:
                log.warning("watch_waits", error=str(error))
            await asyncio.sleep(WATCH_SECONDS)

    async def turn(self) -> None:
        """
        Read all books once.
        """
        metrics.untold_partitions.set(len(await self._untold()))
        sums = dict.fromkeys(_STATES, 0)
        unbalanced = 0
        for books in await self._ledger.books(await self._ledger.slot_ids()):
            for state in _STATES:
                sums[state] += books[state]
            unbalanced += books["capacity"] != sum(books[state] for state in _STATES)
        for state, places in sums.items():
            metrics.seats.labels(state).set(places)
        metrics.unbalanced_slots.set(unbalanced)
