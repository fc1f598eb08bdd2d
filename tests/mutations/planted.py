"""
Planted bugs: what each one changes, and which test has to notice.

Called by `python -m tests.mutations` and by `tests/integration/test_mutations.py`. Works on a
copy of the tree in a folder of its own; never changes a file of the tree it stands in.
"""

import dataclasses
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
BUGS: Final = Path(__file__).with_name("bugs")
COPIED: Final = ("contracts", "kernel", "ops", "services", "tests", "pyproject.toml")
RUN_SECONDS: Final = 60.0
TESTS_FAILED: Final = 1
"""What pytest ends with when tests have failed. A higher number is trouble of its own."""
OURS: Final = ("ANTREAN_TEST_VALKEY", "PYTHONPATH", "PYTEST_ADDOPTS")


class Misplanted(Exception):
    """
    A bug that cannot be planted as it is written down.
    """


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Bug:
    """
    One change that makes the product wrong.
    """

    name: str
    breaks: str
    file: str
    old: str
    new: str
    caught_by: tuple[str, ...]


def bugs() -> list[Bug]:
    """
    All of them, by name.
    """
    return [_bug(path) for path in sorted(BUGS.glob("*.toml"))]


def _bug(path: Path) -> Bug:
    said = tomllib.loads(path.read_text(encoding="utf-8"))
    return Bug(name=path.stem, **said | {"caught_by": tuple(said["caught_by"])})


def copy_tree(to: Path) -> Path:
    """
    The tree as it is, with what Python has compiled of it.
    """
    to.mkdir(parents=True)
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, to / name)
        else:
            shutil.copy2(source, to / name)
    return to


def plant(bug: Bug, tree: Path) -> None:
    """
    Make the change, in a copy.
    """
    path = tree / bug.file
    text = path.read_text(encoding="utf-8")
    found = text.count(bug.old)
    if found != 1:
        raise Misplanted(f"{bug.name}: its old text stands {found} times in {bug.file}, not once; write it anew")
    path.write_text(text.replace(bug.old, bug.new), encoding="utf-8")


def run_tests(
    tree: Path, tests: Sequence[str], *, valkey_url: str | None, run_seconds: float | None = RUN_SECONDS
) -> subprocess.CompletedProcess[str]:
    """
    Run tests of a copy, to the first that fails; on this Valkey and nothing else, if one is given.
    """
    environ = {name: value for name, value in os.environ.items() if name not in OURS}
    if valkey_url is not None:
        environ["ANTREAN_TEST_VALKEY"] = valkey_url
    command = [sys.executable, "-m", "pytest", "-x", "-q", "--tb=native", "-p", "no:cacheprovider", *tests]
    return subprocess.run(
        command, cwd=tree, env=environ, capture_output=True, text=True, timeout=run_seconds, check=False
    )


def caught(outcome: subprocess.CompletedProcess[str]) -> bool:
    """
    Whether a test has failed, and not merely something around it.
    """
    return outcome.returncode == TESTS_FAILED and "\nFAILED " in outcome.stdout
