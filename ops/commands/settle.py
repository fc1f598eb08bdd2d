"""
`antrean settle FILE`: a bank's report of a day against the payments taken. Payment does the work.

Everything after the command's name goes to payment's own command line; it ends as that ends: 0 all
matched, 1 differences, 2 unreadable.
"""

from pathlib import Path
from typing import Annotated

import typer

from ops.commands.common import DEFAULT_DIR, PASS_ON, Dir, run_in_room


def register(app: typer.Typer) -> None:
    """
    Attach this group to the command line.
    """
    app.command("settle", context_settings=PASS_ON)(settle)


def settle(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="CSV; the columns stand in services/payment/README.md.")],
    state_dir: Dir = DEFAULT_DIR,
) -> None:
    """
    Reconcile a bank's daily report: matched, missing here, missing there, amounts that differ, duplicates.
    """
    run_in_room("payment", ["settle", str(file.absolute()), *context.args], state_dir=state_dir)
