"""
What the house rules look at: the tree as git would commit it, read once.
"""

import ast
import dataclasses
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
OURS = ("kernel", "contracts", "services", "ops", "loadtests", "tests")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """
    A Python file: where it is, what it says, how it parses.
    """

    path: Path
    text: str
    tree: ast.Module

    @property
    def name(self) -> str:
        """
        Its path from the root, for sentences.
        """
        return self.path.relative_to(ROOT).as_posix()


@pytest.fixture(scope="session")
def files() -> list[Path]:
    """
    Every file that is or would be committed; without git (a source archive), every file there is.
    """
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    names = listed.stdout.splitlines() if listed.returncode == 0 else _walked()
    return sorted(path for name in names if (path := ROOT / name).is_file())


def _walked() -> list[str]:
    hidden = {".venv", ".git", ".cache", ".antrean", "__pycache__"}
    return [
        path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*") if not hidden & set(path.relative_to(ROOT).parts)
    ]


@pytest.fixture(scope="session")
def modules(files: list[Path]) -> list[Module]:
    """
    Every Python file of ours.
    """
    return [
        Module(path=path, text=(text := path.read_text(encoding="utf-8")), tree=ast.parse(text))
        for path in files
        if path.suffix == ".py" and path.relative_to(ROOT).parts[0] in OURS
    ]


@pytest.fixture(scope="session")
def documents(files: list[Path]) -> list[Path]:
    """
    Every document a person reads.
    """
    return [path for path in files if path.suffix == ".md"]
