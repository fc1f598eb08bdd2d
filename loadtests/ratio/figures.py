"""
Rounds as medians, ratios and a table.

Called by the bench. A ratio is worked out within each round, whose scenarios ran minutes
or seconds apart, and the median of those is the figure. Pure.
"""

import statistics
from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import Final, NamedTuple

from loadtests.ratio.scenarios import Round, Scenario

COLUMNS: Final = (
    "per_second",
    "p50_ms",
    "p99_ms",
    "worker_us",
    "valkey_us",
    "worker_busy",
    "valkey_busy",
    "generator_busy",
    "others_busy",
)


class Ratio(NamedTuple):
    """
    A measure of one scenario over that of another, and the figure asked of it.
    """

    measure: str
    above: str
    below: str
    bar: str


RATIOS: Final = {
    "worker_cpu_vs_bare": Ratio("worker_us", "reserve", "bare", "<= 1.5"),
    "worker_cpu_jwt_cached_vs_bare": Ratio("worker_us", "jwt_cached", "bare", ""),
    "worker_cpu_cold_jwt_vs_bare": Ratio("worker_us", "jwt_cold", "bare", ""),
    "sold_out_cpu_vs_bare": Ratio("worker_us", "sold_out", "bare", "<= 1.1"),
    "valkey_cpu_vs_minimal": Ratio("valkey_us", "reserve", "minimal", "<= 2.0"),
    "fsync_vs_memory": Ratio("per_second", "reserve", "memory", ">= 0.85"),
    "fsync_vs_memory_256": Ratio("per_second", "crowd", "crowd_memory", ""),
    "reserve_vs_redis_py": Ratio("per_second", "reserve", "redis_py", ""),
    "reserve_vs_pg_hot_row": Ratio("per_second", "reserve_hot", "pg_hot_row", ">= 5"),
}
"""Both sides of the last one sell one and the same slot."""


def medians(rounds: Iterable[Round]) -> dict[str, dict[str, float]]:
    """
    The median of every measure by scenario.
    """
    seen: dict[str, list[Round]] = {}
    for one in rounds:
        seen.setdefault(one.scenario, []).append(one)
    return {
        name: {column: statistics.median(map(attrgetter(column), several)) for column in COLUMNS}
        for name, several in seen.items()
    }


def ratios(rounds: Sequence[Round]) -> dict[str, float]:
    """
    Every ratio, the median over rounds.
    """
    place = {(one.scenario, one.number): one for one in rounds}
    numbers = sorted({one.number for one in rounds})

    def of_round(ratio: Ratio, number: int) -> float:
        value = attrgetter(ratio.measure)
        below = value(place[ratio.below, number])
        return value(place[ratio.above, number]) / below if below else 0.0

    return {
        name: round(statistics.median(of_round(ratio, number) for number in numbers), 3)
        for name, ratio in RATIOS.items()
    }


def table(scenarios: Sequence[Scenario], found: dict[str, dict[str, float]]) -> str:
    """
    Medians for people.
    """
    heads = ("req/s", "p50 ms", "p99 ms", "worker µs", "Valkey µs", "worker busy", "Valkey", "generator", "others")
    lines = [_row("medians", heads)]
    for scenario in scenarios:
        one = found[scenario.name]
        cells = (
            f"{one['per_second']:,.0f}",
            f"{one['p50_ms']:.2f}",
            f"{one['p99_ms']:.2f}",
            f"{one['worker_us']:.1f}" if scenario.worker else "-",
            f"{one['valkey_us']:.1f}" if scenario.valkey else "-",
            f"{one['worker_busy']:.0%}" if scenario.worker else "-",
            f"{one['valkey_busy']:.0%}" if scenario.valkey else "-",
            f"{one['generator_busy']:.0%}",
            f"{one['others_busy']:.0%}",
        )
        lines.append(_row(scenario.what, cells))
    return "\n".join(lines)


def _row(name: str, cells: Sequence[str]) -> str:
    return f"  {name:<42}" + "".join(f"{cell:>12}" for cell in cells)


def ratio_lines(found: dict[str, float]) -> str:
    """
    Ratios with what is asked of them.
    """
    return "\n".join(
        f"  {name:<32} {value:8.3f}" + (f"   bar {RATIOS[name].bar}" if RATIOS[name].bar else "")
        for name, value in found.items()
    )
