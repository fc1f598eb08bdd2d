"""
What has become of people a desk noted without a network, and how long they may take to pay.
"""

import datetime as dt
from zoneinfo import ZoneInfo

import pytest

from services.booking.domain.counter import pay_by_noted
from services.booking.domain.lifecycle import State
from services.booking.domain.noting import CONFLICTS, UNDER_WAY, WalkInOutcome, outcome_of, refused_at_the_door

ZONE = ZoneInfo("Asia/Jayapura")
NOW = dt.datetime(2026, 11, 30, 21, 30, tzinfo=ZONE)


@pytest.mark.parametrize(("hour", "until"), [(9, (1, 0)), (23, (1, 1))])
def test_who_was_served_offline_pays_until_the_end_of_the_day_and_never_in_less_than_two_hours(
    hour: int, until: tuple[int, int]
) -> None:
    """
    Of the day on which it is known, where the office is.
    """
    now = NOW.replace(hour=hour, minute=0)
    by = pay_by_noted(now=now, today=now.date(), zone=ZONE, pay_seconds=7200)

    assert dt.datetime(2026, 12, *until, tzinfo=ZONE) == by


@pytest.mark.parametrize(
    ("wish", "state", "outcome"),
    [
        (None, None, WalkInOutcome.NOTHING_PLANNED),
        ("asked", None, WalkInOutcome.PENDING),
        ("refused", None, WalkInOutcome.NO_PLACE),
        ("refused", State.DISPLACED, WalkInOutcome.NO_PLACE),
        ("held", State.HELD, WalkInOutcome.AWAITING_PAYMENT),
        ("held", State.AWAITING_PAYMENT, WalkInOutcome.AWAITING_PAYMENT),
        ("held", State.CHECKED_IN, WalkInOutcome.MERGED),
        ("held", State.COLLECTED, WalkInOutcome.MERGED),
        ("held", State.EXPIRED, WalkInOutcome.UNPAID),
        ("held", State.CANCELLED, WalkInOutcome.UNPAID),
    ],
)
def test_the_outcome_is_told_from_what_stands(wish: str | None, state: State | None, outcome: WalkInOutcome) -> None:
    """
    By the wish while quota has it, by the booking from then on.
    """
    assert outcome == outcome_of(wish, state)


def test_every_outcome_is_an_end_a_conflict_or_under_way() -> None:
    """
    Nothing is left between.
    """
    assert {WalkInOutcome.MERGED, WalkInOutcome.KNOWN} == set(WalkInOutcome) - CONFLICTS - UNDER_WAY
    assert set() == CONFLICTS & UNDER_WAY


def test_an_hour_nobody_can_have_noted_is_refused() -> None:
    """
    In the future, or before there were leaves of this kind.
    """
    moments = (NOW, NOW + dt.timedelta(seconds=1), NOW - dt.timedelta(days=367))

    assert [None, WalkInOutcome.IN_THE_FUTURE, WalkInOutcome.WRONG_DAY] == [
        refused_at_the_door(at, NOW) for at in moments
    ]
