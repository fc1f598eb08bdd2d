"""
What the command groups share: the folder option, and running a room's own command.

Used by the modules of this package only.
"""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import typer

from ops.keyring import without_others
from ops.state import PROJECT, running_environment

DEFAULT_DIR: Final = Path(".antrean")

Dir = Annotated[Path, typer.Option("--dir", envvar="ANTREAN_DIR", help="The stack's state folder.")]

PASS_ON: Final = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
"""For commands whose arguments belong to another program."""


def run_in_room(room: str, arguments: Sequence[str], *, state_dir: Path) -> None:
    """
    Run `python -m services.<room> …` with the running stack's environment, and end as it ends.
    """
    environment = without_others(room, running_environment(state_dir))
    command = [sys.executable, "-m", f"services.{room}", *arguments]
    raise typer.Exit(subprocess.run(command, check=False, env=environment, cwd=PROJECT).returncode)
