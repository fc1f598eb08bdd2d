"""
Replays quota's events, partition by partition in `seq` order, against a plain model of seats.

Called by `ops.audit.compare`. Independent of the Lua it checks: it only believes what was
announced. A partition whose first events the broker no longer keeps, or that was rebuilt, is
checked from there on, without the comparison at the end.
"""

import collections
from collections.abc import Iterator

from contracts.events import (
    QuotaEvent,
    ReservationConfirmed,
    ReservationHeld,
    ReservationReleased,
    SlotApplied,
)
from ops.audit.evidence import Evidence
from ops.audit.findings import Finding, Kind, Store


def check_events(evidence: Evidence) -> Iterator[Finding]:
    """
    Findings of the replay, and of its end against Valkey and Postgres.
    """
    for partition, told in sorted(evidence.quota_events.items()):
        yield from _check_partition(partition, told, evidence)


def _check_partition(partition: int, told: tuple[QuotaEvent, ...], evidence: Evidence) -> Iterator[Finding]:
    events, contradictions = _in_order(told)
    yield from contradictions
    if not events:
        return
    complete = events[0].seq == 1
    model = Model()
    for before, event in zip([None, *events[:-1]], events, strict=True):
        if before is not None and before.epoch != event.epoch:
            # Rebuilt from what booking had: who holds what is told in booking's words, not repeated here.
            model, complete = Model(), False
        if before is not None and before.epoch == event.epoch and event.seq != before.seq + 1:
            yield _finding(
                Kind.LOST, f"partition {partition}", f"after seq {before.seq} comes {event.seq}: events are missing"
            )
            complete = False
        yield from model.take(event, complete=complete)
        if isinstance(event, ReservationHeld) and event.reservation_id not in evidence.bookings:
            yield _finding(Kind.LOST, event.reservation_id, "announced, and Postgres has no such booking")
    if complete:
        yield from _compare_end(model, events, evidence)


def _in_order(told: tuple[QuotaEvent, ...]) -> tuple[list[QuotaEvent], list[Finding]]:
    first: dict[tuple[int, int], QuotaEvent] = {}
    contradictions = []
    for event in told:
        known = first.setdefault((event.epoch, event.seq), event)
        if known != event:
            contradictions.append(
                _finding(Kind.LOST, event.slot_id, f"two different events are numbered {event.epoch}:{event.seq}")
            )
    return [first[number] for number in sorted(first)], contradictions


class Model:
    """
    Who has which place, as announced.
    """

    def __init__(self) -> None:
        self.seats: dict[str, dict[int, str]] = collections.defaultdict(dict)
        self.holds: dict[str, tuple[str, tuple[int, ...]]] = {}
        self.confirmed: set[str] = set()

    def take(self, event: QuotaEvent, *, complete: bool) -> Iterator[Finding]:
        """
        Apply one event; say what it contradicts.
        """
        if isinstance(event, ReservationHeld):
            yield from self._hold(event)
        elif isinstance(event, ReservationReleased):
            yield from self._release(event, complete=complete)
        elif isinstance(event, ReservationConfirmed):
            self.confirmed.add(event.reservation_id)
        elif isinstance(event, SlotApplied) and event.capacity != (
            event.free + event.held + event.confirmed + event.withheld
        ):
            yield _finding(Kind.UNBALANCED, event.slot_id, f"seq {event.seq} announces counters that do not add up")

    def _hold(self, event: ReservationHeld) -> Iterator[Finding]:
        taken = self.seats[event.slot_id]
        for seat in event.seats:
            if seat in taken:
                yield _finding(
                    Kind.OVERSOLD,
                    f"{event.slot_id}#{seat}",
                    f"announced for {taken[seat]} and, at seq {event.seq}, for {event.reservation_id}",
                )
            taken[seat] = event.reservation_id
        self.holds[event.reservation_id] = (event.slot_id, event.seats)

    def _release(self, event: ReservationReleased, *, complete: bool) -> Iterator[Finding]:
        slot_id, seats = self.holds.pop(event.reservation_id, (event.slot_id, ()))
        if complete and sorted(seats) != sorted(event.seats):
            yield _finding(
                Kind.UNBALANCED, slot_id, f"seq {event.seq} gives back {event.seats}, announced were {seats}"
            )
        for seat in event.seats:
            self.seats[slot_id].pop(seat, None)


def _compare_end(model: Model, events: list[QuotaEvent], evidence: Evidence) -> Iterator[Finding]:
    valkey = evidence.seats_by_slot(evidence.holding())
    for slot_id in sorted({event.slot_id for event in events}):
        announced, held = sorted(model.seats[slot_id]), sorted(valkey.get(slot_id, []))
        if announced != held:
            yield _finding(
                Kind.UNBALANCED, slot_id, f"by the events {len(announced)} places are taken, in Valkey {len(held)}"
            )


def _finding(kind: Kind, subject: str, sentence: str) -> Finding:
    return Finding(kind=kind, store=Store.EVENTS, subject=subject, sentence=sentence)
