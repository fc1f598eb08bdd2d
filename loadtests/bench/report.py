"""
What the bench has found so far: lines for people, raw records for files, figures for the last line.

Filled by scenarios, printed by `__main__`. A figure that was not measured is null, never a guess.
"""

import dataclasses
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

BARS: Final = {
    "oversold": "0",
    "lost": "0",
    "p99_ms_at_half_peak": "<= 10",
    "cpu_growth_10m": "<= 1.1",
    "bytes_per_hold": "<= 600",
    "national_release_seconds": "<= 15",
    "goodput_2x": ">= 0.95",
    "goodput_5x": ">= 0.92",
    "goodput_10x": ">= 0.90",
    "recovery": ">= 0.98",
    "rebuild_1m_seconds": "<= 15",
}
"""The figures that are promised, and what is asked of them."""
_DIGITS: Final = 4


@dataclasses.dataclass(slots=True)
class Report:
    """
    One run's findings.
    """

    figures: dict[str, float | int | None] = dataclasses.field(default_factory=lambda: dict.fromkeys(BARS))
    failed: dict[str, str] = dataclasses.field(default_factory=dict)
    """Scenarios that did not come to an end, and why."""
    records: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    _began: float = dataclasses.field(default_factory=time.monotonic)

    def say(self, line: str) -> None:
        """
        Progress, at once.
        """
        print(f"{time.monotonic() - self._began:6.1f} s  {line.strip()}", flush=True)

    def keep(self, scenario: str, **measured: Any) -> None:
        """
        A raw record.
        """
        self.records.append({"scenario": scenario, **measured})

    def fail(self, scenario: str, why: str) -> None:
        """
        A scenario did not come to its end; others are played all the same.
        """
        self.failed[scenario] = why
        self.say(f"✗ {scenario}: {why}")

    def set(self, **figures: float) -> None:
        """
        Figures for the last line.
        """
        for name, value in figures.items():
            self.figures[name] = value if isinstance(value, int) else float(f"{value:.{_DIGITS}g}")

    def add(self, **counts: int) -> None:
        """
        Faults seen by one more audit.
        """
        for name, count in counts.items():
            self.figures[name] = int(self.figures.get(name) or 0) + count

    def write(self, file: Path) -> None:
        """
        Every raw record as JSON lines.
        """
        file.write_text("".join(json.dumps(record) + "\n" for record in self.records))

    def table(self) -> str:
        """
        Figures for people, the promised ones with their bars.
        """
        return "\n".join(
            f"  {name:<34}{_shown(value):>12}" + (f"   bar {BARS[name]}" if name in BARS else "")
            for name, value in self.figures.items()
        )

    def last_line(self, facts: Mapping[str, Any]) -> str:
        """
        One JSON object.
        """
        return json.dumps({**self.figures, **facts, "failed": self.failed})


def _shown(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.3f}".rstrip("0").rstrip(".")
