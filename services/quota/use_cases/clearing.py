"""
Clearing: a Valkey that has started, been promoted or been replaced sells nothing until its history is compared.

Called by wiring as a task of `quota-relay`; `note_recorded` is fed with booking's watermarks. What
is known elsewhere is the newest of three: what booking has recorded, what Kafka was told, and
what this process itself has seen decided. A partition that has all of it is cleared; one that
has not is stopped and waits for its rebuild. Any number of relays may do this at once. Never
clears what it could not compare: without booking's word or without Kafka everything waits.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

from contracts.envelope import Envelope, Malformed, unseal
from contracts.events import BookingWatermark, QuotaEvent
from contracts.topics import QUOTA_EVENTS
from kernel.errors import Retryable
from kernel.kafka.tail import newest
from kernel.log import get_logger
from kernel.settings import KafkaSettings
from services.quota import metrics
from services.quota.stores.histories import Histories, Standing
from services.quota.stores.outbox import START, Position
from services.quota.stores.scripts import ClearCode

log = get_logger(__name__)
LOOK_SECONDS: Final = 0.25
WAITS_SAID_EVERY_SECONDS: Final = 5.0
TOLD_EACH_MAX: Final = 200
"""As many as a turn of the relay tells: a relay that repeats itself does not hide the newest behind them."""


class Clearing:
    """
    Compares and clears all partitions.
    """

    def __init__(self, histories: Histories, settings: KafkaSettings, *, partitions: int) -> None:
        self._histories = histories
        self._settings = settings
        self._partitions = partitions
        self._recorded: dict[int, Position] = {}
        self._seen: dict[int, Position] = {}
        self._said_at = -WAITS_SAID_EVERY_SECONDS

    async def run(self) -> None:
        """
        For ever. While Valkey or Kafka does not answer, nothing is cleared.
        """
        while True:
            try:
                await self.turn()
            except Retryable as error:
                self._say("clearing_waits", error=str(error))
            await asyncio.sleep(LOOK_SECONDS)

    async def note_recorded(self, envelopes: Sequence[Envelope]) -> None:
        """
        Booking says how far it has recorded; that nothing of a partition is recorded is a word as well.
        """
        for envelope in envelopes:
            event = envelope.event
            if isinstance(event, BookingWatermark) and event.partition < self._partitions:
                known = self._recorded.get(event.partition, START)
                self._recorded[event.partition] = max(known, Position(event.epoch, event.seq))

    async def turn(self) -> None:
        """
        Look once; compare where there is something to compare.
        """
        standings = await self._histories.look()
        waiting = [partition for partition, standing in standings.items() if standing.code is ClearCode.UNCLEARED]
        if waiting:
            waiting = await self._compare(waiting)
        self._remember(standings, waiting)
        stopped = [partition for partition, standing in standings.items() if standing.code is ClearCode.STOPPED]
        metrics.partitions_closed.labels("stopped").set(len(stopped))
        metrics.partitions_closed.labels("not_compared").set(len(waiting))

    async def _compare(self, waiting: list[int]) -> list[int]:
        """
        Clear or stop these. Returns those that cannot be compared yet.
        """
        unheard = [partition for partition in waiting if partition not in self._recorded]
        if unheard:
            self._say("clearing_waits", error=f"booking has not said how far {len(unheard)} partitions are recorded")
            return waiting
        known = await self._known(waiting)
        for partition, standing in (await self._histories.clear(known)).items():
            if standing.code is ClearCode.BEHIND:
                log.error("valkey_behind", partition=partition, decided=standing.end, known=known[partition])
        log.info("histories_compared", partitions=len(waiting))
        return []

    async def _known(self, partitions: Sequence[int]) -> dict[int, Position]:
        told = await told_last(self._settings, self._partitions)
        return {
            partition: max(self._recorded[partition], self._seen.get(partition, START), told.get(partition, START))
            for partition in partitions
        }

    def _remember(self, standings: Mapping[int, Standing], waiting: Sequence[int]) -> None:
        for partition, standing in standings.items():
            if standing.code is ClearCode.CLEARED and partition not in waiting:
                self._seen[partition] = max(standing.end, self._seen.get(partition, START))

    def _say(self, what: str, **facts: str) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._said_at >= WAITS_SAID_EVERY_SECONDS:
            self._said_at = now
            log.warning(what, **facts)


async def told_last(settings: KafkaSettings, partitions: int) -> dict[int, Position]:
    """
    The newest decision of each partition that Kafka keeps.
    """
    last: dict[int, Position] = {}
    for told in await newest(settings, QUOTA_EVENTS.name, partitions=partitions, each_max=TOLD_EACH_MAX):
        try:
            event = unseal(told.headers, told.body).event
        except Malformed as error:
            log.warning("no_event_of_ours", error=str(error))
            continue
        if isinstance(event, QuotaEvent):
            last[event.partition] = max(Position(event.epoch, event.seq), last.get(event.partition, START))
    return last
