"""
What dashboard and alerts ask for exists: in the catalogue of metrics, and as a file.
"""

import json
import re
from pathlib import Path
from typing import Any

import yaml

from kernel.metrics import catalogue
from ops.services import SERVICES

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
DASHBOARD: dict[str, Any] = json.loads((DEPLOY / "grafana/dashboards/release.json").read_text())
ALERTS: dict[str, Any] = yaml.safe_load((DEPLOY / "prometheus/alerts.yml").read_text())
PROMETHEUS: dict[str, Any] = yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text())

STRING, LABELS, RANGE = re.compile(r'"[^"]*"'), re.compile(r"\{[^{}]*\}"), re.compile(r"\[[^\]]*\]")
GROUPING, FUNCTION = re.compile(r"\b(?:by|on|without|ignoring)\s*\([^)]*\)"), re.compile(r"\b[a-z_]+\s*(?=\()")
WORDS = {"and", "or", "unless"}
OF_PROMETHEUS = {"up"}


def metrics_in(query: str) -> set[str]:
    """
    The names a query reads, its functions, labels and strings left out.
    """
    for nothing in (STRING, LABELS, RANGE, GROUPING, FUNCTION):
        query = nothing.sub(" ", query)
    return set(re.findall(r"\b[a-z][a-z_]*\b", query)) - WORDS


def dashboard_queries() -> list[str]:
    return [target["expr"] for panel in DASHBOARD["panels"] for target in panel.get("targets", ())]


def alert_queries() -> list[str]:
    return [rule["expr"] for group in ALERTS["groups"] for rule in group["rules"]]


def test_the_reader_of_queries_reads_them() -> None:
    """
    A reader that finds nothing would pass every dashboard.
    """
    query = 'histogram_quantile(0.99, sum by (le) (rate(a_bucket{b="c", d!~"e|f"}[5m]))) > 0 unless on (g) h_total'

    assert {"a_bucket", "h_total"} == metrics_in(query)


def test_every_metric_on_the_dashboard_exists() -> None:
    """
    A panel of a metric nobody has is empty on the day it is needed.
    """
    asked = set().union(*map(metrics_in, dashboard_queries()))

    assert set() == asked - catalogue()


def test_every_metric_of_an_alert_exists() -> None:
    """
    An alert on a metric nobody has never rings.
    """
    asked = set().union(*map(metrics_in, alert_queries()))

    assert set() == asked - catalogue() - OF_PROMETHEUS


def test_panels_lie_beside_each_other_and_have_a_sentence() -> None:
    """
    A number without its meaning helps nobody at night.
    """
    squares = [
        (x, y)
        for box in (panel["gridPos"] for panel in DASHBOARD["panels"])
        for x in range(box["x"], box["x"] + box["w"])
        for y in range(box["y"], box["y"] + box["h"])
    ]
    ids = [panel["id"] for panel in DASHBOARD["panels"]]

    assert len(squares) == len(set(squares))
    assert len(ids) == len(set(ids))
    assert [] == [p["title"] for p in DASHBOARD["panels"] if p["type"] != "row" and not p["description"]]


def test_the_dashboard_reads_the_data_source_that_is_provisioned() -> None:
    """
    Grafana shows another source's silence without a word.
    """
    sources = yaml.safe_load((DEPLOY / "grafana/provisioning/datasources/prometheus.yml").read_text())
    used = {panel["datasource"]["uid"] for panel in DASHBOARD["panels"] if panel["type"] != "row"}

    assert {source["uid"] for source in sources["datasources"]} == used


def test_every_process_is_a_job() -> None:
    """
    Who is not asked cannot be missed.
    """
    jobs = {job["job_name"]: job["static_configs"][0]["targets"] for job in PROMETHEUS["scrape_configs"]}

    assert {service.name: [f"{service.name}:9100"] for service in SERVICES} == jobs
