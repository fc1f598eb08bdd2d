"""
Prometheus metrics: one registry per process, children resolved once.

Rooms declare theirs in `metrics.py` with the functions here; the admin port shows
them. `.labels()` locks and builds strings, so callers keep the child they use often.
"""

import importlib
import pkgutil
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.metrics import MetricWrapperBase

from kernel.tally import Tallies

REGISTRY = CollectorRegistry(auto_describe=True)
LATENCY_BUCKETS_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
SIZE_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)


def counter(name: str, help_: str, labels: tuple[str, ...] = ()) -> Counter:
    """
    Something that only goes up; name ends in `_total`.
    """
    return Counter(name, help_, labels, registry=REGISTRY)


def gauge(name: str, help_: str, labels: tuple[str, ...] = ()) -> Gauge:
    """
    Something that goes up and down.
    """
    return Gauge(name, help_, labels, registry=REGISTRY)


def histogram(name: str, help_: str, labels: tuple[str, ...] = ()) -> Histogram:
    """
    How long something took; name ends in `_seconds`.
    """
    return Histogram(name, help_, labels, registry=REGISTRY, buckets=LATENCY_BUCKETS_SECONDS)


def sizes(name: str, help_: str, labels: tuple[str, ...] = ()) -> Histogram:
    """
    How many things went together; the name says what.
    """
    return Histogram(name, help_, labels, registry=REGISTRY, buckets=SIZE_BUCKETS)


def render() -> bytes:
    """
    All metrics in Prometheus' text format.
    """
    return generate_latest(REGISTRY)


def catalogue() -> frozenset[str]:
    """
    Every sample name that any process can show: the families of kernel and of every room.

    Dashboards and alerts are tested against it, so that none asks for a metric nobody has.
    """
    for package in ("kernel", "services"):
        _import_metrics_of(package)
    return frozenset(_sample_names())


def _import_metrics_of(package: str) -> None:
    root = importlib.import_module(package)
    for module in pkgutil.walk_packages(root.__path__, f"{package}."):
        if module.name.rsplit(".", 1)[-1] == "metrics":
            importlib.import_module(module.name)


def _sample_names() -> Iterator[str]:
    for collector in list(REGISTRY._collector_to_names):  # noqa: SLF001 - the library has no public way to list them
        if not isinstance(collector, MetricWrapperBase | Tallies):
            continue
        for family in collector.describe():
            if family.type == "counter":
                yield f"{family.name}_total"
            elif family.type == "histogram":
                yield from (f"{family.name}_{part}" for part in ("bucket", "sum", "count"))
            else:
                yield family.name


answers = Tallies(LATENCY_BUCKETS_SECONDS)
"""`http_requests_total` and `http_request_seconds`."""
REGISTRY.register(answers)
http_connections = gauge("http_connections", "Connections open at the street door.")
http_connections_refused = counter("http_connections_refused_total", "Connections beyond the limit, turned away.")
http_connections_cut = counter(
    "http_connections_cut_total", "Connections cut because the other side was too slow at it.", ("stage",)
)
http_cut = {stage: http_connections_cut.labels(stage) for stage in ("head", "body", "answer")}
"""`http_connections_cut_total` by what was slow."""
http_read_later = counter("http_read_later_total", "Connections that were read in a later turn of the loop: a crowd.")
http_unreadable = counter("http_unreadable_total", "Requests that are not HTTP, or whose head is too large.")
consumer_events = counter("consumer_events_total", "Events taken: done, again, retried, dead.", ("consumer", "outcome"))
consumer_lag = gauge("consumer_lag_events", "Messages in the topic not yet handled.", ("consumer",))
consumer_restarts = counter("consumer_restarts_total", "Times a consumer was made anew.", ("consumer",))
outbox_published = counter("outbox_published_total", "Messages the broker has acknowledged.", ("schema",))
outbox_unpublished = gauge("outbox_unpublished_rows", "Rows waiting for the broker.", ("schema",))
audit_unsealed_seconds = gauge(
    "audit_unsealed_seconds", "How long the oldest line of the audit log has waited for its seal."
)
audit_sealed = counter("audit_sealed_total", "Lines of the audit log that were sealed.")
audit_unsealed_lines = gauge("audit_unsealed_lines", "Lines of the audit log that wait for their seal.")
process_ready = gauge("process_ready", "1 while the readiness probe says yes.")
