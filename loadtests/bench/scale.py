"""
How large and how long everything is: the whole bench, or the tiny one that only shows it works.

Read by scenarios. Nothing here is measured.
"""

import dataclasses
from typing import Final


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """
    Every number that a scenario's length or size depends on.
    """

    offices: int
    """Of the seed's 133."""
    family_max: int = 5
    peak_rounds: int = 3
    peak_seconds: float = 2.5
    half_rounds: int = 9
    half_seconds: float = 4.0
    storm_rounds: int = 9
    storm_seconds: float = 2.5
    beside_seconds: float = 1.5
    """Of a closed loop between storms: a shared machine keeps no pace for longer."""
    recovery_rounds: int = 7
    recovery_storm_seconds: float = 4.0
    recovered_after_seconds: float = 5.0
    repeats_seconds: float = 3.0
    """Of what takes nothing: refusals of sold-out slots, looks at what is free."""
    friday_seconds: float = 30.0
    """Within this time of the opening everybody has asked."""
    demand: float = 10.0
    """Wanted places per place."""
    growth_rounds: int = 15
    growth_seconds: float = 0.7
    holds: int = 10_000_000
    rebuilt: int = 1_000_000


WHOLE: Final = Scale(offices=133)
QUICK: Final = Scale(
    offices=6,
    peak_rounds=1,
    peak_seconds=0.3,
    half_rounds=1,
    half_seconds=0.5,
    storm_rounds=1,
    storm_seconds=0.3,
    beside_seconds=0.3,
    recovery_rounds=1,
    recovery_storm_seconds=0.3,
    recovered_after_seconds=0.2,
    repeats_seconds=0.3,
    friday_seconds=1.0,
    demand=3.0,
    growth_rounds=1,
    growth_seconds=0.3,
    holds=20_000,
    rebuilt=5_000,
)
