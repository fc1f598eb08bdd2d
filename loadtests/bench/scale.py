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


WHOLE: Final = Scale(offices=133)
QUICK: Final = Scale(offices=6)
