"""
A snapshot of booking, line by line, as what Valkey has to hold: pure, and quick enough for a million bookings.

Called by the restoring use case. `Plan` collects: holds and claims come out as keys and bytes
the moment their line is read, slots are counted until the end. Raises `ValueError` for a line
booking has not written.
"""

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import msgspec

from contracts.events import SlotPlanned
from services.quota.domain.records import HoldRecord, packed

END: Final = "end"
RELEASED: Final = "released"
CONFIRMED: Final = "confirmed"
HELD: Final = "held"
_FIELDS: Final = 10
_plan = msgspec.json.Decoder(SlotPlanned)


Batch = list[str | bytes]
"""Keys and what has to stand there, in turn."""


@dataclasses.dataclass(slots=True)
class Tally:
    """
    A slot as its bookings add up.
    """

    slot_id: str
    partition: int
    hold_prefix: str
    plan: SlotPlanned | None = None
    held: int = 0
    confirmed: int = 0
    used: set[int] = dataclasses.field(default_factory=set)
    takers: list[str] = dataclasses.field(default_factory=list)

    @property
    def next_seat(self) -> int:
        """
        The first number nobody has.
        """
        return max(self.used, default=0) + 1

    @property
    def unused(self) -> list[int]:
        """
        Numbers below it that nobody has either.
        """
        return [seat for seat in range(1, self.next_seat) if seat not in self.used]

    def take(self, seats: Sequence[int], state: str) -> None:
        """
        Count seats in.
        """
        self.used.update(seats)
        if state == HELD:
            self.held += len(seats)
        else:
            self.confirmed += len(seats)


@dataclasses.dataclass(slots=True, kw_only=True)
class Spelling:
    """
    How keys are spelled, from `keys.py`.
    """

    partition_of: Callable[[str], int]
    hold_prefix: Callable[[str], str]
    account_tag: Callable[[str], int]
    claims_prefixes: Sequence[str]


class Restored:
    """
    What a snapshot's lines come to, for some partitions.
    """

    def __init__(self, spelling: Spelling, partitions: Iterable[int]) -> None:
        self._spelling = spelling
        self._claims_prefixes = spelling.claims_prefixes
        self._partitions = frozenset(partitions)
        self._last: dict[str, tuple[int, tuple[str, str, str]]] = {}
        self._skipped: set[str] = set()
        # The same numbers are read again and again.
        self._seats_of: dict[str, tuple[int, ...]] = {}
        self.tallies: dict[str, Tally] = {}
        self.recorded: dict[tuple[int, int], int] = {}
        """How far booking had come in each epoch of a partition."""
        self.asked_back: set[str] = set()
        """Holds whose holder has asked to give them back."""
        self.give_back: list[tuple[str, str, str]] = []
        """Those of them that booking still has as held: reservation, slot, account."""
        self.blocks: dict[str, dict[str, str]] = {}
        """No-show blocks by account: those booking knows, and those Valkey still has."""
        self.claims = 0
        self.bookings = 0
        self.announced_bookings: int | None = None
        """How many booking said there are: None while the end has not come."""

    def epoch_of(self, partition: int) -> int:
        """
        The newest booking knows; 0 where it knows none.
        """
        return max((epoch for known, epoch in self.recorded if known == partition), default=0)

    def read(self, lines: str) -> Batch:
        """
        Take lines in, the last without its end. Returns the holds and the claims they stand for.
        """
        batch: Batch = []
        fields = lines.replace("\n", "\t").split("\t")
        # Nearly always there is nothing but bookings: then every tenth field says so, and no line is taken apart alone.
        kinds = fields[::_FIELDS]
        if len(fields) == _FIELDS * kinds.count("b"):
            self._bookings(fields, batch)
            return batch
        for line in lines.split("\n"):
            fields = line.split("\t")
            if fields[0] == "b" and len(fields) == _FIELDS:
                self._bookings(fields, batch)
            else:
                self._other(fields)
        return batch

    def _bookings(self, fields: list[str], batch: Batch) -> None:
        tallies, tag_of, prefixes = self.tallies, self._spelling.account_tag, self._claims_prefixes
        put, asked_back, seats_of = batch.append, self.asked_back, self._seats_of
        self.bookings += len(fields) // _FIELDS
        rows = zip(*[iter(fields)] * _FIELDS, strict=True)
        for _, reservation_id, account_id, slot_id, joined, persons, state, at, pay_by, keeps_persons in rows:
            tally = tallies.get(slot_id) or self._tally(slot_id)
            if tally is None:
                continue
            seats = seats_of.get(joined)
            if seats is None:
                seats = seats_of[joined] = tuple(map(int, joined.split(",")))
            wants_out = state == HELD and reservation_id in asked_back
            if wants_out:
                self.give_back.append((reservation_id, slot_id, account_id))
            put(tally.hold_prefix + reservation_id)
            put(packed((state, slot_id, account_id, persons.split(","), seats, int(at), int(pay_by), wants_out)))
            tally.takers.append(reservation_id[4:12])
            if state == RELEASED:
                self._ended(account_id, int(at), (reservation_id, "", slot_id))
                continue
            tally.take(seats, state)
            if keeps_persons == "1":
                self.claims += 1
                put(prefixes[tag_of(account_id)] + account_id)
                put(packed(self._claim(account_id, (reservation_id, "", slot_id, 0))))

    def _claim(self, account_id: str, active: tuple[str, str, str, int]) -> dict[str, Any]:
        claim: dict[str, Any] = {"account": active}
        if account_id in self._last:
            claim["last"] = self._last.pop(account_id)[1]
        if account_id in self.blocks:
            claim["persons"] = self.blocks.pop(account_id)
        return claim

    def _ended(self, account_id: str, at_ms: int, claim: tuple[str, str, str]) -> None:
        known = self._last.get(account_id)
        if known is None or known[0] < at_ms:
            self._last[account_id] = (at_ms, claim)

    def left_claims(self) -> Batch:
        """
        Claims of accounts that have nothing active, once everything is read.
        """
        left: dict[str, dict[str, Any]] = {account_id: {"last": last} for account_id, (_, last) in self._last.items()}
        for account_id, persons in self.blocks.items():
            left.setdefault(account_id, {})["persons"] = persons
        batch: Batch = []
        for account_id, claim in left.items():
            batch += self._claims_prefixes[self._spelling.account_tag(account_id)] + account_id, packed(claim)
        return batch

    def _other(self, fields: list[str]) -> None:
        if fields[0] == "s":
            plan = _plan.decode(fields[1])
            tally = self.tallies.get(plan.slot_id) or self._tally(plan.slot_id)
            if tally is not None:
                tally.plan = plan
        elif fields[0] == "n":
            self._block(*fields[1:])
        elif fields[0] == "w":
            partition, epoch, seq = map(int, fields[1:])
            self.recorded[partition, epoch] = seq
        elif fields[0] == END:
            self.announced_bookings = int(fields[1])
        else:
            raise ValueError(f"no line of a snapshot: {fields[0][:40]!r} and {len(fields) - 1} more")

    def _block(self, account_id: str, persons: str, until_ms: str, reservation_id: str) -> None:
        blocks = self.blocks.setdefault(account_id, {})
        for person_id in persons.split(","):
            known = blocks.get(person_id, "").split(":")
            # Where two block a person the longer one stands, as in the script.
            if len(known) == 1 or int(known[1]) < int(until_ms):
                blocks[person_id] = f"block:{until_ms}:{reservation_id}"

    def _tally(self, slot_id: str) -> Tally | None:
        if slot_id in self._skipped:
            return None
        partition = self._spelling.partition_of(slot_id)
        if partition not in self._partitions:
            self._skipped.add(slot_id)
            return None
        tally = Tally(slot_id, partition, self._spelling.hold_prefix(slot_id))
        self.tallies[slot_id] = tally
        return tally

    def honour(self, reservation_id: str, hold: HoldRecord) -> bool:
        """
        Give a hold that booking does not know its places, if nobody has them.
        """
        tally = self.tallies.get(hold.slot_id)
        if tally is None or tally.plan is None or not tally.used.isdisjoint(hold.seats):
            return False
        tally.take(hold.seats, HELD)
        tally.takers.append(reservation_id[4:12])
        return True
