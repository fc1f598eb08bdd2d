"""
How many asks may be under way at once, learned from how long the last ones took.

The lanes report every pass; whoever lets asks in looks here first, before anything is asked
of Valkey. Pure arithmetic on a few floats: it is told the time and never waits, counts asks
or knows what they are about.

By Little's law `asks under way = asks per second x seconds each takes`. A pass in which even
the *youngest* ask took longer than the target shows a standing queue, not a burst; the limit
then becomes what this speed can finish within the target, at once. Every ask answered in
good time raises it a little. One number is tuned, in seconds a person can judge.
"""

import math
from typing import Final

GROWTH_PER_ASK: Final = 0.1
"""Each ask answered in time lets this much of another in: a tenth more per round trip, a small step past the target."""


class Limit:
    """
    Between `floor` and `ceiling`; opens at the ceiling, since a quiet store has given no reason for less.

    Three lines at the caller's: `may_enter` before an ask, `pass_begins` and `pass_ends` around a pass.
    """

    __slots__ = ("_ceiling", "_cut_at", "_floor", "_heard_at", "_limit", "_passes_out", "_target_seconds")

    def __init__(self, *, floor: int, ceiling: int, target_seconds: float) -> None:
        """
        `floor` keeps every lane's batch full, so that a slow store is still used whole.
        """
        self._floor = float(min(floor, ceiling))
        self._ceiling = float(ceiling)
        self._target_seconds = target_seconds
        self._limit = self._ceiling
        self._cut_at = -math.inf
        self._passes_out = 0
        self._heard_at = 0.0

    @property
    def asks_max(self) -> int:
        """
        What it stands at.
        """
        return int(self._limit)

    def may_enter(self, underway: int, now: float) -> bool:
        """
        Whether one more may join the `underway`. While passes are out and none has come back within the target,
        the store stands still, and only the floor may wait for it.
        """
        if underway < self._floor:
            return True
        return underway < self._limit and not self._stands_still(now)

    def _stands_still(self, now: float) -> bool:
        return self._passes_out > 0 and now - self._heard_at > self._target_seconds

    def pass_begins(self, now: float) -> None:
        """
        A batch leaves for the store.
        """
        if self._passes_out == 0:
            self._heard_at = now
        self._passes_out += 1

    def pass_ends(self, now: float, *, asks: int, youngest_asked_at: float, known: bool) -> None:
        """
        The batch is back, or is given up: `known` tells which.

        The youngest is asked about because one account may keep its own asks waiting for each other,
        and must not make the door narrower for others.
        """
        self._passes_out -= 1
        self._heard_at = now
        took_seconds = now - youngest_asked_at
        if not known:
            self._cut_to(self._floor, now)
        elif took_seconds <= self._target_seconds:
            self._limit = min(self._ceiling, self._limit + GROWTH_PER_ASK * asks)
        elif youngest_asked_at > self._cut_at:
            # Who came in before the last cut waited under the old limit, and says nothing about the new one.
            self._cut_to(self._limit * self._target_seconds / took_seconds, now)

    def _cut_to(self, limit: float, now: float) -> None:
        self._limit = max(self._floor, limit)
        self._cut_at = now
