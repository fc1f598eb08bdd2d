"""
`antrean audit-log`: whether anybody touched what staff's deeds left behind. Booking does the work.

Everything after the command's name goes to booking's own command line.
"""

import typer

from ops.commands.common import DEFAULT_DIR, PASS_ON, Dir, run_in_room


def register(app: typer.Typer) -> None:
    """
    Attach this group to the command line.
    """
    app.command("audit-log", context_settings=PASS_ON)(audit_log)


def audit_log(context: typer.Context, state_dir: Dir = DEFAULT_DIR) -> None:
    """
    Check the audit log, and name every line that was changed, removed or reordered: `antrean audit-log verify`.
    """
    run_in_room("booking", ["audit-log", *context.args], state_dir=state_dir)
