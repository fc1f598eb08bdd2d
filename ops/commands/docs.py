"""
`antrean docs`: write the API documents from the code, or check that they are those of the code.

Thin: `ops.docs` makes them.
"""

from typing import Annotated

import typer

from ops import docs as documents


def register(app: typer.Typer) -> None:
    """
    Attach this group to the command line.
    """
    app.command()(docs)


def docs(
    check: Annotated[bool, typer.Option("--check", help="Only compare; exit code 1 on a difference.")] = False,  # noqa: FBT002
) -> None:
    """
    Write docs/api/openapi.json, docs/api/asyncapi.json and docs/booking-life.md from the code.
    """
    if check:
        stale = documents.stale()
        for path in stale:
            print(f"{path.relative_to(documents.ROOT)} is not what the code says: run `make docs` and commit it.")
        raise typer.Exit(1 if stale else 0)
    changed = {path.name for path in documents.write()}
    for path in documents.documents():
        print(f"{path.relative_to(documents.ROOT)}: {'written' if path.name in changed else 'unchanged'}")
