"""
Rebuilding: partitions are stopped, written from booking's snapshot, read back, compared, opened in a new epoch.

Called by the `stop` and `restore` commands. Booking's snapshot is the truth about who has which place;
what Valkey holds beyond it was acknowledged to somebody and never recorded, so it is told again
in the new epoch: booking records it where its places are free and names it displaced where
they are not. Doing it again gives the same; broken off and done again as well, because
nothing is thrown away before the partition is opened.
"""

import asyncio
import dataclasses
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from kernel.log import get_logger
from kernel.settings import KafkaSettings
from services.quota.domain.rebuilding import HELD, RELEASED, Batch, Restored, Spelling, Tally
from services.quota.domain.records import ActiveClaim, ClaimsRecord, HoldRecord, claims_record, packed
from services.quota.keys import Keys
from services.quota.stores.histories import Histories
from services.quota.stores.outbox import START, Position
from services.quota.stores.restores import Books, Fact, Restores
from services.quota.stores.scripts import ReopenCode, RestoreSlotsCode
from services.quota.use_cases.clearing import told_last

log = get_logger(__name__)
LOOK_SECONDS: Final = 0.2
SAY_EVERY: Final = 100_000
WRITES_AT_ONCE: Final = 3
"""More than Valkey has in hand, so that neither waits for the other; few, because each is half a megabyte and more."""
MARK: Final = "rebuild:"
ACTIVE: Final = ("held", "confirmed")

Say = Callable[[str], None]


class RebuildRefused(Exception):
    """
    The rebuild cannot go on; the message says why. What is stopped stays stopped.
    """


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Affected:
    """
    A hold somebody was told of and booking has not recorded.
    """

    reservation_id: str
    hold: HoldRecord
    honoured: bool
    """Its places are its own in the new epoch, as far as quota can say."""


@dataclasses.dataclass(slots=True, kw_only=True)
class Report:
    """
    What a rebuild has come to.
    """

    partitions: int
    slots: int = 0
    holds: int = 0
    claims: int = 0
    affected: list[Affected] = dataclasses.field(default_factory=list)
    differences: list[str] = dataclasses.field(default_factory=list)


async def stop(
    restores: Restores,
    histories: Histories,
    kafka: KafkaSettings,
    partitions: Sequence[int],
    *,
    mark: str,
    total: int,
    patience_seconds: float,
) -> dict[int, Position]:
    """
    Stop partitions and let the relay tell what it still can. Returns what booking has to have recorded.
    """
    await restores.stop(partitions, mark)
    give_up_at = asyncio.get_running_loop().time() + patience_seconds
    while True:
        told = await told_last(kafka, total)
        standings = await histories.look()
        # A new epoch in which nothing was decided has nothing to tell.
        untold = [one for one in partitions if standings[one].end.seq and standings[one].end > told.get(one, START)]
        if not untold or asyncio.get_running_loop().time() >= give_up_at:
            # What nobody has told by now is among the holds that are told again in the new epoch.
            return {one: told[one] for one in partitions if one in told}
        await asyncio.sleep(LOOK_SECONDS)


class Restoring:
    """
    One rebuild of some partitions, from a snapshot that has everything Kafka was `told` of them.
    """

    def __init__(
        self,
        restores: Restores,
        keys: Keys,
        partitions: Sequence[int],
        *,
        mark: str,
        told: Mapping[int, Position],
        say: Say,
    ) -> None:
        self._restores = restores
        self._keys = keys
        self._partitions = partitions
        self._whole = len(partitions) == keys.partitions
        self._mark = mark
        self._told = {partition: told[partition] for partition in partitions if partition in told}
        self._say = say
        self._began = time.monotonic()
        self._restored = restored_of(keys, partitions)
        self._there: dict[str, HoldRecord] = {}
        self._accounts_there: list[str] = []

    async def run(self, chunks: AsyncIterator[str]) -> Report:
        """
        Write, read back, and open if everything is as the snapshot says. Raises `RebuildRefused`.
        """
        await self._refuse_strangers()
        await self._look_at_what_is_there()
        await self._load(chunks)
        affected = self._judge()
        await self._write_claims(affected)
        # Neither looks at what the other writes.
        differences, _ = await asyncio.gather(self._restores.differing(), self._write_slots())
        books = await self._restores.books([tally.slot_id for tally in self._planned()])
        differences += [tally.slot_id for tally in self._planned() if not as_counted(tally, books[tally.slot_id])]
        self._tell(f"everything read back, {len(differences)} differences")
        report = Report(
            partitions=len(self._partitions),
            slots=len(self._planned()),
            holds=self._restored.bookings,
            claims=self._restored.claims,
            affected=affected,
            differences=differences,
        )
        if not report.differences:
            await self._open(affected, books)
        return report

    async def _refuse_strangers(self) -> None:
        marks = await self._restores.marks(self._partitions)
        if others := {partition: mark for partition, mark in marks.items() if mark != self._mark}:
            raise RebuildRefused(f"{len(others)} partitions are not stopped for this rebuild: {others}")

    async def _look_at_what_is_there(self) -> None:
        there = await self._restores.holds(self._partitions)
        self._there = {key: hold for key, hold in there.items() if hold.state in ACTIVE}
        self._restored.asked_back = {id_of(key) for key, hold in self._there.items() if hold.give_back_asked}
        if self._whole:
            claims = await self._restores.claims()
            self._accounts_there = list(claims)
            self._restored.blocks = {
                account_id: blocks for account_id, claim in claims.items() if (blocks := _blocks_of(claim.persons))
            }
        self._tell(f"{len(self._there):,} holds are there already")

    async def _load(self, chunks: AsyncIterator[str]) -> None:
        """
        All of the snapshot, or nothing that anybody is still busy with.
        """
        writing: deque[asyncio.Task[None]] = deque()
        try:
            await self._write_each(chunks, writing)
        finally:
            # Where one could not be written nobody waits for the others.
            for task in writing:
                task.cancel()
            await asyncio.gather(*writing, return_exceptions=True)
        if self._restored.announced_bookings != self._restored.bookings:
            raise RebuildRefused(
                f"the snapshot is not whole: {self._restored.bookings} bookings of {self._restored.announced_bookings}"
            )
        self._tell(f"{self._restored.bookings:,} bookings read and written, the snapshot is whole")

    async def _write_each(self, chunks: AsyncIterator[str], writing: deque[asyncio.Task[None]]) -> None:
        """
        While some chunks are on their way to Valkey the next is read.
        """
        said = 0
        async for lines in chunks:
            batch = self._restored.read(lines)
            self._refuse_older()
            if self._there:
                for key in batch[::2]:
                    self._there.pop(str(key), None)
            if len(writing) == WRITES_AT_ONCE:
                await writing.popleft()
            writing.append(asyncio.create_task(self._restores.write(batch)))
            await asyncio.sleep(0)
            if self._restored.bookings - said >= SAY_EVERY:
                said = self._restored.bookings
                self._tell(f"{said:,} bookings read and written")
        while writing:
            await writing.popleft()

    def _refuse_older(self) -> None:
        """
        Places sold after an older snapshot was taken would be sold again. It begins with how far it goes.
        """
        recorded = self._restored.recorded
        missing = {
            partition: at for partition, at in self._told.items() if recorded.get((partition, at.epoch), 0) < at.seq
        }
        if missing:
            raise RebuildRefused(
                f"the snapshot is older than what Kafka was told of {len(missing)} partitions:"
                f" take one with --recorded {spelled(missing)}"
            )

    def _judge(self) -> list[Affected]:
        """
        Holds that booking does not know, oldest first: who keeps his places, and who comes too late.
        """
        unknown = sorted(self._there.items(), key=lambda one: (one[1].at_ms, one[0]))
        return [
            Affected(reservation_id=id_of(key), hold=hold, honoured=self._restored.honour(id_of(key), hold))
            for key, hold in unknown
        ]

    async def _write_claims(self, affected: Sequence[Affected]) -> None:
        if self._whole:
            await self._restores.write(self._restored.left_claims())
        if self._accounts_there:
            written = self._restores.written()
            await self._restores.delete(
                [key for key in map(self._keys.claims, self._accounts_there) if key not in written]
            )
        await self._keep_promises([one for one in affected if one.honoured])

    async def _keep_promises(self, honoured: Sequence[Affected]) -> None:
        """
        Who is honoured has the claim as well, unless the account has another reservation: booking will say.
        """
        there = await self._restores.read({self._keys.claims(one.hold.account_id) for one in honoured})
        batch: Batch = []
        for one in honoured:
            batch += [self._hold_key(one), packed(_again(one.hold, HELD))]
            key = self._keys.claims(one.hold.account_id)
            known = claims_record(there[key] or packed(ClaimsRecord()))
            if known.account is None:
                claim = ActiveClaim(one.reservation_id, "", one.hold.slot_id, 0)
                batch += [key, packed(ClaimsRecord(account=claim, last=known.last, persons=known.persons))]
                self._restored.claims += 1
        await self._restores.write_over(batch)

    async def _write_slots(self) -> None:
        planned = self._planned()
        codes = await self._restores.slots(planned, self._mark)
        wrong = {slot_id: code.name for slot_id, code in codes.items() if code is not RestoreSlotsCode.RESTORED}
        if wrong:
            raise RebuildRefused(f"{len(wrong)} slots could not be put back: {dict(list(wrong.items())[:5])}")
        there = await self._restores.planned(self._partitions)
        unplanned = [slot_id for slot_id in there if slot_id not in self._restored.tallies]
        if unplanned:
            log.warning("slots_of_no_plan_removed", slots=len(unplanned), first=unplanned[0])
            await self._restores.forget_slots(unplanned)
        self._tell(f"{len(planned):,} slots put back")

    def _planned(self) -> list[Tally]:
        return [tally for tally in self._restored.tallies.values() if tally.plan is not None]

    async def _open(self, affected: Sequence[Affected], books: Mapping[str, Books]) -> None:
        facts = self._facts(affected, books)
        for partition in self._partitions:
            code = await self._restores.reopen(
                partition,
                self._mark,
                epoch_known=self._restored.epoch_of(partition),
                facts=facts.get(partition, []),
            )
            if code is not ReopenCode.REOPENED:
                raise RebuildRefused(f"partition {partition} is no longer stopped for this rebuild: another has begun")
        late = [one for one in affected if not one.honoured]
        await self._restores.write_over([part for one in late for part in self._ended(one)])
        self._tell(f"{len(self._partitions)} partitions opened")

    def _facts(self, affected: Sequence[Affected], books: Mapping[str, Books]) -> dict[int, list[Fact]]:
        at_ms = time.time_ns() // 1_000_000
        facts: dict[int, list[Fact]] = {}
        for tally in self._planned():
            facts.setdefault(tally.partition, []).append(_applied(tally, books[tally.slot_id], at_ms))
        for one in affected:
            hold = _again(one.hold, HELD)
            facts.setdefault(self._keys.partition_of(hold.slot_id), []).append(
                ["held", one.reservation_id, "hold", hold]
            )
        for reservation_id, slot_id, account_id in self._asked_back(affected):
            facts.setdefault(self._keys.partition_of(slot_id), []).append(
                [
                    *("type", "give_back_asked", "slot_id", slot_id, "at_ms", str(at_ms)),
                    *("reservation_id", reservation_id, "account_id", account_id),
                ]
            )
        return facts

    def _asked_back(self, affected: Sequence[Affected]) -> Iterable[tuple[str, str, str]]:
        for one in affected:
            if one.hold.give_back_asked:
                yield one.reservation_id, one.hold.slot_id, one.hold.account_id
        yield from self._restored.give_back

    def _ended(self, one: Affected) -> tuple[str, bytes]:
        return self._hold_key(one), packed(_again(one.hold, RELEASED))

    def _hold_key(self, one: Affected) -> str:
        return self._keys.hold(one.hold.slot_id, one.reservation_id)

    def _tell(self, what: str) -> None:
        self._say(f"{time.monotonic() - self._began:7.1f} s  {what}")


def spelled(told: Mapping[int, Position]) -> str:
    """
    As booking's `snapshot` wants to hear what it must have recorded.
    """
    return ",".join(f"{partition}:{at.epoch}:{at.seq}" for partition, at in sorted(told.items()))


def restored_of(keys: Keys, partitions: Sequence[int]) -> Restored:
    """
    A snapshot to be read, spelled as the keys are.
    """
    spelling = Spelling(
        partition_of=keys.partition_of,
        hold_prefix=lambda slot_id: keys.hold(slot_id, ""),
        account_tag=keys.account_tag,
        claims_prefixes=[keys.claims_prefix(tag) for tag in range(keys.partitions)],
    )
    return Restored(spelling, partitions)


def id_of(key: str) -> str:
    """
    The reservation a hold's key is of.
    """
    return key.rpartition(":")[2]


def _blocks_of(persons: Mapping[str, str] | None) -> dict[str, str]:
    return {person_id: word for person_id, word in (persons or {}).items() if word.startswith("block:")}


def _again(hold: HoldRecord, state: str) -> HoldRecord:
    return HoldRecord(
        state=state,
        slot_id=hold.slot_id,
        account_id=hold.account_id,
        person_ids=hold.person_ids,
        seats=hold.seats,
        at_ms=hold.at_ms,
        pay_by_ms=hold.pay_by_ms,
        give_back_asked=hold.give_back_asked,
    )


def as_counted(tally: Tally, books: Books) -> bool:
    """
    Whether a slot's books are what its bookings add up to, and what its seats add up to.
    """
    sums = books["free"] + books["held"] + books["confirmed"] + books["withheld"]
    return (
        (books["held"], books["confirmed"]) == (tally.held, tally.confirmed)
        and books["capacity"] == sums
        and books["free"] == books["returned"] + books["capacity"] - books["next_seat"] + 1
    )


def _applied(tally: Tally, books: Books, at_ms: int) -> list[Any]:
    fact: list[Any] = ["type", "slot_applied", "slot_id", tally.slot_id, "at_ms", str(at_ms)]
    fact += ["version", str(tally.plan.version if tally.plan else 0)]
    for name in ("capacity", "free", "held", "confirmed", "withheld"):
        fact += [name, str(books[name])]
    return fact
