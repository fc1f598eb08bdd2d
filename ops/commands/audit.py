"""
`antrean audit`: hold Valkey, Postgres, the events and the mails against each other.

Prints every finding and a table; exit code 1 when one of the five numbers is not zero.
"""

import asyncio
import json
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from ops.audit.findings import Finding, zeros
from ops.audit.run import audit as run_audit
from ops.commands.common import DEFAULT_DIR, Dir
from ops.release.tally import Acknowledged
from ops.state import running_environment

FINDINGS_SHOWN_MAX = 50


def register(app: typer.Typer) -> None:
    """
    Attach this group to the command line.
    """
    app.command()(audit)


def audit(
    state_dir: Dir = DEFAULT_DIR,
    wait: Annotated[float, typer.Option(help="Seconds a moving system has to come to rest.", min=0, max=3600)] = 20.0,
    acks: Annotated[Path | None, typer.Option(help="JSON lines of 201 answers that clients hold.")] = None,
) -> None:
    """
    Compare Valkey, Postgres, events and mails slot by slot. Exit code 1 when something is wrong.
    """
    held = [msgspec.json.decode(line, type=Acknowledged) for line in acks.read_bytes().splitlines()] if acks else []
    evidence, findings = asyncio.run(
        run_audit(running_environment(state_dir), patience_seconds=wait, acknowledged=held)
    )
    show(findings)
    counts = {
        "slots": len(evidence.slots),
        "holds": len(evidence.holds),
        "bookings": len(evidence.bookings),
        "payments": len(evidence.payments),
        "quota_events": sum(len(events) for events in evidence.quota_events.values()),
        "mails": len(evidence.mails),
    }
    print(json.dumps(counts | zeros(findings)))
    raise typer.Exit(1 if findings else 0)


def show(findings: list[Finding]) -> None:
    """
    A line per finding, up to a bound.
    """
    for finding in findings[:FINDINGS_SHOWN_MAX]:
        print(f"✗ {finding.kind.value:<16} {finding.store.value:<9} {finding.subject}: {finding.sentence}")
    if len(findings) > FINDINGS_SHOWN_MAX:
        print(f"  and {len(findings) - FINDINGS_SHOWN_MAX:,} more")
