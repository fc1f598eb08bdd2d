"""
What a payment and a wish to cancel mean in each state, and which events tell of it.
"""

import datetime as dt

import pytest

from services.booking.domain.lifecycle import (
    FIRST,
    KEEPS_PERSONS,
    KEEPS_PLACES,
    TRANSITIONS,
    UNPAID,
    Cancellation,
    Payment,
    State,
    cancellation_means,
    payment_means,
)
from services.booking.domain.record import in_zone, ms_of, visit_by_id

TODAY = dt.date(2026, 11, 30)
TOMORROW = TODAY + dt.timedelta(days=1)


def test_every_state_can_be_reached_and_has_its_row() -> None:
    """
    A state nobody enters, or one the table forgets, is a mistake.
    """
    reached = set(FIRST).union(*TRANSITIONS.values())

    assert set(State) == reached == set(TRANSITIONS)


def test_whoever_keeps_a_person_keeps_his_place_and_a_step_never_takes_a_place_back() -> None:
    """
    Places once given up may be somebody else's already.
    """
    assert KEEPS_PERSONS <= KEEPS_PLACES
    assert [] == [
        (before, after)
        for before, afters in TRANSITIONS.items()
        for after in afters
        if before not in KEEPS_PLACES and after in KEEPS_PLACES
    ]


@pytest.mark.parametrize(
    ("state", "known_ntpn", "meaning"),
    [
        (State.HELD, None, Payment.CONFIRMS),
        (State.AWAITING_PAYMENT, None, Payment.CONFIRMS),
        (State.EXPIRED, None, Payment.HAS_NO_SEAT),
        (State.CANCELLED, None, Payment.HAS_NO_SEAT),
        (State.DISPLACED, None, Payment.HAS_NO_SEAT),
        (State.CONFIRMED, "n1", Payment.IS_REPEATED),
        (State.CANCELLED, "n1", Payment.IS_REPEATED),
        (State.PAID_NO_SEAT, "n1", Payment.IS_REPEATED),
        (State.CONFIRMED, "n0", Payment.IS_A_SECOND_ONE),
        (State.CANCELLED, "n0", Payment.IS_A_SECOND_ONE),
        (State.PAID_NO_SEAT, "n0", Payment.IS_A_SECOND_ONE),
        (State.SERVED, "n0", Payment.IS_A_SECOND_ONE),
    ],
)
def test_a_payment_means_what_the_booking_is_by_then(state: State, known_ntpn: str | None, meaning: Payment) -> None:
    """
    While places are there it confirms; else it is listed, or seeks others if it was in time; again it is nothing.
    """
    assert meaning is payment_means(state, known_ntpn=known_ntpn, ntpn="n1", in_time=False)
    in_time = payment_means(state, known_ntpn=known_ntpn, ntpn="n1", in_time=True)
    assert (Payment.SEEKS_A_SEAT if meaning is Payment.HAS_NO_SEAT else meaning) is in_time


def test_what_a_payment_means_is_a_step_the_table_allows() -> None:
    """
    The judge never proposes what Postgres would refuse.
    """
    leads_to = {Payment.CONFIRMS: State.CONFIRMED, Payment.HAS_NO_SEAT: State.PAID_NO_SEAT}
    for state in State:
        meaning = payment_means(state, known_ntpn=None, ntpn="n1", in_time=False)
        assert meaning not in leads_to or leads_to[meaning] in TRANSITIONS[state]


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("visit_on", [TODAY, TOMORROW])
def test_cancelling_is_possible_until_the_day_before(state: State, visit_on: dt.date) -> None:
    """
    Unpaid at any time, confirmed before the day, nothing else.
    """
    granted = Cancellation.GRANTED is cancellation_means(state, today=TODAY, visit_on=visit_on)

    assert (state in UNPAID or (state is State.CONFIRMED and visit_on == TOMORROW)) is granted
    assert not granted or State.CANCELLED in TRANSITIONS[state]


def test_too_late_is_not_the_same_as_over() -> None:
    """
    The answer differs, because what a person can do differs.
    """
    late = [s for s in State if cancellation_means(s, today=TODAY, visit_on=TODAY) is Cancellation.TOO_LATE]

    assert [State.CONFIRMED, State.CHECKED_IN] == late


@pytest.mark.parametrize("slot_id", ["", "bandung", "bandung.notaday.morning", "a.b.c.d.e.f", "bandung.20261130.x.y.z"])
def test_any_slot_id_tells_something(slot_id: str) -> None:
    """
    Places of an unknown slot must be recordable whatever their id looks like.
    """
    visit = visit_by_id(slot_id)

    assert slot_id == visit.slot_id
    assert visit.date == visit.starts_at.date()


def test_moments_are_told_in_the_offices_zone_and_in_whole_milliseconds() -> None:
    """
    The instant is the same, and nothing is rounded up to a later one.
    """
    moment = dt.datetime(2026, 11, 30, 1, 0, 0, 999, tzinfo=dt.UTC)

    assert "2026-11-30T10:00:00.000999+09:00" == in_zone(moment, "Asia/Jayapura")
    assert 1_796_000_400_000 == ms_of(moment)
