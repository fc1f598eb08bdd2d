"""
The bench of booking's work in Postgres does all it says, on little. How fast is not asserted.
"""

import json
import subprocess
import sys

from ops.state import PROJECT

RUN_SECONDS_MAX = 240


def test_a_quick_run_records_expires_and_finds_every_tampering() -> None:
    """
    The last line has every figure; what does not depend on the machine is as it must be.
    """
    done = subprocess.run(
        [sys.executable, "-m", "loadtests.booking", "--quick"],
        cwd=PROJECT,
        check=False,
        capture_output=True,
        text=True,
        timeout=RUN_SECONDS_MAX,
    )

    assert 0 == done.returncode, done.stdout[-2000:] + done.stderr[-2000:]
    last = json.loads(done.stdout.splitlines()[-1])
    assert [] == [name for name in ("record_vs_copy", "slowdown_1m", "expiry_p99_seconds") if last[name] is None]
    assert (0, 0) == (last["expired_early"], last["expired_twice"])
    assert last["expired"] == last["expiry_told"] > 0
    assert last["audit_tampering_planted"] == last["audit_tampering_found"] > 0
    assert 0 == last["audit_named_besides"]
