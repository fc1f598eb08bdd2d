"""
The parking lot: whatever fails in whatever order, a key's messages keep theirs, and nothing is skipped.
"""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from kernel.kafka.parking import PARKED_MAX, Delivery, ParkingLot, Slot

KEYS = st.sampled_from([b"a", b"b", b"c"])
PARTITIONS = st.sampled_from([0, 1])


def _delivery(key: bytes, partition: int, offset: int) -> Delivery[str]:
    return Delivery(
        slot=Slot("t", partition, key), offset=offset, headers=(), body=b"", event=f"{partition}/{key!r}/{offset}"
    )


class Loop(RuleBasedStateMachine):
    """
    Plays the consumer loop: batches come in, some keys fail, parked ones are tried again.
    """

    @initialize()
    def start(self) -> None:
        """
        An empty lot.
        """
        self.lot: ParkingLot[str] = ParkingLot()
        self.ends = {0: 0, 1: 0}
        self.done: dict[Slot, list[int]] = {}
        self.sent: dict[Slot, list[int]] = {}

    @rule(batch=st.lists(st.tuples(KEYS, PARTITIONS), max_size=8), ill=st.sets(KEYS))
    def deliver(self, batch: list[tuple[bytes, int]], ill: set[bytes]) -> None:
        """
        A batch comes in; ill keys are parked.
        """
        deliveries = []
        for key, partition in batch:
            deliveries.append(_delivery(key, partition, self.ends[partition]))
            self.sent.setdefault(deliveries[-1].slot, []).append(self.ends[partition])
            self.ends[partition] += 1
        for slot, group in self.lot.by_slot(self.lot.admit(deliveries)).items():
            if slot.key in ill:
                self.lot.park(slot, group, due_at=0.0)
            else:
                self._finish(slot, [delivery.offset for delivery in group])

    @rule(fails_after=st.integers(0, 3), wait=st.floats(0, 5), now=st.floats(0, 10))
    def retry(self, fails_after: int, wait: float, now: float) -> None:
        """
        What is due is tried again, and fails again somewhere.
        """
        for slot in self.lot.due(now):
            parked = self.lot.messages(slot)
            self._finish(slot, [parked.pop(0).offset for _ in range(min(fails_after, len(parked)))])
            if parked:
                self.lot.postpone(slot, due_at=now + wait)
            else:
                self.lot.forget(slot)

    def _finish(self, slot: Slot, offsets: list[int]) -> None:
        self.done.setdefault(slot, []).extend(offsets)

    @invariant()
    def order_within_a_key_is_kept(self) -> None:
        """
        Done so far is a prefix of what was sent.
        """
        for slot, offsets in self.done.items():
            assert self.sent[slot][: len(offsets)] == offsets

    @invariant()
    def what_may_be_committed_is_done(self) -> None:
        """
        Everything below the commit offset has been handled.
        """
        for partition, end in self.ends.items():
            committed = self.lot.oldest_offset("t", partition)
            done = {o for slot, offsets in self.done.items() if slot.partition == partition for o in offsets}
            assert set(range(end if committed is None else committed)) <= done

    @invariant()
    def a_partition_with_a_parked_key_is_named(self) -> None:
        """
        The watchdog excuses exactly the partitions where something waits.
        """
        waiting = {slot.partition for slot in self.sent if len(self.sent[slot]) > len(self.done.get(slot, []))}
        assert {("t", partition) for partition in waiting} == self.lot.partitions()


Loop.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


class TestOrderOfKeysIsKept(Loop.TestCase):  # type: ignore[misc,name-defined]
    """
    Hypothesis looks for a sequence of failures that reorders or loses a message.
    """


def test_a_full_lot_stops_fetching() -> None:
    """
    Memory has a limit; beyond it the topic is the better place to wait.
    """
    lot: ParkingLot[str] = ParkingLot()
    lot.park(Slot("t", 0, b"a"), [_delivery(b"a", 0, n) for n in range(PARKED_MAX - 1)], due_at=0.0)
    assert not lot.full

    lot.admit([_delivery(b"a", 0, PARKED_MAX)])
    assert lot.full


def test_a_freed_partition_is_reported_once() -> None:
    """
    Its offset can be committed although nothing was fetched from it.
    """
    lot: ParkingLot[str] = ParkingLot()
    slot = Slot("t", 1, b"a")
    lot.park(slot, [_delivery(b"a", 1, 0)], due_at=0.0)
    lot.forget(slot)

    assert {("t", 1)} == lot.released()
    assert set() == lot.released()
