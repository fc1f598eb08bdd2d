"""
SQL lives in files: named blocks in the files of a room's `sql/`, loaded once.

A block starts with `-- name --`, followed by a comment that says what it does and
what its `$n` are. Called by stores at wiring time; never builds SQL from input.
"""

import re
from collections.abc import Iterator
from pathlib import Path

_NAME = re.compile(r"^-- ([a-z][a-z0-9_]*) --$", re.MULTILINE)


class Queries(dict[str, str]):
    """
    Statements by name; also as attributes, so that a wrong name fails at the first call with that name.
    """

    def __getattr__(self, name: str) -> str:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"no SQL block named {name!r}") from None


def load_queries(path: Path) -> Queries:
    """
    Read the named blocks of a file, or of every `.sql` file of a folder.

    Raises `ValueError` for a name given twice and a block without comment or statement.
    """
    queries = Queries()
    for file in sorted(path.glob("*.sql")) if path.is_dir() else [path]:
        for name, block in _blocks(file):
            if name in queries:
                raise ValueError(f"{file}: block {name!r} is defined twice")
            queries[name] = block
    return queries


def _blocks(file: Path) -> Iterator[tuple[str, str]]:
    parts = _NAME.split(file.read_text(encoding="utf-8"))
    for name, block in zip(parts[1::2], parts[2::2], strict=True):
        if not block.lstrip().startswith("--"):
            raise ValueError(f"{file}: block {name!r} does not say what it does")
        if all(line.startswith("--") for line in block.strip().splitlines()):
            raise ValueError(f"{file}: block {name!r} does nothing")
        yield name, block.strip()
