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
expiry_lag = gauge("booking_expiry_lag_seconds", "How long past its deadline the latest expired booking was.")
audit_sealed = counter("booking_audit_sealed_total", "Lines of the audit log that were sealed.")
audit_unsealed = gauge("booking_audit_unsealed_lines", "Lines of the audit log that wait for their seal.")
_transitions = counter("booking_transitions_total", "Steps taken, by the state they lead to.", ("state",))
_steps_to: Final = {state: _transitions.labels(state.value) for state in State}


def count_steps(states: Iterable[State]) -> None:
    """
    Count steps after their commit.
    """
    for state, steps in Counter(states).items():
        _steps_to[state].inc(steps)
