"""
The limit in front of Valkey, tried on a played store: virtual seconds, no clock, no network.
"""

import dataclasses
import heapq
from collections import deque
from collections.abc import Callable
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.quota.domain.limit import Limit

BATCH_MAX = 64
LANES = 2
FLOOR = BATCH_MAX * LANES
CEILING = 1000
TARGET_SECONDS = 0.2
PASS_SECONDS = 0.001
ASK_SECONDS = 0.0005
PEAK_PER_SECOND = BATCH_MAX / (PASS_SECONDS + BATCH_MAX * ASK_SECONDS)
PATIENCE_SECONDS = 1.0
"""Whoever is answered later has gone."""


def _limit(*, floor: int = FLOOR, ceiling: int = CEILING) -> Limit:
    return Limit(floor=floor, ceiling=ceiling, target_seconds=TARGET_SECONDS)


@dataclasses.dataclass(slots=True)
class Played:
    """
    Lanes before one store that works on one batch at a time. Open loop: asks come whether or not the last was answered.
    """

    limit: Limit
    offered: Callable[[float], float]
    """Asks per second, by the second they are asked in."""
    stands_still: tuple[float, float] = (0.0, 0.0)
    """From when until when the store answers nobody."""
    answered: list[tuple[float, float]] = dataclasses.field(default_factory=list)
    """When, and how long it took."""
    refused: list[float] = dataclasses.field(default_factory=list)
    limits: list[tuple[float, int]] = dataclasses.field(default_factory=list)
    _events: list[tuple[float, int, str, list[float]]] = dataclasses.field(default_factory=list)
    _order: "count[int]" = dataclasses.field(default_factory=count)
    _waiting: deque[float] = dataclasses.field(default_factory=deque)
    _underway: int = 0
    _lanes_busy: int = 0
    _store_free_at: float = 0.0

    def run(self, until: float) -> "Played":
        """
        Play `until` that second.
        """
        self._at(0.0, "ask", [])
        while self._events and self._events[0][0] < until:
            now, _, what, batch = heapq.heappop(self._events)
            if what == "ask":
                self._ask(now)
            else:
                self._end(now, batch)
            self._begin(now)
        return self

    def goodput(self, since: float, until: float) -> float:
        """
        Answers in time per second, as a part of the most the store can give.
        """
        good = [at for at, took in self.answered if since <= at < until and took <= PATIENCE_SECONDS]
        return len(good) / (until - since) / PEAK_PER_SECOND

    def _at(self, when: float, what: str, batch: list[float]) -> None:
        heapq.heappush(self._events, (when, next(self._order), what, batch))

    def _ask(self, now: float) -> None:
        if self.limit.may_enter(self._underway, now):
            self._underway += 1
            self._waiting.append(now)
        else:
            self.refused.append(now)
        self._at(now + 1 / self.offered(now), "ask", [])

    def _begin(self, now: float) -> None:
        while self._waiting and self._lanes_busy < LANES:
            batch = [self._waiting.popleft() for _ in range(min(BATCH_MAX, len(self._waiting)))]
            self._lanes_busy += 1
            self.limit.pass_begins(now)
            starts = max(now, self._store_free_at)
            if self.stands_still[0] <= starts < self.stands_still[1]:
                starts = self.stands_still[1]
            self._store_free_at = starts + PASS_SECONDS + ASK_SECONDS * len(batch)
            self._at(self._store_free_at, "end", batch)

    def _end(self, now: float, batch: list[float]) -> None:
        self._lanes_busy -= 1
        self._underway -= len(batch)
        self.answered += [(now, now - asked_at) for asked_at in batch]
        self.limit.pass_ends(now, asks=len(batch), youngest_asked_at=batch[-1], known=True)
        self.limits.append((now, self.limit.asks_max))


@pytest.mark.parametrize(("times", "least"), [(2, 0.95), (5, 0.92), (10, 0.90)])
def test_a_storm_is_refused_and_those_let_in_are_answered_in_time(times: int, least: float) -> None:
    """
    Goodput stays near the peak at 2x, 5x and 10x, and is back 5 s after at the latest.
    """
    played = Played(_limit(), lambda now: PEAK_PER_SECOND * (times if 1 <= now < 6 else 1)).run(13)

    assert played.goodput(1, 6) >= least
    assert played.goodput(11, 13) >= 0.98
    assert any(1 <= at < 6 for at in played.refused)


def test_without_a_limit_the_same_storm_is_answered_too_late() -> None:
    """
    Everybody waits, and nobody is there any more when his turn comes.
    """
    played = Played(_limit(floor=10**9, ceiling=10**9), lambda _: PEAK_PER_SECOND * 2).run(6)

    assert played.goodput(3, 6) < 0.1


def test_the_limit_settles_where_asks_take_about_the_target() -> None:
    """
    Little's law: the rate times the target, whatever number it began with.
    """
    played = Played(_limit(), lambda _: PEAK_PER_SECOND * 3).run(8)
    settled = [limit for at, limit in played.limits if at >= 4]

    assert 0.75 <= min(settled) / (PEAK_PER_SECOND * TARGET_SECONDS)
    assert max(settled) / (PEAK_PER_SECOND * TARGET_SECONDS) <= 1.4
    assert max(took for at, took in played.answered if at >= 4) <= 1.5 * TARGET_SECONDS


def test_a_store_that_stands_still_lets_only_the_floor_in() -> None:
    """
    Before any of its answers is late enough to be called unknown.
    """
    limit = _limit()
    limit.pass_begins(1.0)

    assert limit.may_enter(FLOOR, now=1.0 + TARGET_SECONDS)
    assert not limit.may_enter(FLOOR, now=1.01 + TARGET_SECONDS)
    assert limit.may_enter(FLOOR - 1, now=1.01 + TARGET_SECONDS)


def test_a_store_that_nobody_asks_does_not_stand_still() -> None:
    """
    The first of the next crowd meets the whole limit.
    """
    limit = _limit()
    limit.pass_begins(0.0)
    limit.pass_ends(0.01, asks=1, youngest_asked_at=0.0, known=True)

    assert limit.may_enter(CEILING - 1, now=3600.0)


def test_an_outcome_that_stays_unknown_shrinks_the_limit_at_once() -> None:
    """
    One pass given up is enough.
    """
    limit = _limit()
    limit.pass_begins(0.0)
    limit.pass_ends(2.0, asks=64, youngest_asked_at=0.0, known=False)

    assert FLOOR == limit.asks_max


def test_a_late_pass_shrinks_the_limit_to_what_that_speed_can_finish() -> None:
    """
    Four times the target leaves a quarter, and those who waited under the old limit do not cut it again.
    """
    limit = _limit()
    limit.pass_begins(0.0)
    limit.pass_begins(0.0)
    limit.pass_ends(0.8, asks=64, youngest_asked_at=0.0, known=True)
    limit.pass_ends(0.9, asks=64, youngest_asked_at=0.1, known=True)

    assert CEILING // 4 == limit.asks_max


def test_full_speed_is_back_soon_after_the_store_stood_still() -> None:
    """
    Whatever the limit has shrunk to.
    """
    played = Played(_limit(), lambda _: PEAK_PER_SECOND * 2, stands_still=(2.0, 4.0)).run(11)

    assert FLOOR == min(limit for at, limit in played.limits if at >= 4)
    assert played.goodput(9, 11) >= 0.98


def test_who_queues_behind_himself_narrows_the_door_for_nobody() -> None:
    """
    The youngest of a pass is asked, not the one who has waited longest.
    """
    limit = _limit()
    for turn in range(100):
        now = turn / 100
        limit.pass_begins(now)
        limit.pass_ends(now + 0.01, asks=2, youngest_asked_at=now, known=True)

    assert CEILING == limit.asks_max


def test_a_floor_above_the_ceiling_is_the_ceiling() -> None:
    """
    The ceiling is the promise.
    """
    assert not _limit(floor=10, ceiling=2).may_enter(2, now=0.0)


PASSES = st.lists(
    st.tuples(st.floats(0, 3), st.floats(0, 40), st.integers(1, 500), st.booleans()), min_size=1, max_size=60
)


@given(passes=PASSES, floor=st.integers(1, 500), above=st.integers(0, 5000))
def test_the_limit_never_leaves_its_bounds(
    passes: list[tuple[float, float, int, bool]], floor: int, above: int
) -> None:
    """
    Whatever is reported: below the floor always, above the ceiling never.
    """
    limit, now = _limit(floor=floor, ceiling=floor + above), 0.0
    for took, pause, asks, known in passes:
        limit.pass_begins(now)
        now += took
        limit.pass_ends(now, asks=asks, youngest_asked_at=now - took, known=known)
        now += pause
        assert floor <= limit.asks_max <= floor + above
        assert limit.may_enter(floor - 1, now)
        assert not limit.may_enter(floor + above, now)


@given(passes=PASSES)
def test_whatever_has_happened_good_passes_lead_back_to_the_ceiling(
    passes: list[tuple[float, float, int, bool]],
) -> None:
    """
    No history is held against the store for ever.
    """
    limit, now = _limit(), 0.0
    for took, pause, asks, known in passes:
        limit.pass_begins(now)
        now += took
        limit.pass_ends(now, asks=asks, youngest_asked_at=now - took, known=known)
        now += pause
    for _ in range(CEILING + 1):
        limit.pass_begins(now)
        now += 0.01
        limit.pass_ends(now, asks=10, youngest_asked_at=now - 0.01, known=True)

    assert CEILING == limit.asks_max
    assert limit.may_enter(CEILING - 1, now)
