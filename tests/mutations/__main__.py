"""
`python -m tests.mutations list | run NAME [TEST …]`: look at the planted bugs, and see one be caught.

For people. Without tests named, those run that have to catch it, on a Valkey of their own;
with tests named (`tests/unit tests/integration -k quota`) those run, on a stack of theirs.
"""

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from tests.integration.own_valkey import own_valkey
from tests.mutations.planted import Bug, bugs, caught, copy_tree, plant, run_tests


def _listed() -> int:
    for bug in bugs():
        print(f"{bug.name:45} {bug.file}\n    {bug.breaks}")  # noqa: T201 - a command line prints
    return 0


async def _run(bug: Bug, tests: list[str]) -> int:
    with tempfile.TemporaryDirectory(prefix="antrean-bug-") as folder:
        tree = copy_tree(Path(folder) / "tree")
        plant(bug, tree)
        if tests:
            outcome = await asyncio.to_thread(run_tests, tree, tests, valkey_url=None, run_seconds=None)
        else:
            async with own_valkey(Path(folder) / "valkey") as server:
                outcome = await asyncio.to_thread(run_tests, tree, bug.caught_by, valkey_url=server.url)
    verdict = "caught" if caught(outcome) else "NOT CAUGHT"
    print(outcome.said, f"{bug.name}: {verdict}. {bug.breaks}", sep="\n")  # noqa: T201
    return 0 if caught(outcome) else 1


def main() -> int:
    """
    What was asked for. 0 if the bug was caught.
    """
    parser = argparse.ArgumentParser(prog="python -m tests.mutations", description="Planted bugs.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("list", help="say which there are")
    run = verbs.add_parser("run", help="plant one in a copy and run tests there")
    run.add_argument("name", choices=[bug.name for bug in bugs()], metavar="NAME")
    asked, tests = parser.parse_known_args()
    if asked.verb == "list":
        return _listed()
    (bug,) = [one for one in bugs() if one.name == asked.name]
    return asyncio.run(_run(bug, tests))


if __name__ == "__main__":
    sys.exit(main())
