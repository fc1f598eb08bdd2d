"""
`python -m loadtests.booking` (`make bench-booking`): booking's work in Postgres, on stores of its own.

Starts Postgres and Kafka in a throw-away folder, measures figure after figure, prints them beside their bars; the last
line is one JSON object. Bars are for people to judge by: the bench ends with 0 whatever it finds.
"""

import argparse
import contextlib
import json
import os
import random
import tempfile
from pathlib import Path
from typing import Any, Final

import uvloop

from kernel import log
from kernel.kafka.producer import kafka_producer
from kernel.process import collect_seldom
from kernel.settings import KafkaSettings, PostgresSettings
from loadtests.booking.expiry import expire
from loadtests.booking.recording import compare, grow
from loadtests.booking.stand import stand
from loadtests.booking.tampering import tamper
from loadtests.ratio.processor import machine
from ops.background import BackgroundStack
from ops.stack import Stack

FIGURES: Final = ("record", "expiry", "audit")
BARS: Final = {
    "record_vs_copy": "at least 0.5",
    "slowdown_1m": "at most 0.10",
    "expiry_p99_seconds": "at most 1",
    "expired_early": "0",
    "expired_twice": "0",
    "audit_tampering_planted": "10000",
    "audit_tampering_found": "as many as planted",
}
_GIVEN: Final = {"VALKEY_URL", "DATABASE_URL", "KAFKA_BOOTSTRAP", "SMTP_URL", "MAIL_LOOKUP_URL", "PUBLIC_URL"}


async def measure(env: dict[str, str], given: argparse.Namespace) -> dict[str, Any]:
    """
    Figure after figure, each in databases of its own.
    """
    kafka, settings = KafkaSettings(bootstrap=env["KAFKA_BOOTSTRAP"]), PostgresSettings(url=env["DATABASE_URL"])
    half = int(env["PARTITIONS"]) // 2
    found: dict[str, Any] = dict.fromkeys(BARS)
    if "audit" in given.only:
        print("audit log", flush=True)
        async with stand(settings, "bench_audit", partitions=[0]) as one:
            found |= await tamper(one, plantings=given.plantings, rng=random.Random(given.seed))
    if "expiry" in given.only:
        print("expiry", flush=True)
        async with stand(settings, "bench_expiry", partitions=range(2 * half)) as one:
            found |= await expire(one, kafka, holds=given.holds)
    if "record" in given.only:
        print("recording", flush=True)
        async with contextlib.AsyncExitStack() as held:
            few = await held.enter_async_context(stand(settings, "bench_few", partitions=range(half)))
            many = await held.enter_async_context(stand(settings, "bench_many", partitions=range(half, 2 * half)))
            producer = await held.enter_async_context(kafka_producer(kafka, name="bench-booking"))
            await grow(many, given.grown)
            found |= await compare(few, many, kafka, producer, rounds=given.rounds, size=given.size)
    return found


def main() -> None:
    """
    Read the command line, measure, and say.
    """
    given = _parser().parse_args()
    if given.quick:
        given.holds, given.grown, given.size, given.rounds, given.plantings = 2000, 5000, 1000, 1, 60
    log.configure("bench-booking", "warning")
    collect_seldom()
    environ = {name: value for name, value in os.environ.items() if name not in _GIVEN}
    before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="antrean-bench-booking-") as name:
        Path(name).chmod(0o755)

        def build() -> Stack:
            return Stack(Path(name) / "stores", environ, services=False, kafka="embedded", ports="free")

        with BackgroundStack(build) as stack:
            found = uvloop.run(measure(dict(stack.env), given))
    for figure, bar in BARS.items():
        print(f"{figure:<26}{found[figure]!s:>12}   (bar: {bar})")
    print(json.dumps({**found, "seed": given.seed, "machine": machine(), "load_before": before}))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m loadtests.booking", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=FIGURES, default=FIGURES)
    parser.add_argument("--quick", action="store_true", help="a little of everything: whether it works, not how fast")
    parser.add_argument("--holds", type=int, default=100_000, help="that expire at one moment")
    parser.add_argument("--grown", type=int, default=1_000_000, help="bookings there beforehand")
    parser.add_argument("--size", type=int, default=30_000, help="reservations per round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--plantings", type=int, default=10_000, help="edits, removals and swaps in the audit log")
    parser.add_argument("--seed", type=int, default=1)
    return parser


if __name__ == "__main__":
    main()
