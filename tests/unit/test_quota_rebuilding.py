"""
A snapshot's lines come to the holds, claims and books they stand for; what is no line is refused.
"""

import msgspec
import pytest

from services.booking.use_cases.snapshotting import lines_of
from services.quota.domain.rebuilding import Batch, Restored
from services.quota.domain.records import HoldRecord, claims_record, hold_record
from services.quota.keys import Keys
from services.quota.use_cases.restoring import restored_of
from tests.integration.quota_room import SLOT, plan

KEYS = Keys(32)


def booking(name: str, seats: str, state: str, *, account: str = "acc_1", at_ms: int = 5, keeps: int = 1) -> str:
    """A line of a booking."""
    return f"b\t{name}\t{account}\t{SLOT}\t{seats}\tper_1,per_2\t{state}\t{at_ms}\t9\t{keeps}"


def reading(*lines: str, partitions: range = range(32)) -> tuple[Restored, dict[str, bytes]]:
    """What these lines come to, and every key with its value."""
    restored = restored_of(KEYS, partitions)
    batch = restored.read("\n".join((f"s\t{msgspec.json.encode(plan()).decode()}", *lines)))
    return restored, pairs([*batch, *restored.left_claims()])


def pairs(batch: Batch) -> dict[str, bytes]:
    """Every key with its value."""
    return {str(key): bytes(value) for key, value in zip(batch[::2], batch[1::2], strict=True)}  # type: ignore[arg-type]


def test_a_kept_booking_is_a_hold_a_claim_and_seats_in_the_books() -> None:
    """
    Under the keys that the scripts look for.
    """
    restored, there = reading(booking("rsv_aaaaaaaa1", "1,2", "held"))
    tally = restored.tallies[SLOT]

    assert HoldRecord("held", SLOT, "acc_1", ("per_1", "per_2"), (1, 2), 5, 9) == hold_record(
        there[KEYS.hold(SLOT, "rsv_aaaaaaaa1")]
    )
    claimed = claims_record(there[KEYS.claims("acc_1")]).account
    assert claimed is not None
    assert ("rsv_aaaaaaaa1", SLOT) == (claimed.reservation_id, claimed.slot_id)
    assert (2, 0, 3, [], ["aaaaaaaa"]) == (tally.held, tally.confirmed, tally.next_seat, tally.unused, tally.takers)


def test_an_ended_booking_is_a_tombstone_and_the_accounts_last() -> None:
    """
    The newest ended one of an account is remembered, beside what is active or alone.
    """
    _, alone = reading(booking("rsv_old", "1", "released", at_ms=1), booking("rsv_new", "2", "released", at_ms=2))
    _, beside = reading(booking("rsv_old", "1", "released", at_ms=1), booking("rsv_now", "3", "confirmed", at_ms=3))
    last, both = claims_record(alone[KEYS.claims("acc_1")]).last, claims_record(beside[KEYS.claims("acc_1")])

    assert "released" == hold_record(alone[KEYS.hold(SLOT, "rsv_old")]).state
    assert last is not None
    assert "rsv_new" == last.reservation_id
    assert both.last is not None
    assert both.account is not None
    assert ("rsv_old", "rsv_now") == (both.last.reservation_id, both.account.reservation_id)


def test_seats_nobody_has_below_the_highest_are_unused() -> None:
    """
    They go back on offer; served people keep their numbers without keeping their persons busy.
    """
    restored, there = reading(
        booking("rsv_1", "2", "held"), booking("rsv_2", "5", "confirmed", account="acc_2", keeps=0)
    )
    tally = restored.tallies[SLOT]

    assert ([1, 3, 4], 6, 1, 1) == (tally.unused, tally.next_seat, tally.held, tally.confirmed)
    assert KEYS.claims("acc_2") not in there


def test_who_is_not_known_to_booking_keeps_places_nobody_has() -> None:
    """
    The first who comes has them; taken places, and slots that are not planned, are not honoured.
    """
    restored, _ = reading(booking("rsv_1", "1", "held"))

    def hold(*seats: int, slot_id: str = SLOT) -> HoldRecord:
        return HoldRecord("held", slot_id, "acc_9", ("per_9",), seats, 1, 2)

    honoured = [
        restored.honour("rsv_x", one) for one in (hold(1, 2), hold(3), hold(3, 4), hold(5, slot_id="no.1.2.3.4"))
    ]

    assert [False, True, False, False] == honoured
    assert (2, {1, 3}) == (restored.tallies[SLOT].held, restored.tallies[SLOT].used)


def test_a_block_is_kept_with_whatever_the_account_has() -> None:
    """
    What Valkey still has of blocks is carried over.
    """
    restored = restored_of(KEYS, range(32))
    restored.blocks = {"acc_1": {"per_1": "block:99"}, "acc_2": {"per_8": "block:98"}}
    batch = pairs(restored.read(booking("rsv_1", "1", "held")))
    left = pairs(restored.left_claims())

    assert {"per_1": "block:99"} == claims_record(batch[KEYS.claims("acc_1")]).persons
    assert {"per_8": "block:98"} == claims_record(left[KEYS.claims("acc_2")]).persons


def test_a_family_that_did_not_come_is_blocked_beside_whatever_the_account_has() -> None:
    """
    As booking tells it; where Valkey knows a longer block of a person, that one stands.
    """
    restored = restored_of(KEYS, range(32))
    restored.blocks = {"acc_1": {"per_1": "block:99:rsv_x", "per_2": "block:50"}}
    blocked = "n\tacc_1\tper_1,per_2\t70\trsv_old", "n\tacc_2\tper_8\t80\trsv_8"
    batch = pairs(restored.read("\n".join((*blocked, booking("rsv_1", "1", "held")))))
    beside = claims_record(batch[KEYS.claims("acc_1")])
    alone = claims_record(pairs(restored.left_claims())[KEYS.claims("acc_2")])

    assert {"per_1": "block:99:rsv_x", "per_2": "block:70:rsv_old"} == beside.persons
    assert beside.account is not None
    assert {"per_8": "block:80:rsv_8"} == alone.persons


def test_lines_of_bookings_alone_are_read_as_among_others() -> None:
    """
    They are taken apart all at once; what is left out of one of them is not made up for by the next.
    """
    alone, there = reading()
    batch = alone.read("\n".join(booking(f"rsv_{n}", f"{n}", "held", account=f"acc_{n}") for n in (1, 2, 3)))
    among, others = reading(*(booking(f"rsv_{n}", f"{n}", "held", account=f"acc_{n}") for n in (1, 2, 3)))
    torn = booking("rsv_4", "4", "held").rpartition("\t")[0]

    assert others == there | pairs(batch)
    assert [(3, 3, {1, 2, 3})] * 2 == [
        (one.bookings, one.tallies[SLOT].held, one.tallies[SLOT].used) for one in (alone, among)
    ]
    with pytest.raises(ValueError, match="no line of a snapshot"):
        alone.read("\n".join((torn, booking("rsv_5", "5", "held"))))


def test_other_partitions_are_passed_over() -> None:
    """
    Their slots and bookings are counted in the snapshot and nowhere else.
    """
    restored, there = reading(booking("rsv_1", "1", "held"), partitions=range(1))

    assert ({}, {}, 1) == (restored.tallies, there, restored.bookings)


@pytest.mark.parametrize("line", ["b\tshort", "x\t1", ""])
def test_what_is_no_line_of_a_snapshot_is_refused(line: str) -> None:
    """
    Half a line is half a booking.
    """
    with pytest.raises(ValueError, match="no line of a snapshot"):
        reading(line)


def test_what_must_be_recorded_is_read_as_the_highest_of_each_line() -> None:
    """
    Partition, epoch and seq; anything else is refused.
    """
    assert {(7, 1): 12, (7, 2): 3} == lines_of("7:1:10,7:1:12,7:2:3")
    assert {} == lines_of("")
    with pytest.raises(ValueError, match="invalid literal"):
        lines_of("7:1:x")
