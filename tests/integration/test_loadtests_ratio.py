"""
The ratio bench plays all its scenarios and says all its figures. How fast is not asserted.
"""

import json
import os
import subprocess
import sys

import pytest

from ops.state import PROJECT

RATIOS = {
    "worker_cpu_vs_bare",
    "worker_cpu_jwt_cached_vs_bare",
    "worker_cpu_cold_jwt_vs_bare",
    "sold_out_cpu_vs_bare",
    "valkey_cpu_vs_minimal",
    "fsync_vs_memory",
    "fsync_vs_memory_256",
    "reserve_vs_redis_py",
    "reserve_vs_pg_hot_row",
}
SCENARIOS = {
    *("bare", "reserve", "reserve_hot", "sold_out", "memory", "jwt_cold", "jwt_cached"),
    *("crowd", "crowd_memory", "redis_py", "pg_hot_row", "minimal"),
}
RUN_SECONDS_MAX = 180

needs_two_cores = pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2, reason="keeps two cores apart"
)


@needs_two_cores
def test_a_tiny_run_says_every_ratio() -> None:
    """
    The last line is one JSON object with every ratio as a positive number, and what it was measured on.
    """
    done = subprocess.run(
        [sys.executable, "-m", "loadtests.ratio", "--smoke"],
        cwd=PROJECT,
        check=False,
        capture_output=True,
        text=True,
        timeout=RUN_SECONDS_MAX,
    )

    assert 0 == done.returncode, done.stdout[-2000:] + done.stderr[-2000:]
    last = json.loads(done.stdout.splitlines()[-1])
    assert [] == [name for name in RATIOS if not last[name] > 0]
    assert {"commit", "seed", "machine"} <= last.keys()
    assert SCENARIOS == last["medians"].keys()


def test_more_than_the_bench_may_take_is_refused() -> None:
    """
    The length of a run is bounded from the start.
    """
    done = subprocess.run(
        [sys.executable, "-m", "loadtests.ratio", "--seconds", "600"],
        cwd=PROJECT,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert 2 == done.returncode
    assert "--seconds up to 5" in done.stderr
