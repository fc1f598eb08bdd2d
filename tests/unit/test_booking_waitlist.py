"""
Who of a line is offered places: nobody who fits is overtaken, for any line and any number of places.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.booking.domain.lifecycle import UNPAID, State
from services.booking.domain.waitlist import (
    Fate,
    Standing,
    Waiting,
    fate_of,
    pass_on,
    whom_to_offer,
)


def _line(sizes: list[int]) -> list[Waiting]:
    return [
        Waiting(
            entry_id=f"wtl_{place}",
            place=place,
            account_id=f"acc_{place}",
            person_ids=tuple(f"per_{place}_{number}" for number in range(size)),
            attempts=0,
        )
        for place, size in enumerate(sizes, start=1)
    ]


@given(st.lists(st.integers(1, 5), max_size=40), st.integers(0, 30))
def test_nobody_who_fits_is_overtaken(sizes: list[int], seats: int) -> None:
    """
    Whoever gets no offer would not have fitted what those before him left; no place is offered twice.
    """
    line = _line(sizes)
    chosen, left = whom_to_offer(line, seats)

    assert seats - left == sum(len(family.person_ids) for family in chosen)
    assert 0 <= left
    assert chosen == [family for family in line if family in chosen]
    for family in line:
        if family not in chosen:
            given_before = sum(len(other.person_ids) for other in chosen if other.place < family.place)
            assert seats - given_before < len(family.person_ids)


@given(st.lists(st.integers(1, 5), max_size=40), st.integers(0, 30), st.integers(1, 7))
def test_page_by_page_it_is_the_same(sizes: list[int], seats: int, page: int) -> None:
    """
    A line is read in pages, each with what the pages before have left.
    """
    line = _line(sizes)
    chosen: list[Waiting] = []
    left = seats
    for start in range(0, len(line), page):
        more, left = whom_to_offer(line[start : start + page], left)
        chosen += more

    assert whom_to_offer(line, seats) == (chosen, left)


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("sold_out", (2, 7)),
        ("person_already_reserved", (3, 7)),
        ("account_already_reserved", (3, 7)),
        ("no_show_block", (3, 7)),
        ("too_late", (3, 6)),
        ("unknown_slot", (0, 7)),
    ],
)
def test_what_a_refused_family_leaves_to_others(reason: str, expected: tuple[int, int]) -> None:
    """
    Too few places for three may do for two behind it; a busy family leaves all; unanswered, it is first again.
    """
    assert expected == pass_on(7, 3, reason)


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (State.CONFIRMED, Fate.TAKEN),
        (State.SERVED, Fate.TAKEN),
        (State.RESCHEDULED, Fate.TAKEN),
        (State.EXPIRED, Fate.PASSED),
        (State.CANCELLED, Fate.PASSED),
        (State.PAID_NO_SEAT, Fate.PASSED),
        (State.DISPLACED, Fate.WAITS_ON),
    ],
)
def test_an_offer_comes_to_what_its_booking_came_to(state: State, expected: Fate) -> None:
    """
    Paid is taken, ended is passed; places that were not free after all were nobody's turn.
    """
    assert expected == fate_of(Standing.OFFERED, state)


def test_who_left_gives_back_only_what_is_not_paid() -> None:
    """
    Money that is there is not thrown after a wish to leave.
    """
    assert {Fate.GIVES_BACK} == {fate_of(Standing.LEFT, state) for state in UNPAID}
    assert {Fate.DONE} == {fate_of(Standing.LEFT, state) for state in (None, *(set(State) - UNPAID))}
