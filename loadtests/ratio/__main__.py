"""
`python -m loadtests.ratio`: play every scenario in turn, several times, and print medians and ratios.

Called by `make bench-ratio` and, with `--smoke`, by a test that asserts no time. The last
line is one JSON object. Ends by itself within fifteen minutes.
"""

import argparse
import asyncio
import dataclasses
import json
import random
import sys
from pathlib import Path
from typing import Final

import uvloop

from loadtests.apart import facts, thrown_away
from loadtests.ratio.figures import medians, ratio_lines, ratios, table
from loadtests.ratio.scenarios import SCENARIOS, Round, measure, sell_out
from loadtests.ratio.stand import Stand, stand, stores_apart
from ops.errors import StackError

RUN_SECONDS_MAX: Final = 900.0
ROUNDS_MIN, ROUNDS_MAX = 3, 30
ROUNDS = 15
"""Many and short: a shared machine changes its pace from one second to the next, and for some at a time."""
SECONDS_MAX: Final = 5.0
WARM_UP_SECONDS: Final = 0.5
OFFICES: Final = 133
SMOKE_OFFICES, SMOKE_SECONDS = 8, 0.3


def say(line: str) -> None:
    """
    Progress, at once.
    """
    print(line, flush=True)


async def play(made: Stand, *, rounds: int, seconds: float, seed: int) -> list[Round]:
    """
    Every scenario once per round, each round in an order of its own, after one short round that is forgotten.
    """
    order = list(SCENARIOS)
    dice = random.Random(seed)
    await stores_apart(made)
    await sell_out(made)
    say("  warming up")
    for scenario in order:
        await measure(scenario, made, number=0, seconds=min(WARM_UP_SECONDS, seconds))
    played: list[Round] = []
    for number in range(1, rounds + 1):
        dice.shuffle(order)
        for scenario in order:
            one = await measure(scenario, made, number=number, seconds=seconds)
            played.append(one)
            say(
                f"  round {number}/{rounds}  {scenario.name:<12} {one.per_second:8,.0f}/s  p99 {one.p99_ms:7.2f} ms"
                f"  worker {one.worker_us:6.1f} µs  Valkey {one.valkey_us:6.1f} µs"
            )
    return played


async def run(given: argparse.Namespace) -> list[Round]:
    """
    On a stand of its own, in a folder that is thrown away.
    """
    offices = SMOKE_OFFICES if given.smoke else OFFICES
    async with (
        asyncio.timeout(RUN_SECONDS_MAX),
        thrown_away("ratio") as folder,
        stand(folder / "state", offices=offices, say=say) as made,
    ):
        return await play(made, rounds=given.rounds, seconds=given.seconds, seed=given.seed)


def arguments() -> argparse.Namespace:
    """
    The command line, refused when it leaves its bounds.
    """
    parser = argparse.ArgumentParser(prog="python -m loadtests.ratio", description="Ratios of one run on one machine.")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="how often every scenario is played")
    parser.add_argument("--seconds", type=float, default=1.2, help="length of one scenario in one round")
    parser.add_argument("--seed", type=int, default=1, help="of the order within rounds")
    parser.add_argument("--out", type=Path, help="file for every round as JSON lines")
    parser.add_argument("--smoke", action="store_true", help="one tiny round: does everything work? Says nothing else")
    given = parser.parse_args()
    if given.smoke:
        given.rounds, given.seconds = 1, SMOKE_SECONDS
    elif not (ROUNDS_MIN <= given.rounds <= ROUNDS_MAX and 0 < given.seconds <= SECONDS_MAX):
        parser.error(f"--rounds {ROUNDS_MIN}..{ROUNDS_MAX}, --seconds up to {SECONDS_MAX:g}")
    return given


def main() -> None:
    """
    Run and print.
    """
    given = arguments()
    try:
        played = uvloop.run(run(given))
    except StackError as error:
        sys.exit(f"bench-ratio: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
    except TimeoutError:
        sys.exit("bench-ratio: something did not answer in time")
    if given.out:
        given.out.write_text("".join(json.dumps(dataclasses.asdict(one)) + "\n" for one in played))
    found, shares = medians(played), ratios(played)
    print(f"\n{table(SCENARIOS, found)}\n\n{ratio_lines(shares)}\n")
    said = facts(seed=given.seed) | {
        "rounds": given.rounds,
        "seconds": given.seconds,
        "medians": {name: {key: round(value, 3) for key, value in one.items()} for name, one in found.items()},
    }
    print(json.dumps(shares | said))


if __name__ == "__main__":
    main()
