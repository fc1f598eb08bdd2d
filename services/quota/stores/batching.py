"""
The decide step for a crowd: asks that meet in one pass of the event loop are decided in one call.

Called by the hot route only, once per request; what has begun is seen through whatever
becomes of its asker. An account is in one pass at a time, once, so that two asks of one
account are decided one after the other. Without an answer exactly the asks of that pass
are `Retryable`, and nothing is compensated.
"""

import asyncio
import contextvars
import random
import time
from collections import deque
from collections.abc import Awaitable
from functools import partial
from itertools import chain, islice

import msgspec

from kernel.errors import Retryable
from kernel.log import get_logger
from services.quota import metrics
from services.quota.domain.decisions import Ask, Decision, Held, Outcome, Refusal, TellOutcome
from services.quota.domain.gate import Gate
from services.quota.domain.limit import Limit
from services.quota.stores.passes import Decided, Passes

log = get_logger(__name__)
DRAIN_SECONDS = 5.0
GATE_SHARE_MIN = 0.7
"""Of the time a sold-out slot may be refused from memory, at least so much is used."""
CROWD = 32
"""
Asks. Beside so many under way a pass of fewer waits: two halves cost the store as many syncs as two wholes. So many,
and no fewer than are under way, need not wait until everybody has been read: the store begins meanwhile.
"""
_LOOK_AGAIN_SECONDS = 0.001


class _Asked(msgspec.Struct, gc=False):
    """
    An ask, and whom to tell what came of it.
    """

    ask: Ask
    tell: TellOutcome | None
    """None once it is told."""
    asked_at: float

    def say(self, outcome: Outcome) -> None:
        tell, self.tell = self.tell, None
        if tell is None:
            return
        try:
            tell(outcome)
        except Exception:
            # Whatever is wrong with one asker's ear, the others hear theirs.
            log.exception("outcome_not_heard", reservation_id=self.ask.reservation_id)


class BatchingDecider:
    """
    Decides many asks at once.

    A pass takes at most `batch_max` asks and begins as soon as one of `lanes` is free, beside a crowd once it is one
    itself: the busier the store, the more are in each. `limit` is told of every pass. Whoever has waited
    `wait_max_seconds` is told that nobody knows, and is not begun any more.
    """

    def __init__(
        self, passes: Passes, gate: Gate, limit: Limit, *, batch_max: int, lanes: int, wait_max_seconds: float
    ) -> None:
        self._decider = passes
        self._gate = gate
        self._limit = limit
        self._batch_max = batch_max
        self._lanes_free = lanes
        self._wait_max_seconds = wait_max_seconds
        self._waiting: dict[str, _Asked] = {}
        self._behind: dict[str, deque[_Asked]] = {}
        self._deciding: dict[str, _Asked] = {}
        self._running: set[asyncio.Task[None]] = set()
        self._patience: asyncio.TimerHandle | None = None
        self._beginning: asyncio.Handle | None = None
        self.underway = 0
        """How many asks wait for their outcome."""

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
        answer: asyncio.Future[Decision] = asyncio.get_running_loop().create_future()
        self.ask(ask, partial(_answer, answer))
        return answer

    def ask(self, ask: Ask, tell: TellOutcome) -> None:
        """
        The same for one who is told: later, and once.
        """
        loop = asyncio.get_running_loop()
        asked = _Asked(ask, tell, loop.time())
        self.underway += 1
        if ask.account_id in self._waiting or ask.account_id in self._deciding:
            self._behind.setdefault(ask.account_id, deque()).append(asked)
        else:
            self._waiting[ask.account_id] = asked
            self._set_off()
        if self._patience is None:
            self._patience = loop.call_at(asked.asked_at + self._wait_max_seconds, self._lose_patience)

    async def settle(self) -> None:
        """
        Wait for what is under way; after a while leave it to the replies that will not come.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + DRAIN_SECONDS
        while self.underway and loop.time() < until:
            if self._running:
                await asyncio.wait(self._running, timeout=until - loop.time())
            else:
                await asyncio.sleep(_LOOK_AGAIN_SECONDS)

    def _set_off(self) -> None:
        """
        Begin the next pass if anybody waits and a lane is free: when this turn of the loop is over, or a crowd at once.
        """
        if self._beginning is None and self._waiting and self._lanes_free:
            if len(self._deciding) >= CROWD > len(self._waiting):
                return
            # Its batch is taken when it begins, so that all who ask in this turn are in it.
            self._lanes_free -= 1
            self._beginning = asyncio.get_running_loop().call_soon(self._begin)
        if self._beginning is not None and len(self._waiting) >= max(CROWD, len(self._deciding)):
            self._beginning.cancel()
            self._begin()

    def _begin(self) -> None:
        self._beginning = None
        batch = self._take()
        decided = self._decide(self._in_time(batch))
        # In a context of its own: what the first asker's request has bound to it is not the others'.
        task = asyncio.create_task(self._pass(batch, decided), context=contextvars.Context())
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        self._set_off()

    def _take(self) -> list[_Asked]:
        batch = [self._waiting.pop(account_id) for account_id in list(islice(self._waiting, self._batch_max))]
        for asked in batch:
            self._deciding[asked.ask.account_id] = asked
        return batch

    def _release(self, batch: list[_Asked]) -> None:
        """
        Whoever stands behind one of these may be in the next pass.
        """
        self.underway -= len(batch)
        for asked in batch:
            account_id = asked.ask.account_id
            del self._deciding[account_id]
            behind = self._behind.get(account_id)
            if behind is not None:
                self._waiting[account_id] = behind.popleft()
                if not behind:
                    del self._behind[account_id]

    def _lose_patience(self) -> None:
        """
        Tell those who have waited too long that nobody knows. What has begun goes on without them.
        """
        loop = asyncio.get_running_loop()
        since = loop.time() - self._wait_max_seconds
        lines = (self._deciding.values(), self._waiting.values(), *self._behind.values())
        untold = [asked for asked in chain.from_iterable(lines) if asked.tell is not None]
        oldest = min((asked.asked_at for asked in untold if asked.asked_at > since), default=None)
        self._patience = None
        if oldest is not None:
            self._patience = loop.call_at(oldest + self._wait_max_seconds, self._lose_patience)
        for asked in untold:
            if asked.asked_at <= since:
                asked.say(Retryable(f"no answer within {self._wait_max_seconds:g} s"))

    async def _pass(self, batch: list[_Asked], decided: Awaitable[None]) -> None:
        try:
            await decided
        except Exception as error:
            for asked in batch:
                asked.say(Retryable(f"the pass broke off: {error!r}"))
            log.exception("pass_broke_off")
        except BaseException:
            # Torn down from outside, with its process.
            for asked in (*batch, *self._waiting.values()):
                asked.say(Retryable("the process is going down"))
            raise
        finally:
            self._lanes_free += 1
            self._release(batch)
            self._set_off()

    def _in_time(self, batch: list[_Asked]) -> list[_Asked]:
        since = asyncio.get_running_loop().time() - self._wait_max_seconds
        if min(asked.asked_at for asked in batch) >= since:
            return batch
        for asked in batch:
            if asked.asked_at < since:
                metrics.decided["unknown"].inc()
                asked.say(Retryable(f"no turn within {self._wait_max_seconds:g} s, nothing was asked"))
        return [asked for asked in batch if asked.asked_at >= since]

    def _decide(self, batch: list[_Asked]) -> Awaitable[None]:
        """
        Ask the store; it has been asked when this returns, if it can be at once.
        """
        if not batch:
            return _nothing()
        metrics.batch_asks.observe(len(batch))
        sent_at, sent_at_monotonic = asyncio.get_running_loop().time(), time.monotonic()
        self._limit.pass_begins(sent_at)
        try:
            decided = self._decider.decide([asked.ask for asked in batch])
        except Exception as error:  # noqa: BLE001  # raised where it is awaited
            decided = _raised(error)
        return self._tell(batch, decided, sent_at, sent_at_monotonic)

    async def _tell(
        self, batch: list[_Asked], decided: Awaitable[Decided], sent_at: float, sent_at_monotonic: float
    ) -> None:
        loop, known = asyncio.get_running_loop(), False
        try:
            outcomes, sold_out = await decided
            known = not all(isinstance(outcome, Exception) for outcome in outcomes)
        finally:
            back_at, youngest_asked_at = loop.time(), max(asked.asked_at for asked in batch)
            self._limit.pass_ends(back_at, asks=len(batch), youngest_asked_at=youngest_asked_at, known=known)
        metrics.decide_seconds.observe(back_at - sent_at)
        for slot in sold_out:
            # What sold out together is not asked about again together.
            until = sent_at_monotonic + slot.for_seconds * random.uniform(GATE_SHARE_MIN, 1)  # noqa: S311 - no secret
            self._gate.close(slot.slot_id, slot.offered, slot.takers, until=until)
        for asked, outcome in zip(batch, outcomes, strict=True):
            asked.say(outcome)
        _count(batch, outcomes)


def _answer(answer: asyncio.Future[Decision], outcome: Outcome) -> None:
    if answer.done():
        return
    if isinstance(outcome, Exception):
        answer.set_exception(outcome)
    else:
        answer.set_result(outcome)


async def _nothing() -> None:
    """
    Nobody was in time.
    """


async def _raised(error: Exception) -> Decided:
    raise error


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
