"""
The picture of a booking's life is that of the code.
"""

import re

from ops.docs import BOOKING_LIFE
from ops.pictures import booking_life
from services.booking.domain.lifecycle import FIRST, TRANSITIONS, State

ARROW = re.compile(r"^    (\w+|\[\*\]) --> (\w+|\[\*\])$", re.MULTILINE)


def test_the_committed_picture_is_the_one_the_code_draws() -> None:
    """
    Whoever changes the table runs `antrean docs`.
    """
    assert booking_life() == BOOKING_LIFE.read_text(encoding="utf-8"), "run `make docs` and commit it"


def test_the_picture_has_every_step_of_the_table_and_no_other() -> None:
    """
    Read back from what is drawn.
    """
    drawn = set(ARROW.findall(booking_life()))

    assert {(str(before), str(after)) for before in State for after in TRANSITIONS[before]} == {
        arrow for arrow in drawn if "[*]" not in arrow
    }
    assert {str(state) for state in FIRST} == {after for before, after in drawn if before == "[*]"}
    assert {str(state) for state in State if not TRANSITIONS[state]} == {b for b, a in drawn if a == "[*]"}
