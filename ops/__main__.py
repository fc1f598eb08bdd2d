"""
The `antrean` command. Registers the command groups; each lives in `ops.commands`.

A new group is a module there with `register(app)`, and one line below.
"""

import sys

import typer

from ops.commands import audit, audit_log, booking, demo, docs, rebuild, settle, stack, staff
from ops.errors import StackError

app = typer.Typer(
    name="antrean",
    help="Hands out a country's passport appointments. This command runs it on your machine.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

stack.register(app)
booking.register(app)
docs.register(app)
demo.register(app)
audit.register(app)
rebuild.register(app)
settle.register(app)
audit_log.register(app)
staff.register(app)


def main() -> None:
    """
    Run the command line; what the stack cannot do is one sentence and exit code 1.
    """
    try:
        app()
    except StackError as error:
        sys.exit(f"antrean: {error}")


if __name__ == "__main__":
    main()
