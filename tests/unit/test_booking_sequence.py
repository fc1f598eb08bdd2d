"""
Quota's events are taken once each, in order, however they are delivered.
"""

from hypothesis import given
from hypothesis import strategies as st

from contracts.events import GiveBackAsked, QuotaEvent
from services.booking.domain.sequence import Gap, take


def _event(seq: int, partition: int = 0, epoch: int = 1) -> QuotaEvent:
    return GiveBackAsked(
        partition=partition, epoch=epoch, seq=seq, slot_id="s", at_ms=0, reservation_id=f"r{seq}", account_id="a"
    )


def test_the_next_is_taken_a_repeat_is_not_and_a_gap_stops_its_line() -> None:
    """
    Behind the gap nothing counts, not even what was announced twice.
    """
    taken = take({(0, 1): 4}, [_event(4), _event(5), _event(7), _event(8), _event(6), _event(5)])

    assert [5] == [event.seq for event in taken.events]
    assert {(0, 1): 5} == taken.moved
    assert (Gap(line=(0, 1), expected_seq=6, came_seq=7),) == taken.gaps
    assert 2 == taken.repeats


def test_lines_are_counted_apart() -> None:
    """
    A gap in one partition or epoch says nothing about another.
    """
    taken = take({}, [_event(2), _event(1, partition=1), _event(1, epoch=2)])

    assert {(1, 1): 1, (0, 2): 1} == taken.moved
    assert [(0, 1)] == [gap.line for gap in taken.gaps]


def test_nothing_new_moves_nothing() -> None:
    """
    A batch of repeats leaves the recorded number alone.
    """
    taken = take({(0, 1): 9}, [_event(1), _event(9)])

    assert ((), {}, 2) == (taken.events, taken.moved, taken.repeats)


deliveries = st.lists(
    st.tuples(st.integers(0, 12), st.integers(1, 12), st.sets(st.integers(1, 24), max_size=2)), max_size=12
)


@given(deliveries)
def test_any_delivery_with_repeats_and_losses_takes_everything_once_in_order(
    parts: list[tuple[int, int, set[int]]],
) -> None:
    """
    The relay may start again from anywhere at or before the recorded number, as often as it likes.
    """
    recorded: dict[tuple[int, int], int] = {}
    seen: list[int] = []
    for back, length, lost in [*parts, (0, 24, set[int]())]:
        start = max(1, recorded.get((0, 1), 0) + 1 - back)
        taken = take(recorded, [_event(seq) for seq in range(start, min(24, start + length) + 1) if seq not in lost])
        seen += [event.seq for event in taken.events]
        recorded |= taken.moved

    assert list(range(1, 25)) == seen
