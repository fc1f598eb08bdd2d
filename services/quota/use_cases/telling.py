"""
The relay: every decision of the streams is told to Kafka, and kept until booking has recorded it.

Called by wiring as the one task of `quota-relay`; `note_recorded` is its consumer of
booking's watermarks. Each partition is told in order, without a gap, starting no later than
the first decision not recorded, so readers recognise repeats by seq and two relays at once
only waste work. It tells again from the watermark when the cluster is another one, or when
the watermark stands still behind what was told: then something got lost on the way.
"""

import asyncio
import dataclasses
from collections.abc import Iterable, Sequence

from contracts.envelope import Envelope, seal
from contracts.events import BookingWatermark
from kernel.errors import Retryable
from kernel.kafka.message import Message
from kernel.kafka.producer import Producer, cluster_id
from kernel.log import get_logger
from kernel.settings import KafkaSettings
from services.quota import metrics
from services.quota.domain.facts import event_id, event_of
from services.quota.stores.outbox import START, Entry, Outbox, Position

log = get_logger(__name__)
IDLE_SECONDS = 0.025
RETRY_SECONDS = 0.5
CLUSTER_CHECK_SECONDS = 5.0
GAUGES_SECONDS = 1.0
PATIENCE_SECONDS = 5.0
PATIENCE_SECONDS_MAX = 60.0


@dataclasses.dataclass(slots=True)
class _Standing:
    """
    How far a partition has been told and recorded, and for how long nothing has moved.
    """

    told: Position = START
    recorded: Position = START
    trimmed: Position = START
    still_since: float = 0.0
    patience_seconds: float = PATIENCE_SECONDS


class Relay:
    """
    Tells all partitions.
    """

    def __init__(self, outbox: Outbox, producer: Producer, settings: KafkaSettings, *, partitions: int) -> None:
        self._outbox = outbox
        self._producer = producer
        self._settings = settings
        self._standing = {partition: _Standing() for partition in range(partitions)}
        self._foreign: set[int] = set()
        self._cluster: str | None = None
        self._cluster_asked_at: float | None = None
        self._gauges_at: float | None = None
        self.telling = False
        """Whether the last turn reached both Valkey and Kafka."""

    async def run(self) -> None:
        """
        For ever. Trouble is logged and tried again; nothing is skipped.
        """
        while True:
            try:
                told = await self.turn()
            except Retryable as error:
                self.telling = False
                log.warning("relay_waits", error=str(error))
                await asyncio.sleep(RETRY_SECONDS)
                continue
            self.telling = True
            if not told:
                await asyncio.sleep(IDLE_SECONDS)

    async def turn(self) -> int:
        """
        Tell what is new, let go of what is recorded. Returns how many decisions were told.
        """
        now = asyncio.get_running_loop().time()
        await self._greet_cluster(now)
        told = await self._tell()
        await self._let_go()
        await self._look_again_at_foreign()
        self._tell_again_where_stuck(now)
        await self._show(now)
        return told

    async def note_recorded(self, envelopes: Sequence[Envelope]) -> None:
        """
        Booking says how far it has recorded.
        """
        for envelope in envelopes:
            event = envelope.event
            if not isinstance(event, BookingWatermark):
                continue
            standing = self._standing.get(event.partition)
            if standing is None:
                log.error("watermark_of_no_partition", partition=event.partition)
                continue
            position = Position(event.epoch, event.seq)
            if position > standing.recorded:
                standing.recorded = position
                standing.still_since = asyncio.get_running_loop().time()
                standing.patience_seconds = PATIENCE_SECONDS

    async def _tell(self) -> int:
        positions = {
            partition: standing.told for partition, standing in self._standing.items() if partition not in self._foreign
        }
        entries = await self._outbox.after(positions)
        await self._producer.publish([_message(entry) for entry in entries])
        for entry in entries:
            self._standing[entry.partition].told = entry.position
        metrics.relay_published.inc(len(entries))
        return len(entries)

    async def _let_go(self) -> None:
        moved = [
            partition
            for partition, standing in self._standing.items()
            if standing.recorded > standing.trimmed and partition not in self._foreign
        ]
        if not moved:
            return
        ends = await self._outbox.ends(moved)
        for partition in moved:
            if ends[partition] < self._standing[partition].recorded:
                await self._refuse_history(partition, ends[partition])
        ours = {partition: self._standing[partition].recorded for partition in moved if partition not in self._foreign}
        await self._outbox.trim(ours)
        for partition, recorded in ours.items():
            standing = self._standing[partition]
            standing.trimmed = recorded
            standing.told = max(standing.told, recorded)

    async def _look_again_at_foreign(self) -> None:
        """
        A partition that was rebuilt has a newer epoch than any that booking has recorded: it is told again.
        """
        for partition, end in (await self._outbox.ends(sorted(self._foreign))).items():
            if end >= self._standing[partition].recorded:
                log.warning("partition_told_again_after_rebuild", partition=partition, end=end)
                self._foreign.discard(partition)

    async def _refuse_history(self, partition: int, end: Position) -> None:
        """
        Booking has recorded what this Valkey has never decided: trimming would throw new decisions away.
        """
        recorded = self._standing[partition].recorded
        log.error("valkey_behind_booking", partition=partition, decided=end, recorded=recorded)
        await self._outbox.stop_selling(partition)
        self._foreign.add(partition)

    async def _greet_cluster(self, now: float) -> None:
        if self._cluster_asked_at is not None and now - self._cluster_asked_at < CLUSTER_CHECK_SECONDS:
            return
        current = await cluster_id(self._settings)
        self._cluster_asked_at = now
        if self._cluster is not None and self._cluster != current:
            log.warning("relay_tells_again", why="another cluster", before=self._cluster, now=current)
            self._tell_again(self._standing.values(), why="cluster", now=now)
        self._cluster = current

    def _tell_again_where_stuck(self, now: float) -> None:
        stuck = []
        for standing in self._standing.values():
            if standing.told <= standing.recorded:
                standing.still_since = now
                standing.patience_seconds = PATIENCE_SECONDS
            elif now - standing.still_since > standing.patience_seconds:
                standing.patience_seconds = min(standing.patience_seconds * 2, PATIENCE_SECONDS_MAX)
                stuck.append(standing)
        if stuck:
            log.warning("relay_tells_again", why="watermark stands still", partitions=len(stuck))
            self._tell_again(stuck, why="stuck", now=now)

    def _tell_again(self, standings: Iterable[_Standing], *, why: str, now: float) -> None:
        for standing in standings:
            metrics.relay_again.labels(why).inc()
            standing.told = standing.recorded
            standing.still_since = now

    async def _show(self, now: float) -> None:
        if self._gauges_at is not None and now - self._gauges_at < GAUGES_SECONDS:
            return
        self._gauges_at = now
        metrics.stream_entries.set(sum((await self._outbox.lengths()).values()))
        ends = await self._outbox.ends(list(self._standing))
        metrics.relay_lag.set(
            sum(
                end.seq - standing.told.seq if end.epoch == standing.told.epoch else end.seq
                for end, standing in zip(ends.values(), self._standing.values(), strict=True)
            )
        )


def _message(entry: Entry) -> Message:
    epoch, seq = entry.position
    return seal(
        event_of(entry.partition, epoch, seq, entry.fields),
        event_id=event_id(entry.partition, epoch, seq),
        key=str(entry.partition),
        source="quota",
        partition=entry.partition,
    )
