"""
A small release on a stack somebody has just started, so that there is something to watch.

Called by `antrean up --release`. Leaves the stack as it is afterwards: bookings to look at,
mails to read. A failure is said and ends the show, not the stack.
"""

import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from ops.audit.findings import zeros
from ops.audit.run import audit
from ops.errors import StackError
from ops.release.run import Say, Script, play

SETTLE_SECONDS = 120.0


async def show(env: Mapping[str, str], say: Say) -> None:
    """
    Play it, audit it, say what became of it.
    """
    script = Script(
        accounts=300,
        registered=6,
        demand=2.0,
        opens_in_seconds=8,
        rush_seconds=10,
        pay_within_seconds=25,
        # A resumed stack knows yesterday's crowd, so every show brings new people.
        seed=int(time.time()),
    )
    say("Playing a small release (Ctrl-C ends everything)")
    try:
        with tempfile.TemporaryDirectory(prefix="antrean-show-") as folder:
            played = await play(script, env, folder=Path(folder), say=say)
            say("auditing: Valkey, Postgres, events and mails, slot by slot")
            _, findings = await audit(
                env,
                patience_seconds=SETTLE_SECONDS,
                acknowledged=list(played.tally.acknowledged.values()),
                settle=True,
            )
    except StackError as error:
        say(f"the release stopped: {error}")
        return
    for finding in findings[:10]:
        say(f"✗ {finding.kind.value} {finding.store.value} {finding.subject}: {finding.sentence}")
    counts = ", ".join(f"{name} {count}" for name, count in zeros(findings).items())
    say(f"released {played.places:,} places of {played.offices} offices to {played.wanted:,} people: {counts}")
    say("The stack stays up: look around, or press Ctrl-C.")
