"""
Shows the logs of a stack's programs, and follows them.

Called by `antrean logs`. Reads files only: works with the stack running or not.
"""

import time
from pathlib import Path
from typing import Final

from ops import programs
from ops.errors import StackError
from ops.state import StateDir

POLL_SECONDS: Final = 0.3


def show(state: StateDir, name: str | None, *, lines_max: int, follow: bool) -> None:
    """
    Print the last lines of one log, or of all with their names; then go on if asked, until interrupted.
    """
    files = _files(state, name)
    for file in files:
        for line in programs.tail_text(file).splitlines()[-lines_max:]:
            _print(file, line, named=name is None)
    if follow:
        try:
            _follow(files, named=name is None)
        except KeyboardInterrupt:
            return


def _files(state: StateDir, name: str | None) -> list[Path]:
    known = sorted(state.logs.glob("*.log")) if state.logs.exists() else []
    if name is None:
        return known
    if state.log_of(name) not in known:
        raise StackError(f"there is no log of {name}; there are: {', '.join(file.stem for file in known) or 'none'}")
    return [state.log_of(name)]


def _follow(files: list[Path], *, named: bool) -> None:
    positions = {file: file.stat().st_size for file in files}
    while True:
        for file in files:
            positions[file] = _print_from(file, positions[file], named=named)
        time.sleep(POLL_SECONDS)


def _print_from(file: Path, position: int, *, named: bool) -> int:
    if file.stat().st_size < position:
        position = 0
    with file.open("rb") as opened:
        opened.seek(position)
        whole = opened.read().rpartition(b"\n")[0]
    for line in whole.decode(errors="replace").splitlines():
        _print(file, line, named=named)
    return position + len(whole) + (1 if whole else 0)


def _print(file: Path, line: str, *, named: bool) -> None:
    print(f"{file.stem:<16} | {line}" if named else line, flush=True)
