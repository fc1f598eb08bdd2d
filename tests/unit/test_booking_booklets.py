"""
How a stock of booklets is dealt out to slots: never more than there is, the next visit first.
"""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.booking.domain.booklets import DrawingSlot, deal, need_of
from services.booking.use_cases.seeding import BadSeed, read_seed

SEED = Path(__file__).parents[2] / "deploy" / "seed"


def slot(number: int, capacity: int, *, taken: int = 0, gives_places: bool = True, **more: int) -> DrawingSlot:
    return DrawingSlot(
        slot_id=f"s{number}",
        days_ahead=more.get("days_ahead", number),
        capacity=capacity,
        stock_limit=None,
        gives_places=gives_places,
        taken=taken,
        confirmed=more.get("confirmed", taken),
        held=more.get("held", 0),
    )


def test_what_is_left_over_goes_to_the_next_visits() -> None:
    """
    Whole slots are not limited, the one where it ends is, those behind sell nothing more.
    """
    slots = [slot(1, 10, taken=4), slot(2, 10, taken=1), slot(3, 10, taken=2)]

    assert {"s1": None, "s2": 4, "s3": 2} == deal(9, slots)


@pytest.mark.parametrize("left_over", [0, -3])
def test_with_nothing_left_over_nothing_more_is_sold(left_over: int) -> None:
    """
    Who has a place keeps it: a limit is never below what is taken. A slot that is full needs none.
    """
    slots = [slot(1, 10, taken=4), slot(2, 5, taken=5), slot(3, 5, taken=7)]

    assert {"s1": 4, "s2": None, "s3": None} == deal(left_over, slots)


def test_what_gives_no_places_is_dealt_nothing() -> None:
    """
    A closed slot does not keep booklets from others.
    """
    assert {"s2": None} == deal(5, [slot(1, 5, gives_places=False), slot(2, 5)])


def test_unpaid_places_are_promised_and_only_confirmed_ones_are_short() -> None:
    """
    A payment is never refused for want of a booklet; a hold that is not paid yet is nobody's shortage.
    """
    slots = [slot(0, 10, taken=5, confirmed=3, held=2), slot(4, 10, taken=4)]
    need, soon = need_of(5, slots), need_of(2, slots, days=3)

    assert (-4, 2) == (need.left_over, need.shortfall)
    assert (3, 1) == (soon.confirmed, soon.shortfall)


@given(
    left_over=st.integers(-20, 60),
    shapes=st.lists(st.tuples(st.integers(0, 20), st.integers(0, 25)), max_size=12),
    sold=st.integers(0, 11),
)
def test_all_that_can_be_sold_is_what_is_left_over_and_a_sale_changes_no_limit(
    left_over: int, shapes: list[tuple[int, int]], sold: int
) -> None:
    """
    Whatever is sold, there is a booklet for it; and selling it does not have to be told to anybody.
    """
    slots = [slot(number, capacity, taken=taken) for number, (capacity, taken) in enumerate(shapes)]
    limits = deal(left_over, slots)
    room = {each.slot_id: _room(each, limits) for each in slots}
    free = sum(max(0, each.capacity - each.taken) for each in slots)

    assert min(free, max(0, left_over)) == sum(room.values())
    if sold < len(slots) and room[slots[sold].slot_id] > 0:
        after = [slot(n, c, taken=t + (n == sold)) for n, (c, t) in enumerate(shapes)]
        told = {key: _told(each, limits) for each in slots if (key := each.slot_id)}
        assert told == {each.slot_id: _told(each, deal(left_over - 1, after)) for each in after}


def _told(each: DrawingSlot, limits: dict[str, int | None]) -> int:
    limit = limits[each.slot_id]
    return each.capacity if limit is None else min(each.capacity, limit)


def _room(each: DrawingSlot, limits: dict[str, int | None]) -> int:
    return max(0, _told(each, limits) - each.taken)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("service,booklet\nregular,a\nregular,b\n", "twice"),
        ("service,booklet\nRegular,a\n", "line 2"),
        ("x\ny\n", "line 2"),
    ],
)
def test_kinds_that_cannot_be_stop_the_seed(tmp_path: Path, text: str, said: str) -> None:
    """
    A service takes one kind; keys are keys.
    """
    bad = tmp_path / "booklets.csv"
    bad.write_text(text)
    files = {"offices": SEED / "offices.csv", "holidays": SEED / "holidays.csv", "calendar": SEED / "calendar.toml"}

    with pytest.raises(BadSeed, match=said):
        read_seed(**files, booklets=bad)
