"""
Alerts ring when they should, and each has a page that says what to do.
"""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
PROMETHEUS = ROOT / "deploy/prometheus"
RULES: list[dict[str, Any]] = [
    rule for group in yaml.safe_load((PROMETHEUS / "alerts.yml").read_text())["groups"] for rule in group["rules"]
]
PROMTOOL_SECONDS = 60


def promtool(*arguments: str) -> str:
    """
    What promtool says, when it is content.
    """
    program = shutil.which("promtool")
    if program is None:
        pytest.skip("promtool is not installed (Debian: apt-get install prometheus), so the alerts are not tried")
    done = subprocess.run(
        [program, *arguments], cwd=PROMETHEUS, capture_output=True, text=True, timeout=PROMTOOL_SECONDS, check=False
    )
    assert 0 == done.returncode, done.stdout + done.stderr
    return done.stdout


def test_prometheus_takes_its_configuration() -> None:
    """
    It would not start with another.
    """
    assert "SUCCESS" in promtool("check", "config", "prometheus.yml")


def test_alerts_ring_when_they_should_and_only_then() -> None:
    """
    Played series, expected alerts.
    """
    assert "SUCCESS" in promtool("test", "rules", "alerts_test.yml")


def test_every_alert_is_played() -> None:
    """
    A rule without a test is a guess.
    """
    tests = yaml.safe_load((PROMETHEUS / "alerts_test.yml").read_text())["tests"]
    rung = {case["alertname"] for test in tests for case in test["alert_rule_test"] if case["exp_alerts"]}
    silent = {case["alertname"] for test in tests for case in test["alert_rule_test"] if not case["exp_alerts"]}

    assert {rule["alert"] for rule in RULES} == rung == silent


def test_every_alert_has_its_runbook_and_every_runbook_its_alert() -> None:
    """
    Whoever is woken finds symptom, meaning, first steps and commands under the alert's name.
    """
    pages = {path.stem: path.read_text() for path in (ROOT / "docs/runbooks").glob("*.md") if path.stem != "README"}

    assert {rule["alert"]: rule["annotations"]["runbook"] for rule in RULES} == {
        name: f"docs/runbooks/{name}.md" for name in pages
    }
    for name, text in pages.items():
        parts = [part for part in ("**Symptom.**", "**Meaning.**", "**First steps.**", "```sh") if part not in text]
        assert (name, []) == (name, parts)


def test_runbooks_lead_to_pages_that_exist() -> None:
    """
    A dead link at night is a lost minute.
    """
    folder = ROOT / "docs/runbooks"
    links = [
        (path.name, link) for path in folder.glob("*.md") for link in re.findall(r"\]\(([^)#]+)\)", path.read_text())
    ]

    assert [] == [(page, link) for page, link in links if not (folder / link).exists()]
