"""
When a pass begins: tried on moments that are told, without a clock.
"""

from hypothesis import given
from hypothesis import strategies as st

from services.quota.domain.pace import (
    GATHER_FROM_ASKS,
    GATHER_SECONDS,
    LATER,
    NOW,
    OVERTAKE_AFTER_SECONDS,
    Pace,
)

CROWD = 20


def _pace(lanes: int = 2) -> Pace:
    return Pace(batch_max=100, lanes=lanes)


def _after(asks: int, *, at: float = 5.0) -> Pace:
    """
    A pace whose last pass had so many asks and came back at a moment.
    """
    pace = _pace()
    pace.begins()
    pace.ends(asks, at)
    return pace


def test_who_asks_alone_is_asked_for_at_once() -> None:
    """
    Nothing is out and nobody came before: there is no company to wait for.
    """
    assert _pace().due(1, 5.0) == NOW
    assert _after(GATHER_FROM_ASKS - 1).due(1, 5.0) == NOW


def test_after_a_crowd_its_like_is_waited_for_but_not_for_long() -> None:
    """
    As many as last time set off at once; fewer when the time is over.
    """
    pace = _after(CROWD, at=5.0)

    assert pace.due(CROWD - 1, 4.0) == 5.0 + GATHER_SECONDS
    assert pace.due(CROWD, 4.0) == NOW


def test_while_a_pass_is_out_half_a_batch_or_a_long_wait_goes_past_it() -> None:
    """
    Fewer wait for it until the first of them has waited for long.
    """
    pace = _after(CROWD)
    pace.begins()

    assert pace.due(49, 7.0) == 7.0 + OVERTAKE_AFTER_SECONDS
    assert pace.due(50, 7.0) == NOW


def test_no_more_are_out_than_there_are_lanes() -> None:
    """
    However many wait, and however long.
    """
    pace = _pace()
    pace.begins()
    pace.begins()

    assert pace.due(1000, 0.0) == LATER


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 200)), max_size=60))
def test_a_pass_that_is_back_leaves_its_lane_free(moves: list[tuple[bool, int]]) -> None:
    """
    Whatever came and went before: when all are back, whoever waits is due within the time of gathering.
    """
    pace, out, now = _pace(), 0, 0.0
    for begins, asks in moves:
        now += 1.0
        if begins and out < 2:
            pace.begins()
            out += 1
        elif out:
            pace.ends(asks, now)
            out -= 1
    for _ in range(out):
        pace.ends(CROWD, now)

    assert pace.due(1, now) <= now + GATHER_SECONDS
