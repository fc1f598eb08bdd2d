"""
The decide step for a crowd: asks that meet in one pass of the event loop go to Valkey in one write per step.

Called by `use_cases.reservations` only, once per request; what has begun is seen through
whatever becomes of its asker. An account keeps to one lane and is in a batch once, so
that two asks of one account are decided one after the other. Without an answer exactly
the asks of that write are `Retryable`, and nothing is compensated: the same ask comes
back with the same id, or the sweep finds the claim.
"""

import asyncio
import contextvars
import dataclasses
from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, NamedTuple, TypeVar

from kernel.errors import Retryable
from kernel.log import get_logger
from services.quota import metrics
from services.quota.domain.decisions import Ask, Decision, Refusal, Refused
from services.quota.keys import Keys
from services.quota.stores.steps import Claimed, claim_call, claimed_of, decision_of, reserve_call, unclaim_call
from services.quota.stores.valkey import ScriptCall, Valkey

T = TypeVar("T")
log = get_logger(__name__)


@dataclasses.dataclass(slots=True, eq=False, kw_only=True)
class _Asked:
    """
    An ask with the answer its asker waits for.
    """

    ask: Ask
    claim: ScriptCall
    answer: asyncio.Future[Decision]
    asked_at: float

    def say(self, decision: Decision) -> None:
        if not self.answer.done():
            self.answer.set_result(decision)

    def fail(self, error: BaseException) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)


class _Granted(NamedTuple):
    asked: _Asked
    claimed: Claimed


class _Refused(NamedTuple):
    asked: _Asked
    claimed: Claimed
    refused: Refused


class BatchingDecider:
    """
    Decides many asks at once, in three short writes at most.

    A pass takes at most `batch_max` asks; whoever has waited `wait_max_seconds` for a pass is
    turned away before anything is asked for him. Each of `lanes` has one pass under way.
    """

    def __init__(self, valkey: Valkey, keys: Keys, *, batch_max: int, lanes: int, wait_max_seconds: float) -> None:
        self._keys = keys
        self._lanes = [
            _Lane(valkey, keys, batch_max=batch_max, wait_max_seconds=wait_max_seconds) for _ in range(lanes)
        ]

    async def decide(self, ask: Ask) -> Decision:
        """
        Places, or why not. Asking again with the same id changes nothing.
        """
        loop = asyncio.get_running_loop()
        # The call is built here, so that an ask that cannot be spelled fails alone and before it joins others.
        asked = _Asked(ask=ask, claim=claim_call(self._keys, ask), answer=loop.create_future(), asked_at=loop.time())
        self._lanes[self._keys.account_tag(ask.account_id) % len(self._lanes)].enter(asked)
        return await asked.answer


class _Lane:
    """
    One pass after the other, as long as somebody waits.
    """

    def __init__(self, valkey: Valkey, keys: Keys, *, batch_max: int, wait_max_seconds: float) -> None:
        self._valkey = valkey
        self._keys = keys
        self._batch_max = batch_max
        self._wait_max_seconds = wait_max_seconds
        self._waiting: dict[str, deque[_Asked]] = {}
        self._passes: asyncio.Task[None] | None = None

    def enter(self, asked: _Asked) -> None:
        """
        Be in the next pass, after whoever came before. It begins when this turn of the loop is over.
        """
        self._waiting.setdefault(asked.ask.account_id, deque()).append(asked)
        if self._passes is None:
            # In a context of its own: what the first asker's request has bound to it is not the others'.
            self._passes = asyncio.create_task(self._run(), context=contextvars.Context())

    async def _run(self) -> None:
        try:
            while self._waiting:
                await self._pass(self._take())
        finally:
            # Somebody is left only if the pass was torn down from outside, with its process.
            self._passes = None
            for asked in self._left():
                asked.fail(Retryable("the process is going down"))

    def _take(self) -> list[_Asked]:
        batch = []
        for account_id in list(islice(self._waiting, self._batch_max)):
            of_account = self._waiting.pop(account_id)
            batch.append(of_account.popleft())
            if of_account:
                self._waiting[account_id] = of_account  # at the end: everybody else comes first
        return batch

    def _left(self) -> Iterator[_Asked]:
        while self._waiting:
            yield from self._take()

    async def _pass(self, batch: list[_Asked]) -> None:
        try:
            await self._decide(self._in_time(batch))
        except BaseException as error:
            for asked in batch:
                asked.fail(Retryable(f"the pass broke off: {error!r}"))
            if not isinstance(error, Exception):
                raise
            log.exception("pass_broke_off")

    def _in_time(self, batch: list[_Asked]) -> list[_Asked]:
        since = asyncio.get_running_loop().time() - self._wait_max_seconds
        for asked in batch:
            if asked.asked_at < since:
                asked.fail(Retryable(f"no turn within {self._wait_max_seconds} s, nothing was asked"))
        return [asked for asked in batch if asked.asked_at >= since]

    async def _decide(self, batch: list[_Asked]) -> None:
        metrics.batch_asks.observe(len(batch))
        refused = await self._reserve(await self._claim(batch))
        await self._unclaim(refused)
        for one in refused:
            one.asked.say(one.refused)

    async def _claim(self, batch: list[_Asked]) -> list[_Granted]:
        """
        Those whose claim was granted. The others have their answer.
        """
        granted = []
        replies = await self._valkey.run_each([asked.claim for asked in batch])
        for asked, reply in zip(batch, replies, strict=True):
            claimed = _read(asked, reply, claimed_of)
            if isinstance(claimed, Refused):
                asked.say(claimed)
            elif claimed is not None:
                granted.append(_Granted(asked, claimed))
        return granted

    async def _reserve(self, granted: list[_Granted]) -> list[_Refused]:
        """
        Those who were refused: they hear it when their claim is back. The others have their answer.
        """
        refused = []
        calls = [reserve_call(self._keys, asked.ask, claimed) for asked, claimed in granted]
        for (asked, claimed), reply in zip(granted, await self._valkey.run_each(calls), strict=True):
            decision = _read(asked, reply, decision_of)
            if isinstance(decision, Refused):
                refused.append(_Refused(asked, claimed, decision))
            elif decision is not None:
                asked.say(decision)
        return refused

    async def _unclaim(self, refused: list[_Refused]) -> None:
        calls = [
            unclaim_call(self._keys, one.asked.ask, one.claimed, ended=one.refused.why is Refusal.ENDED)
            for one in refused
        ]
        for one, reply in zip(refused, await self._valkey.run_each(calls), strict=True):
            if isinstance(reply, Exception):
                # The refusal stands whatever became of this call; a claim left over is the sweep's.
                log.warning("claim_left_to_the_sweep", reservation_id=one.asked.ask.reservation_id, error=str(reply))


def _read(asked: _Asked, reply: Any, meaning: Callable[[Any], T]) -> T | None:
    """
    What the reply means; None when it was an error, which then is this asker's alone.
    """
    try:
        if isinstance(reply, Exception):
            raise reply
        return meaning(reply)
    except Exception as error:  # noqa: BLE001 - raised again where the asker waits
        asked.fail(error)
        return None
