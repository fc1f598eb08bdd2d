"""
The bench plays its scenarios and says all its figures. How fast is not asserted.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ops.state import PROJECT

FIGURES = {
    *("oversold", "lost", "p99_ms_at_half_peak", "cpu_growth_10m", "bytes_per_hold", "national_release_seconds"),
    *("goodput_2x", "goodput_5x", "goodput_10x", "recovery", "rebuild_1m_seconds"),
}
POSITIVE = ("p99_ms_at_half_peak", "cpu_growth_10m", "bytes_per_hold", "recovery")
ON_ONE_WORKER = ("peak", "overload", "sold_out", "availability", "friday", "growth")
RUN_SECONDS_MAX = 240

needs_two_cores = pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2, reason="keeps two cores apart"
)


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "loadtests.bench", *arguments],
        cwd=PROJECT,
        check=False,
        capture_output=True,
        text=True,
        timeout=RUN_SECONDS_MAX,
    )


@needs_two_cores
def test_a_tiny_run_measures_one_worker_and_says_what_it_was_measured_on(tmp_path: Path) -> None:
    """
    The last line has every figure of one worker as a positive number, places sold twice or lost as none.
    """
    out = tmp_path / "raw.jsonl"

    done = bench("--quick", "--only", *ON_ONE_WORKER, "--out", str(out))

    assert 0 == done.returncode, done.stdout[-2000:] + done.stderr[-2000:]
    last = json.loads(done.stdout.splitlines()[-1])
    assert FIGURES <= last.keys()
    assert [] == [name for name in POSITIVE if not last[name] > 0]
    # A storm of a moment is over before its first answer may be.
    assert [] == [name for name in ("goodput_2x", "goodput_5x", "goodput_10x") if last[name] is None]
    assert (0, 0, 0) == (last["oversold"], last["lost"], last["unbalanced"])
    assert {"commit", "seed", "machine"} <= last.keys()
    assert {"peak", "half_peak", "overload_10x", "recovery", "friday"} <= {
        json.loads(line)["scenario"] for line in out.read_text().splitlines()
    }


def test_a_tiny_release_reaches_postgres_and_nothing_is_sold_twice_or_lost() -> None:
    """
    Every place is sold, recorded, and found again by the audit.
    """
    done = bench("--quick", "--only", "national")

    assert 0 == done.returncode, done.stdout[-2000:] + done.stderr[-2000:]
    last = json.loads(done.stdout.splitlines()[-1])
    assert last["national_release_seconds"] > 0
    assert (0, 0, 0, 0) == (last["oversold"], last["lost"], last["unbalanced"], last["unsold"])


def test_a_tiny_loss_is_rebuilt_without_a_difference() -> None:
    """
    Valkey is wiped, and every booking's hold is back.
    """
    done = bench("--quick", "--only", "rebuild")

    assert 0 == done.returncode, done.stdout[-2000:] + done.stderr[-2000:]
    last = json.loads(done.stdout.splitlines()[-1])
    assert last["rebuild_1m_seconds"] > 0
    assert 0 == last["rebuild_differences"]


def test_more_holds_than_a_machine_can_keep_are_refused() -> None:
    """
    The size of a run is bounded from the start.
    """
    done = bench("--holds", "1000000000")

    assert 2 == done.returncode
    assert "--holds 1001..20000000" in done.stderr
