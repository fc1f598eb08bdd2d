"""
House rules for documents: they speak of the tree that is there.
"""

import re
from pathlib import Path

import pytest
import yaml

from ops import docs
from ops.__main__ import app
from tests.house.conftest import ROOT, Module

TOP = "kernel|contracts|services|ops|web|deploy|loadtests|tests|docs"
QUOTED = re.compile(r"`([^`\n]+)`")
PATH = re.compile(rf"^(?:{TOP}|\.ci)/[\w.*/-]+$")
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
COMMAND = re.compile(r"`(?:\.venv/bin/)?antrean ([a-z]+)")
PLACEHOLDER = re.compile(r"NNNN|[<{…]")


def _missing_paths(document: Path) -> list[str]:
    text = document.read_text(encoding="utf-8")
    named = [word.rstrip("/") for word in QUOTED.findall(text) if PATH.match(word) and not PLACEHOLDER.search(word)]
    missing = [name for name in named if not any(ROOT.glob(name))]
    links = [target for target in LINK.findall(text) if "://" not in target and not target.startswith("mailto:")]
    return missing + [target for target in links if not (document.parent / target).exists()]


def test_every_path_a_document_names_exists(documents: list[Path]) -> None:
    """
    A document that describes another tree than the one it stands in is worse than none.
    """
    missing = {path.relative_to(ROOT).as_posix(): gone for path in documents if (gone := _missing_paths(path))}

    assert {} == missing, "correct the document or the tree"


def test_the_path_rule_can_fail(tmp_path: Path) -> None:
    """
    A rule that finds nothing is only worth something if it could.
    """
    document = tmp_path / "page.md"
    document.write_text("see `kernel/nowhere.py`, `services/*/README.md` and [here](gone.md#x) and [there](http://x)")

    assert ["kernel/nowhere.py", "gone.md"] == [name for name in _missing_paths(document) if "*" not in name]


def test_every_command_that_is_named_exists(documents: list[Path], modules: list[Module]) -> None:
    """
    A command somebody is told to type, and that is not there, costs him his trust in the rest.
    """
    told = [(path.name, path.read_text(encoding="utf-8")) for path in documents]
    told += [(module.name, module.text) for module in modules if not module.name.startswith("tests/")]
    named = {(place, match[1]) for place, text in told for match in COMMAND.finditer(text)}
    there = {str(command.name or getattr(command.callback, "__name__", "")) for command in app.registered_commands}

    assert [] == sorted((place, name) for place, name in named if name not in there), f"there are {sorted(there)}"


def test_every_alert_has_a_runbook_and_every_runbook_an_alert() -> None:
    """
    Who is woken at night is told what to do, and nobody keeps pages for alarms that never ring.
    """
    rules = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yml").read_text(encoding="utf-8"))
    alerts = [rule for group in rules["groups"] for rule in group["rules"] if "alert" in rule]
    named = {rule["alert"]: rule["annotations"].get("runbook") for rule in alerts}
    there = {path.stem for path in (ROOT / "docs/runbooks").glob("*.md")} - {"README"}

    assert {name: f"docs/runbooks/{name}.md" for name in named} == named, "an alert names its runbook"
    assert set(named) == there, "one runbook per alert, by the alert's name"


def test_the_changelog_says_what_is_not_released_yet() -> None:
    """
    Whoever changes something writes its line at once.
    """
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")

    assert "\n## [Unreleased]\n" in changelog, "CHANGELOG.md has an Unreleased section (Keep a Changelog)"


def test_decisions_are_numbered_without_gap_and_have_their_three_parts() -> None:
    """
    A decision is found by its number and read in a minute.
    """
    folder = ROOT / "docs/adr"
    records = sorted(path for path in folder.glob("[0-9]*.md"))
    numbers = [int(path.name[:4]) for path in records]
    parts = {path.name: re.findall(r"^## (\w+)", path.read_text(encoding="utf-8"), re.MULTILINE) for path in records}

    assert list(range(1, len(records) + 1)) == numbers
    assert {name: ["Context", "Decision", "Consequences"] for name in parts} == parts


def test_the_reading_order_names_every_decision_and_the_readme_the_two_commands() -> None:
    """
    A stranger finds the way from the first screen on.
    """
    order = (ROOT / "docs/README.md").read_text(encoding="utf-8")
    first_screen = "\n".join((ROOT / "README.md").read_text(encoding="utf-8").splitlines()[:60])

    assert [] == [path.name for path in (ROOT / "docs/adr").glob("[0-9]*.md") if path.name not in order]
    assert "make run" in first_screen
    assert "make demo" in first_screen
    assert 3 <= first_screen.count("curl ")


@pytest.mark.parametrize("target", ["setup", "run", "demo", "test", "test-kafka", "check"])
def test_the_makefile_explains_what_people_are_told_to_call(target: str) -> None:
    """
    `make` alone is the first thing a stranger types.
    """
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")

    assert re.search(rf"^{target}:.*## .+$", makefile, re.MULTILINE), f"{target} has no `## sentence`"


def test_the_api_documents_are_those_of_the_code() -> None:
    """
    The document a client is generated from is the API that is served.
    """
    assert [] == [path.name for path in docs.stale()], "run `make docs` and commit what it writes"
