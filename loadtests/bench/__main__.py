"""
`python -m loadtests.bench`: measure the limits, one scenario after the other, and print what was found.

Called by `make bench` and, with `--quick`, by a test that asserts no time. The last line
is one JSON object. Ends by itself within fifteen minutes.
"""

import argparse
import asyncio
import os
import random
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import asyncpg
import uvloop
from redis.exceptions import RedisError

from loadtests.apart import facts, thrown_away
from loadtests.bench import friday, growth, national, rebuild
from loadtests.bench.report import Report
from loadtests.bench.scale import QUICK, WHOLE, Scale
from loadtests.bench.steady import Steady
from loadtests.ratio.stand import stand
from ops.errors import StackError

RUN_SECONDS_MAX: Final = 900.0
HOLDS_MAX: Final = 20_000_000
ON_A_STAND: Final = ("peak", "overload", "sold_out", "availability", "friday", "growth")
ON_A_STACK: Final = ("national", "national_singles")
SCENARIOS: Final = (*ON_A_STAND, *ON_A_STACK, "rebuild")
BY_DEFAULT: Final = tuple(name for name in SCENARIOS if name != "national_singles")
"""All that has a bar or explains one: with the release of singles a slow machine takes longer than a run may."""


async def run(given: argparse.Namespace, scale: Scale, report: Report) -> None:
    """
    Every scenario asked for, in order.
    """
    async with asyncio.timeout(RUN_SECONDS_MAX):
        if set(given.only) & set(ON_A_STAND):
            await _on_a_stand(given, scale, report)
        for name in ON_A_STACK:
            if name in given.only:
                await _play(name, national.play(name, scale, report, seed=given.seed), report)
        if "rebuild" in given.only:
            await _play("rebuild", rebuild.play(scale, report), report)


async def _play(name: str, played: Awaitable[None], report: Report) -> None:
    """
    One scenario. What goes wrong in it is said, and takes nothing from what others have found.
    """
    try:
        await played
    except TimeoutError:
        report.fail(name, "something did not answer in time")
    except (StackError, OSError, RedisError, asyncpg.PostgresError) as error:
        report.fail(name, str(error))


async def _on_a_stand(given: argparse.Namespace, scale: Scale, report: Report) -> None:
    """
    What one worker does, with a core of its own.
    """
    cores = os.sched_getaffinity(0)
    async with (
        thrown_away("bench") as folder,
        stand(folder / "state", offices=scale.offices, say=report.say) as made,
    ):
        dice = random.Random(given.seed)
        steady = Steady(made, scale, report, dice)
        plays: dict[str, Callable[[], Awaitable[None]]] = {
            "peak": steady.measure_half,
            "overload": steady.measure_overload,
            "sold_out": steady.measure_sold_out,
            "availability": steady.measure_availability,
            "friday": lambda: friday.play(made, scale, report, dice=dice),
            "growth": lambda: growth.play(made, scale, report, holds=given.holds),
        }
        for scenario in ON_A_STAND:
            if scenario in given.only:
                await _play(scenario, plays[scenario](), report)
    # The stand kept this process and its children to one core.
    os.sched_setaffinity(0, cores)


def arguments() -> argparse.Namespace:
    """
    The command line, refused when it leaves its bounds.
    """
    parser = argparse.ArgumentParser(prog="python -m loadtests.bench", description="Limits, in one run on one machine.")
    parser.add_argument("--only", nargs="+", choices=SCENARIOS, default=BY_DEFAULT, help="these scenarios alone")
    parser.add_argument("--quick", action="store_true", help="everything tiny: does it work? Says nothing else")
    parser.add_argument("--holds", type=int, help=f"of the growth scenario; {WHOLE.holds:,} by default")
    parser.add_argument("--seed", type=int, default=1, help="of every draw")
    parser.add_argument("--out", type=Path, help="file for raw records as JSON lines")
    given = parser.parse_args()
    given.holds = given.holds or (QUICK if given.quick else WHOLE).holds
    if not growth.FEW < given.holds <= HOLDS_MAX:
        parser.error(f"--holds {growth.FEW + 1}..{HOLDS_MAX}")
    return given


def main() -> None:
    """
    Run and print.
    """
    given = arguments()
    scale = QUICK if given.quick else WHOLE
    report = Report()
    try:
        uvloop.run(run(given, scale, report))
    except StackError as error:
        report.fail("bench", str(error))
    except TimeoutError:
        report.fail("bench", f"something did not answer in time, or all of it took longer than {RUN_SECONDS_MAX:g} s")
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        if given.out:
            report.write(given.out)
    print(f"\n{report.table()}\n")
    said = facts(seed=given.seed) | {"quick": given.quick}
    print(report.last_line(said), flush=True)
    sys.exit(1 if report.failed else 0)


if __name__ == "__main__":
    main()
