"""
What a worker knows by heart: every slot's plan, the deciding server's time, and whether it may sell.

Loaded at boot and kept fresh by one pipelined call every half second, which brings only
what has changed since. Called by use cases. Never decides: a plan here may be half a
second old, and the scripts look at the plan themselves.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec

from contracts.events import SlotPlanned
from kernel.clock import NowMs
from kernel.errors import Retryable
from kernel.log import get_logger
from services.quota import metrics
from services.quota.keys import Keys
from services.quota.stores.histories import Greeter
from services.quota.stores.outbox import position_of
from services.quota.stores.valkey import Command, Valkey, ms_of, number_of, scored

log = get_logger(__name__)
POLL_SECONDS = 0.5
CHANGES_PER_POLL_MAX = 500
"""Per partition; what is beyond it comes with the next call, at once."""
SLOTS_MAX = 500_000
"""Years of the whole country. More than that is a fault, and is said."""

_IN_ORDER = ("BYSCORE", "LIMIT", 0, CHANGES_PER_POLL_MAX, "WITHSCORES")
_plan = msgspec.json.Decoder(SlotPlanned)
_History = tuple[int, int]


class Catalogue:
    """
    Plans by slot and by office.
    """

    def __init__(self, valkey: Valkey, keys: Keys, now_ms: NowMs, greeter: Greeter | None = None) -> None:
        """
        With a greeter, a partition whose mark is not of a server that was greeted counts as stopped.
        """
        self._greeter = greeter
        self._valkey = valkey
        self._keys = keys
        self._local_now_ms = now_ms
        self._ahead_ms = 0
        self._slots: dict[str, SlotPlanned] = {}
        self._offices: dict[str, dict[str, SlotPlanned]] = {}
        self._seen: dict[int, _History] = {}
        self._doubtful: dict[int, set[str]] = {}
        self.revision = 0
        """Another number whenever a plan is learnt or forgotten."""
        self.stopped: frozenset[int] = frozenset()
        """Partitions that sell nothing."""

    def now_ms(self) -> int:
        """
        The deciding server's time, as of the last look.
        """
        return self._local_now_ms() + self._ahead_ms

    @property
    def empty(self) -> bool:
        """
        No plan is known at all, or none that Valkey may sell from: nothing to sell, and nothing to say about it.
        """
        return not self._slots or (self._greeter is not None and self._greeter.refuses)

    @property
    def slots(self) -> Mapping[str, SlotPlanned]:
        """
        Every plan by slot id.
        """
        return self._slots

    @property
    def offices(self) -> Mapping[str, Mapping[str, SlotPlanned]]:
        """
        Every plan by office and slot id.
        """
        return self._offices

    async def keep_fresh(self) -> None:
        """
        Look for changes for ever. While Valkey is away what is known stays known.
        """
        while True:
            try:
                while await self.refresh():
                    continue
            except Retryable as error:
                log.warning("catalogue_waits", error=str(error))
                if self.empty:
                    metrics.ready.set(0)
            await asyncio.sleep(POLL_SECONDS)

    async def load(self) -> None:
        """
        Learn everything. Raises `Retryable` while Valkey does not answer.
        """
        while await self.refresh():
            continue

    async def refresh(self) -> bool:
        """
        Learn what has changed. True if there is more.
        """
        partitions = range(self._keys.partitions)
        own = self._keys.position, self._keys.revision, self._keys.stopped, self._keys.cleared
        asked: list[Command] = [("TIME",)]
        for partition in partitions:
            after = self._seen.get(partition, (0, 0))[1]
            asked.append(("MGET", *(spell(partition) for spell in own)))
            asked.append(
                (*("ZRANGE", self._keys.plans(partition), f"({after}", "+inf"), *_IN_ORDER),
            )
        before_ms = self._local_now_ms()
        replies = await self._valkey.many(asked)
        self._set_clock(replies[0], before_ms)
        more = False
        stopped = set()
        for partition, state, changes in zip(partitions, replies[1::2], replies[2::2], strict=True):
            epoch, newest = position_of(state[0]).epoch, number_of(state[1])
            if state[2] is not None or not (self._greeter is None or self._greeter.knows(state[3])):
                stopped.add(partition)
            if self._is_another_history(partition, epoch, newest):
                self._doubt(partition)
                more = True
                continue
            reached = await self._learn(partition, changes)
            self._seen[partition] = (epoch, max(reached, self._seen.get(partition, (0, 0))[1]))
            if self._seen[partition][1] < newest:
                more = True
            else:
                self._forget_doubtful(partition)
        self.stopped = frozenset(stopped)
        metrics.ready.set(0 if self.empty or stopped else 1)
        return more

    def _set_clock(self, time: Any, before_ms: int) -> None:
        self._ahead_ms = ms_of(time) - (before_ms + self._local_now_ms()) // 2

    def _is_another_history(self, partition: int, epoch: int, newest: int) -> bool:
        seen = self._seen.get(partition)
        return seen is not None and (seen[0] not in (0, epoch) or newest < seen[1])

    def _doubt(self, partition: int) -> None:
        """
        Learn a partition anew. What was known stands until then: a rebuild leaves no moment without plans.
        """
        del self._seen[partition]
        self._doubtful[partition] = {one for one in self._slots if self._keys.partition_of(one) == partition}

    def _forget_doubtful(self, partition: int) -> None:
        for slot_id in self._doubtful.pop(partition, ()):
            self.revision += 1
            plan = self._slots.pop(slot_id)
            office = self._offices[plan.office_id]
            del office[slot_id]
            if not office:
                del self._offices[plan.office_id]

    async def _learn(self, partition: int, changes: list[Any]) -> int:
        changed = scored(changes)
        if not changed:
            return 0
        plans = await self._valkey.many([("HGET", self._keys.slot(slot_id), "plan") for slot_id, _ in changed])
        for (slot_id, _), raw in zip(changed, plans, strict=True):
            if raw is None:
                log.error("plan_missing", slot_id=slot_id, partition=partition)
                continue
            if slot_id not in self._slots and len(self._slots) >= SLOTS_MAX:
                log.error("catalogue_full", slots=len(self._slots))
                break
            plan = _plan.decode(raw)
            self.revision += 1
            self._doubtful.get(partition, set()).discard(slot_id)
            self._slots[slot_id] = plan
            self._offices.setdefault(plan.office_id, {})[slot_id] = plan
        return changed[-1][1]
