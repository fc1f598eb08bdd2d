"""
What a worker may refuse by itself, and what never.
"""

from services.quota.domain.decisions import Ask
from services.quota.domain.gate import TAKER, Gate
from services.quota.use_cases.reservations import ask_of

SLOT = "bandung.20261130.morning.regular.online"
ELSEWHERE = "makassar.20261130.morning.regular.online"


def _ask(number: int, *, persons: int = 1, slot_id: str = SLOT) -> Ask:
    people = tuple(f"per_{number}{one}" for one in range(persons))
    return ask_of(f"acc_{number}", "key-00000001", slot_id, people)


def test_the_gate_refuses_until_its_moment_and_not_at_it() -> None:
    """
    Late to open by what was said, and no longer.
    """
    gate = Gate()
    gate.close(SLOT, 0, "", until=10.0)

    assert [True, False, False] == [gate.refuses(_ask(1), now) for now in (9.999, 10.0, 9.0)]


def test_whoever_has_had_places_there_is_sent_on() -> None:
    """
    A repeat of a granted request is never refused from memory.
    """
    gate, taker = Gate(), _ask(1)
    gate.close(SLOT, 0, taker.reservation_id[TAKER], until=10.0)

    assert (False, True) == (gate.refuses(taker, 0.0), gate.refuses(_ask(2), 0.0))


def test_a_family_that_fits_is_sent_on() -> None:
    """
    Two places left refuse three people, not two, and say nothing of another slot.
    """
    gate = Gate()
    gate.close(SLOT, 2, "", until=10.0)

    asks = [_ask(1, persons=3), _ask(1, persons=2), _ask(1, persons=3, slot_id=ELSEWHERE)]
    assert [True, False, False] == [gate.refuses(one, 0.0) for one in asks]
