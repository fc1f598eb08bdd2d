"""
Answers are counted as the library would count them.
"""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from kernel.tally import Tallies

BOUNDS = (2**-10, 2**-6, 1.0)
"""Seconds whose sums are exact in any order."""
CALLS = (("/v1/a", "GET"), ("/v1/a", "DELETE"), ("/v1/b", "POST"))
given_answers = st.lists(
    st.tuples(st.sampled_from(CALLS), st.sampled_from((200, 404, 503)), st.sampled_from((0.0, *BOUNDS, 0.5, 2.0)))
)


@given(answers=given_answers)
def test_answers_are_shown_as_the_librarys_counter_and_histogram_show_them(
    answers: Sequence[tuple[tuple[str, str], int, float]],
) -> None:
    """
    Every line of theirs, whatever was answered, but for when a series was made.
    """
    tallies = Tallies(BOUNDS)
    ours, theirs = CollectorRegistry(auto_describe=True), CollectorRegistry(auto_describe=True)
    ours.register(tallies)
    requests = Counter("http_requests_total", "Answers given.", ("route", "method", "status"), registry=theirs)
    seconds = Histogram("http_request_seconds", "Time.", ("route",), registry=theirs, buckets=BOUNDS)
    for (route, method), status, took in answers:
        tally = tallies.of(route, method)
        tally.count(status)
        tally.time(took)
        requests.labels(route, method, str(status)).inc()
        seconds.labels(route).observe(took)

    assert _samples(theirs) == _samples(ours)


def test_an_answer_without_a_time_is_counted_all_the_same() -> None:
    """
    Streams last for as long as somebody listens: they are answers, and no seconds.
    """
    registry = CollectorRegistry(auto_describe=True)
    tallies = Tallies(BOUNDS)
    registry.register(tallies)
    tallies.of("/v1/a", "GET").count(200)

    labels = {"route": "/v1/a", "method": "GET", "status": "200"}
    assert 1 == registry.get_sample_value("http_requests_total", labels)
    assert 0 == registry.get_sample_value("http_request_seconds_count", {"route": "/v1/a"})


def _samples(registry: CollectorRegistry) -> set[str]:
    lines = generate_latest(registry).decode().splitlines()
    return {line for line in lines if not line.startswith("#") and "_created" not in line}
