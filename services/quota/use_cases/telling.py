"""
The relay: every decision of the streams is told to Kafka, and kept until booking has recorded it.

Called by wiring as a task of `quota-relay`; `note_recorded` is its consumer of booking's
watermarks. It tells the partitions it has a lease of, and stops when the lease ends. Each is
told in order, without a gap, starting no later than the first decision not recorded, so
readers recognise repeats by seq and what a former holder still had on the way does no harm.
It tells again from the watermark when the cluster is another one, or when the watermark
stands still behind what was told: then something got lost on the way.
"""

import asyncio
import dataclasses
from collections.abc import Iterable, Iterator, Sequence

from contracts.envelope import Envelope, seal
from contracts.events import BookingWatermark
from kernel.errors import Retryable
from kernel.kafka.message import Message
from kernel.kafka.producer import Producer, cluster_id
from kernel.log import get_logger
from kernel.settings import KafkaSettings
from services.quota import metrics
from services.quota.domain.facts import event_id, event_of
from services.quota.stores.leases import Lease
from services.quota.stores.outbox import START, Entry, Outbox, Position
from services.quota.use_cases.leases import Tenure

log = get_logger(__name__)
IDLE_SECONDS = 0.025
GATHER_SECONDS = 0.05
TURN_WORTH = 500
"""After fewer decisions than these the next ones wait for company: a turn costs the same for one and for hundreds."""
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

    lease: Lease | None = None

    told: Position = START
    recorded: Position = START
    trimmed: Position = START
    still_since: float = 0.0
    patience_seconds: float = PATIENCE_SECONDS


class Relay:
    """
    Tells the partitions of its tenure.
    """

    def __init__(
        self, outbox: Outbox, producer: Producer, settings: KafkaSettings, tenure: Tenure, *, partitions: int
    ) -> None:
        self._outbox = outbox
        self._tenure = tenure
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
            if told < TURN_WORTH:
                await asyncio.sleep(GATHER_SECONDS if told else IDLE_SECONDS)

    async def turn(self) -> int:
        """
        Tell what is new, let go of what is recorded. Returns how many decisions were told.
        """
        now = asyncio.get_running_loop().time()
        await self._greet_cluster(now)
        self._take_over(now)
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

    def _take_over(self, now: float) -> None:
        """
        What has newly come is told from where booking has recorded it, whatever this relay knew of it before.
        """
        held = self._tenure.held
        for partition, standing in self._standing.items():
            lease = held.get(partition)
            if standing.lease != lease:
                self._foreign.discard(partition)
                standing.lease, standing.told, standing.trimmed = lease, standing.recorded, START
                standing.still_since, standing.patience_seconds = now, PATIENCE_SECONDS

    def _ours(self) -> Iterator[tuple[int, _Standing]]:
        return ((partition, standing) for partition, standing in self._standing.items() if standing.lease)

    async def _tell(self) -> int:
        positions = {partition: standing.told for partition, standing in self._ours() if partition not in self._foreign}
        entries = await self._outbox.after(positions)
        await self._producer.publish([_message(entry) for entry in entries])
        for entry in entries:
            self._standing[entry.partition].told = entry.position
        metrics.relay_published.inc(len(entries))
        return len(entries)

    async def _let_go(self) -> None:
        held = self._tenure.held
        moved = {
            partition: held[partition]
            for partition, standing in self._ours()
            if standing.recorded > standing.trimmed and partition not in self._foreign and partition in held
        }
        if not moved:
            return
        ends = await self._outbox.ends(list(moved))
        behind = {partition for partition in moved if ends[partition] < self._standing[partition].recorded}
        for partition in behind:
            await self._refuse_history(partition, ends[partition], moved[partition])
        recorded = {partition: self._standing[partition].recorded for partition in moved.keys() - behind}
        stale = await self._outbox.trim(recorded, moved)
        self._tenure.lose(stale)
        for partition in recorded.keys() - set(stale):
            standing = self._standing[partition]
            standing.trimmed = recorded[partition]
            standing.told = max(standing.told, recorded[partition])

    async def _look_again_at_foreign(self) -> None:
        """
        A partition that was rebuilt has a newer epoch than any that booking has recorded: it is told again.
        """
        for partition, end in (await self._outbox.ends(sorted(self._foreign))).items():
            if end >= self._standing[partition].recorded:
                log.warning("partition_told_again_after_rebuild", partition=partition, end=end)
                self._foreign.discard(partition)

    async def _refuse_history(self, partition: int, end: Position, lease: Lease) -> None:
        """
        Booking has recorded what this Valkey has never decided: trimming would throw new decisions away.
        """
        log.error(
            "valkey_behind_booking", partition=partition, decided=end, recorded=self._standing[partition].recorded
        )
        if await self._outbox.stop_selling(partition, lease):
            self._foreign.add(partition)
        else:
            self._tenure.lose([partition])

    async def _greet_cluster(self, now: float) -> None:
        if self._cluster_asked_at is not None and now - self._cluster_asked_at < CLUSTER_CHECK_SECONDS:
            return
        current = await cluster_id(self._settings)
        self._cluster_asked_at = now
        if self._cluster is not None and self._cluster != current:
            log.warning("relay_tells_again", why="another cluster", before=self._cluster, now=current)
            self._tell_again([standing for _, standing in self._ours()], why="cluster", now=now)
        self._cluster = current

    def _tell_again_where_stuck(self, now: float) -> None:
        stuck = []
        for _, standing in self._ours():
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
        ours = dict(self._ours())
        metrics.stream_entries.set(sum((await self._outbox.lengths(list(ours))).values()))
        ends = await self._outbox.ends(list(ours))
        metrics.relay_lag.set(
            sum(
                end.seq - ours[partition].told.seq if end.epoch == ours[partition].told.epoch else end.seq
                for partition, end in ends.items()
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
