"""
What booking counts. Children are resolved once: the states are few and known.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Final

from kernel.metrics import counter, gauge, histogram
from services.booking.domain.lifecycle import State

recorded = counter("booking_recorded_total", "Reservations of quota that became bookings, displaced ones included.")
recording_seconds = histogram(
    "booking_recording_seconds", "Time to record one batch of quota's events, commit included."
)
sequence_gaps = counter("booking_sequence_gaps_total", "Events of quota that came before their predecessor.")
second_payments = counter("booking_second_payments_total", "Payments for a booking that is already paid otherwise.")
_late_payments = counter(
    "booking_late_payments_total", "Payments for a booking without places: sought for anew, or listed.", ("end",)
)
late_payments_sought: Final = _late_payments.labels("sought")
late_payments_listed: Final = _late_payments.labels("listed")
expiry_lag = gauge("booking_expiry_lag_seconds", "How long past its deadline the latest expired booking was.")
counter_bookings = counter("booking_counter_total", "Places asked for at an office's counter, by why.", ("why",))
waitlist_offers = counter(
    "booking_waitlist_offers_total", "Offers to the waitlist, and what became of them.", ("outcome",)
)
_offered: Final = waitlist_offers.labels("offered")
check_ins = counter("booking_check_ins_total", "Families checked in, by what they were found by.", ("how",))
_no_shows = counter("booking_no_shows_total", "Bookings nobody came for: blocked, or excused.", ("outcome",))
_blocked, _excused = _no_shows.labels("blocked"), _no_shows.labels("excused")
windows_unplanned = gauge("booking_windows_unplanned", "Windows of offices that open soon and have days without slots.")
published_slots = counter("booking_published_slots_total", "Slots published by the worker, new or changed.")
spilled_places = counter("booking_spilled_places_total", "Unused places of a channel that went over to another.")
rebookings = counter("booking_rebookings_total", "Bookings of closed days asked to be moved.")
booklets_out = gauge("booking_booklets_out", "Kinds of booklets offices have none left of beyond what is promised.")
booklets_short_places = gauge(
    "booking_booklets_short_places", "Places of confirmed visits of the coming days beyond their office's booklets."
)
no_show_slots_overdue = gauge(
    "booking_no_show_slots_overdue", "Slots whose office has ended its day, and where somebody is still awaited."
)
wishes_unanswered_seconds = gauge(
    "booking_wishes_unanswered_seconds", "How long ago quota should have answered the oldest open wish for places."
)
_transitions = counter("booking_transitions_total", "Steps taken, by the state they lead to.", ("state",))
_steps_to: Final = {state: _transitions.labels(state.value) for state in State}


def count_steps(states: Iterable[State]) -> None:
    """
    Count steps after their commit.
    """
    for state, steps in Counter(states).items():
        _steps_to[state].inc(steps)


def count_offers(offers: int) -> None:
    """
    Count offers after their commit.
    """
    _offered.inc(offers)


def count_no_shows(*, blocked: int, excused: int) -> None:
    """
    Count what a sweep ended, after its commit.
    """
    _blocked.inc(blocked)
    _excused.inc(excused)
