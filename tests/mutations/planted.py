"""
Planted bugs: what each one changes, and which test has to notice.

Called by `python -m tests.mutations` and by `tests/integration/test_mutations.py`. Works on a
copy of the tree in a folder of its own; never changes a file of the tree it stands in.
"""

import dataclasses
import functools
import importlib
import multiprocessing
import os
import shutil
import sys
import tomllib
from collections.abc import Sequence
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
BUGS: Final = Path(__file__).with_name("bugs")
COPIED: Final = ("contracts", "kernel", "ops", "services", "tests", "pyproject.toml")
RUN_SECONDS: Final = 60.0
TESTS_FAILED: Final = 1
"""What pytest ends with when tests have failed. A higher number is trouble of its own."""
LOADED_ONCE: Final = (
    "pytest",
    "aiohttp.web",
    "aiohttp.test_utils",
    "redis.asyncio",
    "asyncpg",
    "aiokafka",
    "structlog",
    "joserfc.jwt",
    "uvloop",
    "typer",
    "cryptography.x509",
    "unittest.mock",
)
"""No plugin of pytest among them: it has to load those itself."""
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


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """
    What pytest has ended with, and all it has said. A negative code: it was ended from outside.
    """

    code: int | None
    said: str


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
    The tree as it is, with what Python has compiled of it. Files are shared where they can be: replaced, never changed.
    """
    to.mkdir(parents=True)
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, to / name, copy_function=_share)
        else:
            shutil.copy2(source, to / name)
    return to


def _share(source: str, to: str) -> None:
    try:
        os.link(source, to)
    except OSError:
        # On another disk.
        shutil.copy2(source, to)


def plant(bug: Bug, tree: Path) -> None:
    """
    Make the change, in a copy.
    """
    path = tree / bug.file
    text = path.read_text(encoding="utf-8")
    found = text.count(bug.old)
    if found != 1:
        raise Misplanted(f"{bug.name}: its old text stands {found} times in {bug.file}, not once; write it anew")
    path.unlink()
    path.write_text(text.replace(bug.old, bug.new), encoding="utf-8")


def run_tests(
    tree: Path, tests: Sequence[str], *, valkey_url: str | None, run_seconds: float | None = RUN_SECONDS
) -> Outcome:
    """
    Run tests of a copy, to the first that fails; on this Valkey and nothing else, if one is given.

    In a process that is forked off one which has loaded what all of them load from elsewhere: half of a run is that.
    """
    environ = {name: value for name, value in os.environ.items() if name not in OURS}
    if valkey_url is not None:
        environ["ANTREAN_TEST_VALKEY"] = valkey_url
    said = tree / "said.txt"
    process = _nursery().Process(target=_be_pytest, args=(tree, tests, environ, said))
    process.start()
    process.join(run_seconds)
    if process.exitcode is None:
        process.kill()
        process.join()
    return Outcome(code=process.exitcode, said=said.read_text(errors="replace") if said.exists() else "")


@functools.cache
def _nursery() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(LOADED_ONCE))
    return context


def _be_pytest(tree: Path, tests: Sequence[str], environ: dict[str, str], said: Path) -> None:
    """
    In a process of its own: what of this tree has been loaded is forgotten, and the copy's is loaded instead.
    """
    with said.open("wb") as file:
        for number in (1, 2):
            os.dup2(file.fileno(), number)
    os.environ.clear()
    os.environ.update(environ)
    os.chdir(tree)
    for name in [name for name in sys.modules if name.partition(".")[0] in COPIED]:
        del sys.modules[name]
    sys.path[:] = [str(tree), *(path for path in sys.path if path not in ("", str(ROOT)))]
    pytest = importlib.import_module("pytest")
    sys.exit(int(pytest.main(["-x", "-q", "--tb=native", "-p", "no:cacheprovider", *tests])))


def caught(outcome: Outcome) -> bool:
    """
    Whether a test has failed, and not merely something around it.
    """
    return outcome.code == TESTS_FAILED and "\nFAILED " in outcome.said
