"""
`antrean demo`: a release on a stack of its own, from registration mail to audit.

Everything runs on free ports in a throw-away folder. The last line printed is one JSON
object; exit code 0 only if its five zeros are zeros and no client was told two different things.
"""

import asyncio
import collections
import dataclasses
import json
import shutil
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer

from ops.audit.evidence import Evidence
from ops.audit.findings import Finding, zeros
from ops.audit.run import audit
from ops.commands.audit import show
from ops.release.run import Played, Script, play
from ops.stack import Stack

SETTLE_SECONDS = 90.0


def register(app: typer.Typer) -> None:
    """
    Attach this group to the command line.
    """
    app.command()(demo)


def demo(  # noqa: PLR0917 - typer reads options from the signature
    accounts: Annotated[int, typer.Option(min=60, max=200_000, help="Accounts, each with one to five people.")] = 2060,
    registered: Annotated[int, typer.Option(min=1, max=2000, help="Of these, how many register by mail.")] = 60,
    demand: Annotated[float, typer.Option(min=0.1, max=100, help="Wanted places per place on offer.")] = 3.0,
    kill: Annotated[str | None, typer.Option(help="Kill -9 this program in the middle of the rush.")] = None,
    kafka: Annotated[str | None, typer.Option(help="embedded, real, or host:port.")] = None,
    seed: Annotated[int, typer.Option(help="The same seed draws the same crowd.")] = 2026,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the folder with data and logs.")] = False,  # noqa: FBT002
) -> None:
    """
    Play a release on a stack of its own and audit it.
    """
    script = Script(
        accounts=accounts,
        registered=registered,
        demand=demand,
        opens_in_seconds=10,
        rush_seconds=20,
        pay_within_seconds=30,
        seed=seed,
        aftermath=True,
    )
    folder = Path(tempfile.mkdtemp(prefix="antrean-demo-"))
    # Postgres, running as another account when we are root, must reach its data.
    folder.chmod(0o755)
    try:
        code = asyncio.run(_demo(script, folder, kill=kill, kafka=kafka))
    finally:
        if keep:
            _say(f"kept: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    raise typer.Exit(code)


async def _demo(script: Script, folder: Path, *, kill: str | None, kafka: str | None) -> int:
    began = time.monotonic()
    _say(f"Starting a stack of its own in {folder}")
    stack = Stack(folder / "state", kafka=kafka, ports="free", say=_say)
    async with stack:
        if kill is not None:
            stack.pid_of(kill)

        async def interfere() -> None:
            if kill is not None:
                _say(f"kill -9 {kill} (process {stack.kill(kill)})")

        played = await play(script, stack.env, folder=folder, say=_say, interfere=interfere)
        _say("auditing: Valkey, Postgres, events and mails, slot by slot")
        evidence, findings = await audit(
            stack.env,
            patience_seconds=SETTLE_SECONDS,
            acknowledged=list(played.tally.acknowledged.values()),
            settle=True,
        )
    return _tell(played, evidence, findings, seconds=time.monotonic() - began)


def _tell(played: Played, evidence: Evidence, findings: list[Finding], *, seconds: float) -> int:
    show(findings)
    for sentence in played.tally.broken_promises[:20]:
        print(f"✗ {sentence}")
    states = collections.Counter(row.state for row in evidence.bookings.values())
    figures = {
        "offices": played.offices,
        "places": played.places,
        "asked": played.tally.asked,
        "held": len(evidence.bookings),
        "confirmed": states["confirmed"],
        "expired": states["expired"],
        "cancelled": states["cancelled"],
        **(dataclasses.asdict(played.aftermath) if played.aftermath else {}),
        "refused": dict(played.tally.refused.most_common()),
        **zeros(findings),
        "seconds": round(seconds, 1),
    }
    _table(played, evidence, figures)
    print(json.dumps(figures), flush=True)
    return 1 if findings or played.tally.broken_promises else 0


def _table(played: Played, evidence: Evidence, figures: dict[str, object]) -> None:
    rows = {
        **{name: value for name, value in figures.items() if name != "refused"},
        **{f"refused: {code}": count for code, count in played.tally.refused.most_common()},
        "people wanting places": played.wanted,
        "answers replayed": played.tally.replayed,
        "came too late": played.tally.too_late,
        "payments": len(evidence.payments),
        "mails": len(evidence.mails),
        "quota events": sum(len(events) for events in evidence.quota_events.values()),
        "contradicting answers": len(played.tally.broken_promises),
    }
    print()
    for name, value in rows.items():
        print(f"  {name:<32} {value:>10}")
    print()


def _say(line: str) -> None:
    print(line, flush=True)
