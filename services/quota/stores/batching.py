"""
The decide step for a crowd: asks that meet in one pass of the event loop are decided in one call.

Called by the hot route only, once per request; what has begun is seen through whatever
becomes of its asker. An account keeps to one lane and is in a batch once, so that two
asks of one account are decided one after the other. Without an answer exactly the asks of
that pass are `Retryable`, and nothing is compensated.
"""

import asyncio
import contextvars
import time
from collections import deque
from itertools import islice
from typing import NamedTuple

from kernel.errors import Retryable
from kernel.log import get_logger
from services.quota import metrics
from services.quota.domain.decisions import Ask, Decision, Held, Refusal
from services.quota.domain.gate import Gate
from services.quota.domain.limit import Limit
from services.quota.stores.passes import Passes
from services.quota.stores.steps import Outcome

log = get_logger(__name__)
DRAIN_SECONDS = 5.0


class _Asked(NamedTuple):
    """
    An ask with the answer its asker waits for.
    """

    ask: Ask
    answer: asyncio.Future[Decision]
    asked_at: float

    def say(self, outcome: Outcome) -> None:
        if self.answer.done():
            return
        if isinstance(outcome, Exception):
            self.answer.set_exception(outcome)
        else:
            self.answer.set_result(outcome)


class BatchingDecider:
    """
    Decides many asks at once.

    A pass takes at most `batch_max` asks; whoever has waited `wait_max_seconds` for a pass is
    turned away before anything is asked for him. Each of `lanes` has one pass under way, and tells `limit` of it.
    """

    def __init__(
        self, passes: Passes, gate: Gate, limit: Limit, *, batch_max: int, lanes: int, wait_max_seconds: float
    ) -> None:
        self._limit = limit
        self._lanes = [
            _Lane(passes, gate, limit, batch_max=batch_max, wait_max_seconds=wait_max_seconds) for _ in range(lanes)
        ]

    @property
    def underway(self) -> int:
        """
        How many asks wait for their outcome.
        """
        return sum(lane.underway for lane in self._lanes)

    @property
    def full(self) -> bool:
        """
        Whether one more ask would be too much.
        """
        return not self._limit.may_enter(self.underway, asyncio.get_running_loop().time())

    def decide(self, ask: Ask) -> asyncio.Future[Decision]:
        """
        Places, or why not. Asking again with the same id changes nothing; letting go of the answer neither.
        """
        return self._lanes[hash(ask.account_id) % len(self._lanes)].enter(ask)

    async def settle(self) -> None:
        """
        Wait for what is under way; after a while leave it to the replies that will not come.
        """
        running = [lane.passes for lane in self._lanes if lane.passes is not None]
        if running:
            await asyncio.wait(running, timeout=DRAIN_SECONDS)


class _Lane:
    """
    One pass after the other, as long as somebody waits.
    """

    def __init__(self, passes: Passes, gate: Gate, limit: Limit, *, batch_max: int, wait_max_seconds: float) -> None:
        self._decider = passes
        self._gate = gate
        self._limit = limit
        self._batch_max = batch_max
        self._wait_max_seconds = wait_max_seconds
        self._waiting: dict[str, _Asked] = {}
        self._behind: dict[str, deque[_Asked]] = {}
        self._deciding: list[_Asked] = []
        self._patience: asyncio.TimerHandle | None = None
        self.passes: asyncio.Task[None] | None = None
        self.underway = 0

    def enter(self, ask: Ask) -> asyncio.Future[Decision]:
        """
        Be in the next pass, after whoever came before. It begins when this turn of the loop is over.
        """
        loop = asyncio.get_running_loop()
        asked = _Asked(ask, loop.create_future(), loop.time())
        self.underway += 1
        if ask.account_id in self._waiting:
            self._behind.setdefault(ask.account_id, deque()).append(asked)
        else:
            self._waiting[ask.account_id] = asked
        if self._patience is None:
            self._patience = loop.call_at(asked.asked_at + self._wait_max_seconds, self._lose_patience)
        if self.passes is None:
            # In a context of its own: what the first asker's request has bound to it is not the others'.
            self.passes = asyncio.create_task(self._run(), context=contextvars.Context())
        return asked.answer

    async def _run(self) -> None:
        try:
            while self._waiting:
                await self._pass(self._take())
        finally:
            # Somebody is left only if the pass was torn down from outside, with its process.
            self.passes = None
            while self._waiting:
                self._fail(self._take(), Retryable("the process is going down"))

    def _take(self) -> list[_Asked]:
        batch = []
        for account_id in list(islice(self._waiting, self._batch_max)):
            batch.append(self._waiting.pop(account_id))
            behind = self._behind.get(account_id)
            if behind is not None:
                self._waiting[account_id] = behind.popleft()  # at the end: everybody else comes first
                if not behind:
                    del self._behind[account_id]
        return batch

    def _lose_patience(self) -> None:
        """
        Tell those who have waited too long that nobody knows. What has begun goes on without them.
        """
        now = asyncio.get_running_loop().time()
        still = []
        for asked in (
            *self._deciding,
            *self._waiting.values(),
            *(one for line in self._behind.values() for one in line),
        ):
            if asked.asked_at + self._wait_max_seconds <= now:
                asked.say(Retryable(f"no answer within {self._wait_max_seconds:g} s"))
            elif not asked.answer.done():
                still.append(asked.asked_at)
        self._patience = None
        if still:
            loop = asyncio.get_running_loop()
            self._patience = loop.call_at(min(still) + self._wait_max_seconds, self._lose_patience)

    async def _pass(self, batch: list[_Asked]) -> None:
        self._deciding = batch
        try:
            await self._decide(self._in_time(batch))
        except BaseException as error:
            self._fail(batch, Retryable(f"the pass broke off: {error!r}"))
            if not isinstance(error, Exception):
                raise
            log.exception("pass_broke_off")
        finally:
            self._deciding = []
            self.underway -= len(batch)

    def _fail(self, batch: list[_Asked], error: Exception) -> None:
        for asked in batch:
            asked.say(Retryable(str(error)))

    def _in_time(self, batch: list[_Asked]) -> list[_Asked]:
        since = asyncio.get_running_loop().time() - self._wait_max_seconds
        if batch[0].asked_at >= since:
            return batch
        for asked in batch:
            if asked.asked_at < since:
                metrics.decided["unknown"].inc()
                asked.say(Retryable(f"no turn within {self._wait_max_seconds} s, nothing was asked"))
        return [asked for asked in batch if asked.asked_at >= since]

    async def _decide(self, batch: list[_Asked]) -> None:
        if not batch:
            return
        metrics.batch_asks.observe(len(batch))
        metrics.decisions_underway.set(self.underway)
        started = time.perf_counter()
        loop, known = asyncio.get_running_loop(), False
        sent_at = loop.time()
        self._limit.pass_begins(sent_at)
        try:
            outcomes, sold_out = await self._decider.decide([asked.ask for asked in batch])
            known = not all(isinstance(outcome, Exception) for outcome in outcomes)
        finally:
            youngest_asked_at = max(asked.asked_at for asked in batch)
            self._limit.pass_ends(loop.time(), asks=len(batch), youngest_asked_at=youngest_asked_at, known=known)
        metrics.decide_seconds.observe(time.perf_counter() - started)
        for slot in sold_out:
            self._gate.close(slot.slot_id, slot.offered, slot.takers, until=sent_at + slot.for_seconds)
        for asked, outcome in zip(batch, outcomes, strict=True):
            asked.say(outcome)
        _count(batch, outcomes)


def _count(batch: list[_Asked], outcomes: list[Outcome]) -> None:
    counts: dict[str, int] = {}
    for asked, outcome in zip(batch, outcomes, strict=True):
        if isinstance(outcome, Held):
            name = "replayed" if outcome.replayed else "held"
        elif isinstance(outcome, Exception):
            name = "unknown"
            log.warning("decision_unknown", reservation_id=asked.ask.reservation_id, error=repr(outcome))
        else:
            name = outcome.why.value
            if outcome.why is Refusal.UNBALANCED:
                log.error("slot_unbalanced", slot_id=asked.ask.slot_id)
        counts[name] = counts.get(name, 0) + 1
    for name, count in counts.items():
        metrics.decided[name].inc(count)
