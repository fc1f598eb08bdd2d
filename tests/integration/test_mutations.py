"""
Bugs are planted one by one, and the tests that have to catch them do. A test that cannot fail is none.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.mutations.planted import Bug, bugs, caught, copy_tree, plant, run_tests

LUA_MIN, PYTHON_MIN = 11, 5


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[Path]:
    """
    A copy of the tree, gone with the test.
    """
    copied = copy_tree(tmp_path / "tree")
    yield copied
    shutil.rmtree(copied)


def test_there_are_bugs_in_the_scripts_and_around_them() -> None:
    """
    Enough of both kinds, in files of quota alone.
    """
    files = [bug.file for bug in bugs()]

    assert all(file.startswith("services/quota/") for file in files)
    assert sum(file.endswith(".lua") for file in files) >= LUA_MIN
    assert sum(file.endswith(".py") for file in files) >= PYTHON_MIN


def test_without_a_bug_the_same_tests_pass(stores: Any, tree: Path) -> None:
    """
    Otherwise their failing with one would say nothing.
    """
    tests = dict.fromkeys(test for bug in bugs() for test in bug.caught_by)

    outcome = run_tests(tree, list(tests), valkey_url=stores.valkey_url)

    assert 0 == outcome.code, outcome.said


@pytest.mark.parametrize("bug", bugs(), ids=lambda bug: bug.name)
def test_a_planted_bug_is_caught(stores: Any, tree: Path, bug: Bug) -> None:
    """
    With it at least one of its tests fails: not at collection, and not because nothing answers.
    """
    plant(bug, tree)

    outcome = run_tests(tree, bug.caught_by, valkey_url=stores.valkey_url)

    assert caught(outcome), f"{bug.breaks}: nobody has noticed\n{outcome.said}"
