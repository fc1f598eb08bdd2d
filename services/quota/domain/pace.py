"""
When the next pass of a crowd begins: at once, when there is enough company for it, or after a while at the latest.

Asked by the batcher after every ask and every pass. Pure arithmetic on counts and seconds: it
is told the time, keeps no timer and knows nothing of who waits.

Larger passes cost everybody less, so after a crowd the next one waits a little for its size;
where no crowd was, nobody waits for company. While a pass is out the next one waits for it,
unless half a batch is there already or somebody has waited for long.
"""

import math
from typing import Final

GATHER_SECONDS: Final = 0.001
"""So long after a crowd is back its like is waited for."""
GATHER_FROM_ASKS: Final = 8
"""Fewer than this are no crowd."""
OVERTAKE_AFTER_SECONDS: Final = 0.01
"""Longer than a pass takes on a healthy store."""
NOW: Final = -math.inf
LATER: Final = math.inf
"""Not before a pass is back."""


class Pace:
    """
    Told of passes as they begin and end; says when the next is due.
    """

    __slots__ = ("_company", "_crowd", "_gathered_at", "_lanes", "underway")

    def __init__(self, *, batch_max: int, lanes: int) -> None:
        self._crowd = max(1, batch_max // 2)
        self._lanes = lanes
        self._company = 0
        self._gathered_at = NOW
        self.underway = 0
        """Passes that are out."""

    def due(self, waiting: int, oldest_asked_at: float) -> float:
        """
        When so many, of whom the first has waited since `oldest_asked_at`, set off: `NOW`, `LATER` or a moment.
        """
        if self.underway == 0:
            return NOW if waiting >= self._company else self._gathered_at
        if self.underway >= self._lanes:
            return LATER
        return NOW if waiting >= self._crowd else oldest_asked_at + OVERTAKE_AFTER_SECONDS

    def begins(self) -> None:
        """
        A pass leaves.
        """
        self.underway += 1

    def ends(self, asks: int, now: float) -> None:
        """
        It is back, with the answers for so many.
        """
        self.underway -= 1
        crowd = asks >= GATHER_FROM_ASKS
        self._company = asks if crowd else 0
        self._gathered_at = now + GATHER_SECONDS if crowd else NOW
