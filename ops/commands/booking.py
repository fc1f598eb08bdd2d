"""
Commands that prepare a release: `seed` and `window`. Booking does the work.

Everything after the command's name goes to booking's own command line.
"""

import typer

from ops.commands.common import DEFAULT_DIR, PASS_ON, Dir, run_in_room


def register(app: typer.Typer) -> None:
    """
    Attach this group to the command line.
    """
    app.command("seed", context_settings=PASS_ON)(seed)
    app.command("window", context_settings=PASS_ON)(window)


def seed(context: typer.Context, state_dir: Dir = DEFAULT_DIR) -> None:
    """
    Load offices and holidays, plan the next week's slots (options: see `antrean seed --help`).
    """
    run_in_room("booking", ["seed", *context.args], state_dir=state_dir)


def window(context: typer.Context, state_dir: Dir = DEFAULT_DIR) -> None:
    """
    Open a window: `antrean window open --in 30s`.
    """
    run_in_room("booking", ["window", *context.args], state_dir=state_dir)
