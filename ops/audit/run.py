"""
Runs an audit: waits for the system to come to rest, collects, judges, tells.

Called by `antrean audit` and by the demo. A moving system contradicts itself for moments;
a finding that stays until patience ends is one.
"""

import asyncio
from collections.abc import Mapping, Sequence

from ops.audit.collect import collect
from ops.audit.compare import judge
from ops.audit.evidence import UNPAID, Evidence
from ops.audit.findings import Finding
from ops.release.tally import Acknowledged

LOOK_AGAIN_SECONDS = 2.0


async def audit(
    env: Mapping[str, str], *, patience_seconds: float, acknowledged: Sequence[Acknowledged] = (), settle: bool = False
) -> tuple[Evidence, list[Finding]]:
    """
    Audit until nothing is found or patience ends; the last look counts.

    With `settle`, also wait until no booking is on its way any more.
    """
    give_up_at = asyncio.get_running_loop().time() + patience_seconds
    while True:
        evidence = await collect(env, acknowledged)
        findings = judge(evidence)
        restless = settle and any(row.state in UNPAID for row in evidence.bookings.values())
        if (not findings and not restless) or asyncio.get_running_loop().time() >= give_up_at:
            return evidence, findings
        await asyncio.sleep(LOOK_AGAIN_SECONDS)
