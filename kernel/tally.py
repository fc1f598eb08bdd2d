"""
Answers counted by the one thread that gives them: a number, no lock and no object each.

Shown as a counter and a histogram like any other (`kernel.metrics` has the one there is).
The library's own take a microsecond per answer, a thirtieth of what the hottest route
takes altogether. Called by `kernel.http.application`. Never counts anything from two threads.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector


class Tally:
    """
    The answers of one call of the API.
    """

    __slots__ = ("_bounds", "by_bucket", "by_status", "seconds")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self.by_status: dict[int, int] = {}
        self.by_bucket = [0] * (len(bounds) + 1)
        """How many took at most so long and longer than the bound before; the last ones longer than any."""
        self.seconds = 0.0

    def count(self, status: int) -> None:
        """
        One answer.
        """
        self.by_status[status] = self.by_status.get(status, 0) + 1

    def time(self, seconds: float) -> None:
        """
        How long one took.
        """
        self.by_bucket[bisect_left(self._bounds, seconds)] += 1
        self.seconds += seconds


class Tallies(Collector):
    """
    `http_requests_total` by route, method and status; `http_request_seconds` by route.
    """

    def __init__(self, bounds: Sequence[float]) -> None:
        """
        `bounds`: of the histogram's buckets, in seconds, ascending.
        """
        self._bounds = tuple(bounds)
        self._of: dict[tuple[str, str], Tally] = {}

    def of(self, route: str, method: str) -> Tally:
        """
        Where the answers of a call are counted.
        """
        return self._of.setdefault((route, method), Tally(self._bounds))

    def describe(self) -> Iterator[Metric]:
        """
        The two families, empty.
        """
        yield self._requests()
        yield self._seconds()

    def collect(self) -> Iterator[Metric]:
        """
        The two families as of now.
        """
        requests, seconds = self._requests(), self._seconds()
        for (route, method), tally in sorted(self._of.items()):
            for status, count in sorted(tally.by_status.items()):
                requests.add_metric((route, method, str(status)), count)
        for route in sorted({route for route, _ in self._of}):
            tallies = [tally for (of_route, _), tally in self._of.items() if of_route == route]
            counts = accumulate(map(sum, zip(*(tally.by_bucket for tally in tallies), strict=True)))
            names = (*map(str, self._bounds), "+Inf")
            seconds.add_metric((route,), list(zip(names, counts, strict=True)), sum(tally.seconds for tally in tallies))
        yield requests
        yield seconds

    @staticmethod
    def _requests() -> CounterMetricFamily:
        labels = ("route", "method", "status")
        return CounterMetricFamily("http_requests_total", "Answers given, by route and status.", labels=labels)

    @staticmethod
    def _seconds() -> HistogramMetricFamily:
        return HistogramMetricFamily("http_request_seconds", "Time from request to answer.", labels=("route",))
