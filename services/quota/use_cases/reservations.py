"""
A family asks for places: Valkey decides, and whoever asked may go away meanwhile.

Called by routes. A decision once begun is seen through whatever becomes of its asker, and
the drain waits for it. Never compensates: no answer in time is `Retryable`, unknown.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Protocol, TypeVar

from contracts.events import SlotPlanned
from kernel.deadline import within
from kernel.errors import Retryable
from kernel.ids import derived
from kernel.log import get_logger
from services.quota import metrics
from services.quota.domain.availability import Alternative, Offers
from services.quota.domain.decisions import Ask, Decision, Held, Refusal, digest
from services.quota.stores.catalogue import Catalogue
from services.quota.stores.free import COUNTRY_AGE_MAX_SECONDS, COUNTRY_RENEW_AFTER_SECONDS, FreePlaces, Moments

T = TypeVar("T")
log = get_logger(__name__)
ALTERNATIVES_WAIT_SECONDS = 0.3
"""A refusal does not wait longer than this for its consolation."""
DRAIN_SECONDS = 5.0
_COUNTRY = "country"


class Decides(Protocol):
    """
    Whatever decides an ask: one at a time or many in a batch.
    """

    async def decide(self, ask: Ask) -> Decision: ...  # noqa: D102 - said by the class


class Underway:
    """
    Work that is seen through even when nobody waits for it any more.
    """

    def __init__(self, *, work_max: int) -> None:
        self._work_max = work_max
        self._tasks: set[asyncio.Task[Any]] = set()

    @property
    def full(self) -> bool:
        """
        Whether more would be too much.
        """
        return len(self._tasks) >= self._work_max

    async def see_through(self, work: Coroutine[Any, Any, T], *, wait_seconds: float) -> T:
        """
        Its result, or `DeadlineExceeded` for the asker while the work goes on.
        """
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        metrics.decisions_underway.set(len(self._tasks))
        task.add_done_callback(self._done)
        return await within(wait_seconds, asyncio.shield(task), what="the decision")

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        metrics.decisions_underway.set(len(self._tasks))
        if not task.cancelled() and task.exception() is not None:
            log.warning("decision_unknown", error=repr(task.exception()))

    async def settle(self) -> None:
        """
        Wait for what is under way; after a while leave it to the replies that will not come.
        """
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=DRAIN_SECONDS)


@asynccontextmanager
async def underway(*, work_max: int) -> AsyncIterator[Underway]:
    """
    For the life of a process; leaving waits for what was begun.
    """
    work = Underway(work_max=work_max)
    try:
        yield work
    finally:
        await work.settle()


def ask_of(account_id: str, idempotency_key: str, slot_id: str, person_ids: tuple[str, ...]) -> Ask:
    """
    The ask, with the id that the same request always gets.
    """
    return Ask(
        reservation_id=derived("rsv", account_id, idempotency_key, slot_id),
        account_id=account_id,
        slot_id=slot_id,
        person_ids=person_ids,
        key_hash=digest(idempotency_key),
    )


class Reservations:
    """
    The counter at which places are asked for.
    """

    def __init__(
        self,
        decider: Decides,
        catalogue: Catalogue,
        free: FreePlaces,
        work: Underway,
        *,
        decide_deadline_seconds: float,
    ) -> None:
        self._decider = decider
        self._catalogue = catalogue
        self._free = free
        self._work = work
        self._decide_deadline_seconds = decide_deadline_seconds
        self._offers: Moments[Offers] = Moments(
            self._offers_now,
            age_max_seconds=COUNTRY_AGE_MAX_SECONDS,
            keys_max=1,
            renew_after_seconds=COUNTRY_RENEW_AFTER_SECONDS,
        )

    @property
    def busy(self) -> bool:
        """
        Whether one more ask would be too much.
        """
        return self._work.full

    async def reserve(self, ask: Ask) -> Decision:
        """
        The decision. Raises `Retryable` when it is not known; the same ask finds out.
        """
        return await self._work.see_through(self._decide(ask), wait_seconds=self._decide_deadline_seconds)

    async def _decide(self, ask: Ask) -> Decision:
        started = time.perf_counter()
        try:
            decision = await self._decider.decide(ask)
        except Retryable:
            metrics.decided["unknown"].inc()
            raise
        metrics.decide_seconds.observe(time.perf_counter() - started)
        if isinstance(decision, Held):
            metrics.decided["replayed" if decision.replayed else "held"].inc()
        else:
            metrics.decided[decision.why.value].inc()
            if decision.why is Refusal.UNBALANCED:
                log.error("slot_unbalanced", slot_id=ask.slot_id)
        return decision

    async def instead_of(self, plan: SlotPlanned, count: int) -> tuple[Alternative, ...]:
        """
        Where there were `count` places a moment ago; empty when that cannot be said quickly.
        """
        try:
            offers = await within(ALTERNATIVES_WAIT_SECONDS, self._offers.get(_COUNTRY), what="free places")
        except Retryable:
            metrics.no_alternatives.inc()
            return ()
        return offers.instead_of(plan, count)

    async def _offers_now(self, _: str) -> Offers:
        free = await self._free.of_offices(list(self._catalogue.offices))
        return Offers(self._catalogue.slots.values(), free, self._catalogue.now_ms())
