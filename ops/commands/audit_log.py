"""
`antrean audit-log`: whether anybody touched what staff's deeds left behind. Each room that keeps a log does the work.

Everything after the command's name goes to the rooms' own command lines, of all of them or of one.
"""

import enum
from typing import Annotated

import typer

from ops.commands.common import DEFAULT_DIR, PASS_ON, Dir, run_in_room


class Room(enum.StrEnum):
    """
    Rooms whose staff do unsafe things.
    """

    BOOKING = "booking"
    PAYMENT = "payment"
    IDENTITY = "identity"


def register(app: typer.Typer) -> None:
    """
    Attach this group to the command line.
    """
    app.command("audit-log", context_settings=PASS_ON)(audit_log)


def audit_log(
    context: typer.Context,
    state_dir: Dir = DEFAULT_DIR,
    room: Annotated[Room | None, typer.Option(help="This room's alone; a head to expect is one room's.")] = None,
) -> None:
    """
    Check the audit log, and name every line that was changed, removed or reordered: `antrean audit-log verify`.
    """
    codes = []
    for one in Room if room is None else [room]:
        typer.echo(f"{one.value}:", err=True)
        try:
            run_in_room(one.value, ["audit-log", *context.args], state_dir=state_dir)
        except typer.Exit as ended:
            codes.append(ended.exit_code)
    # A room that was killed has a code below zero.
    raise typer.Exit(next(filter(None, codes), 0))
