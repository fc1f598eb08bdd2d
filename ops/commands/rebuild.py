"""
`antrean rebuild`: Valkey is lost, behind or in doubt; put it back from what booking has recorded.

Prints progress, every hold that was acknowledged and not recorded, and one JSON object as its
last line; exit code 1 when a difference is left, and then nothing is opened.
"""

import asyncio
import json
from typing import Annotated

import typer

from ops.commands.common import DEFAULT_DIR, Dir
from ops.rebuild import rebuild as run_rebuild
from ops.state import running_environment


def register(app: typer.Typer) -> None:
    """
    Attach this group to the command line.
    """
    app.command()(rebuild)


def rebuild(
    state_dir: Dir = DEFAULT_DIR,
    partition: Annotated[list[int] | None, typer.Option(help="Only this one; may be repeated.")] = None,
    wait: Annotated[float, typer.Option(help="Seconds for what is on its way to be recorded.", min=0, max=600)] = 30.0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Compare, and change nothing.")] = False,  # noqa: FBT002
) -> None:
    """
    Rebuild Valkey from booking's snapshot: stop, read, write, compare, open. Doing it again is safe.
    """
    rebuilt = asyncio.run(
        run_rebuild(
            running_environment(state_dir), partitions=partition or (), dry_run=dry_run, wait_seconds=wait, say=print
        )
    )
    for line in rebuilt.lines:
        print(line)
    print(json.dumps(rebuilt.figures))
    raise typer.Exit(1 if rebuilt.figures["differences"] else 0)
