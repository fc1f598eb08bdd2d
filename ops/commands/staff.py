"""
`antrean staff grant|revoke|list`: who of the accounts is staff. Identity does the work.

Everything after the command's name goes to identity's own command line.
"""

import typer

from ops.commands.common import DEFAULT_DIR, PASS_ON, Dir, run_in_room


def register(app: typer.Typer) -> None:
    """
    Attach this group to the command line.
    """
    app.command("staff", context_settings=PASS_ON)(staff)


def staff(context: typer.Context, state_dir: Dir = DEFAULT_DIR) -> None:
    """
    Give and take roles of staff: `antrean staff grant budi officer:bandung --reason "starts on Monday"`.
    """
    run_in_room("identity", ["staff", *context.args], state_dir=state_dir)
