"""
A booking's life: its states, the steps between them, and what a state still holds.

Called by use cases, which ask what a payment or a wish to cancel means now. The same
table stands in Postgres (`booking_may_become`), where a step that is not in it is refused;
a test holds the two together.
"""

import datetime as dt
import enum
from collections.abc import Mapping
from typing import Final


class State(enum.StrEnum):
    """
    Where a booking is in its life.
    """

    HELD = "held"
    AWAITING_PAYMENT = "awaiting_payment"
    CONFIRMED = "confirmed"
    CHECKED_IN = "checked_in"
    SERVED = "served"
    INCOMPLETE = "incomplete"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    RESCHEDULED = "rescheduled"
    NO_SHOW = "no_show"
    DISPLACED = "displaced"
    PAID_NO_SEAT = "paid_no_seat"
    PROCESSING = "processing"
    READY = "ready"
    COLLECTED = "collected"


TRANSITIONS: Final[Mapping[State, frozenset[State]]] = {
    State.HELD: frozenset({State.AWAITING_PAYMENT, State.CONFIRMED, State.EXPIRED, State.CANCELLED}),
    State.AWAITING_PAYMENT: frozenset({State.CONFIRMED, State.EXPIRED, State.CANCELLED}),
    State.CONFIRMED: frozenset({State.CHECKED_IN, State.CANCELLED, State.RESCHEDULED, State.NO_SHOW}),
    State.CHECKED_IN: frozenset({State.SERVED, State.INCOMPLETE}),
    State.SERVED: frozenset({State.PROCESSING}),
    State.PROCESSING: frozenset({State.READY}),
    State.READY: frozenset({State.COLLECTED}),
    State.COLLECTED: frozenset(),
    State.INCOMPLETE: frozenset(),
    State.EXPIRED: frozenset({State.PAID_NO_SEAT, State.RESCHEDULED}),
    State.CANCELLED: frozenset({State.PAID_NO_SEAT, State.RESCHEDULED}),
    State.RESCHEDULED: frozenset(),
    State.NO_SHOW: frozenset({State.RESCHEDULED}),
    State.DISPLACED: frozenset({State.PAID_NO_SEAT, State.RESCHEDULED}),
    State.PAID_NO_SEAT: frozenset({State.RESCHEDULED}),
}

FIRST: Final = frozenset({State.HELD, State.DISPLACED})
"""How a life may begin."""

UNPAID: Final = frozenset({State.HELD, State.AWAITING_PAYMENT})
"""Waiting for money, and so able to expire."""

KEEPS_PLACES: Final = frozenset(
    {
        State.HELD,
        State.AWAITING_PAYMENT,
        State.CONFIRMED,
        State.CHECKED_IN,
        State.SERVED,
        State.INCOMPLETE,
        State.NO_SHOW,
        State.PROCESSING,
        State.READY,
        State.COLLECTED,
    }
)
"""The queue numbers are taken: nobody else can have them, even when their day is over."""

KEEPS_PERSONS: Final = frozenset({State.HELD, State.AWAITING_PAYMENT, State.CONFIRMED, State.CHECKED_IN})
"""The people may not reserve elsewhere."""


UNSEATED: Final = frozenset(state for state in State if State.PAID_NO_SEAT in TRANSITIONS[state])
"""Over before any money came: the places went back, or never were its own."""


class Payment(enum.Enum):
    """
    What the news of a payment means for a booking.
    """

    CONFIRMS = "confirms"
    SEEKS_A_SEAT = "seeks_a_seat"
    HAS_NO_SEAT = "has_no_seat"
    IS_REPEATED = "is_repeated"
    IS_A_SECOND_ONE = "is_a_second_one"


def payment_means(state: State, *, known_ntpn: str | None, ntpn: str, in_time: bool) -> Payment:
    """
    Judge a payment by what the booking is now. The same NTPN again is the same payment.

    `in_time` is by the bank's clock. As long as the places are there they are the payer's, however late he was.
    """
    if known_ntpn == ntpn:
        return Payment.IS_REPEATED
    if state in UNPAID:
        return Payment.CONFIRMS
    if known_ntpn is None and state in UNSEATED:
        return Payment.SEEKS_A_SEAT if in_time else Payment.HAS_NO_SEAT
    return Payment.IS_A_SECOND_ONE


class Cancellation(enum.Enum):
    """
    What becomes of a holder's wish to cancel.
    """

    GRANTED = "granted"
    TOO_LATE = "too_late"
    ALREADY_ENDED = "already_ended"


def cancellation_means(state: State, *, today: dt.date, visit_on: dt.date) -> Cancellation:
    """
    Judge a wish to cancel. `today` is the day at the office; a confirmed place is given back until the day before.
    """
    if state in UNPAID:
        return Cancellation.GRANTED
    if state is State.CONFIRMED:
        return Cancellation.GRANTED if today < visit_on else Cancellation.TOO_LATE
    return Cancellation.TOO_LATE if state is State.CHECKED_IN else Cancellation.ALREADY_ENDED


class Reschedule(enum.Enum):
    """
    What becomes of a holder's wish for another time.
    """

    GRANTED = "granted"
    NOT_CONFIRMED = "not_confirmed"
    TOO_LATE = "too_late"
    NONE_LEFT = "none_left"


def reschedule_means(state: State, *, today: dt.date, visit_on: dt.date, moves_made: int, moves_max: int) -> Reschedule:
    """
    Judge a wish for another time: a confirmed place, until the day before at the office, so many times.
    """
    if state is not State.CONFIRMED:
        return Reschedule.NOT_CONFIRMED
    if today >= visit_on:
        return Reschedule.TOO_LATE
    return Reschedule.GRANTED if moves_made < moves_max else Reschedule.NONE_LEFT
