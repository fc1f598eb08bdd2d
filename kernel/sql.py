"""
SQL lives in files: named blocks in `sql/queries.sql`, loaded once.

A block starts with `-- name --`, followed by a comment that says what it does and
what its `$n` are. Called by stores at wiring time; never builds SQL from input.
"""

import re
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
    Read a file's named blocks. Raises `ValueError` for a name given twice and a block without comment or statement.
    """
    parts = _NAME.split(path.read_text(encoding="utf-8"))
    queries = Queries()
    for name, block in zip(parts[1::2], parts[2::2], strict=True):
        if name in queries:
            raise ValueError(f"{path}: block {name!r} is defined twice")
        if not block.lstrip().startswith("--"):
            raise ValueError(f"{path}: block {name!r} does not say what it does")
        if all(line.startswith("--") for line in block.strip().splitlines()):
            raise ValueError(f"{path}: block {name!r} does nothing")
        queries[name] = block.strip()
    return queries
