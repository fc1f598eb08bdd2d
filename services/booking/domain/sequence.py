"""
Which of a batch of quota's events are next, which are repeats, and where one is missing.

Called by the recording use case with the sequence numbers Postgres has recorded, under
their locks. Quota counts per partition and epoch without a gap, starting at 1, so the
recorded number is a complete inbox.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import TypeAlias

from contracts.events import QuotaEvent

Line: TypeAlias = tuple[int, int]
"""A partition and an epoch of it: what is counted by one sequence."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """
    An event came whose predecessor has not.
    """

    line: Line
    expected_seq: int
    came_seq: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """
    What of a batch can be recorded now.
    """

    events: tuple[QuotaEvent, ...]
    moved: dict[Line, int]
    """The new recorded number of each line that moves."""
    gaps: tuple[Gap, ...]
    repeats: int


def take(recorded: Mapping[Line, int], events: Iterable[QuotaEvent]) -> Taken:
    """
    Sort a batch out. Behind a gap nothing of that line is taken, not even what would fit later.
    """
    position = dict(recorded)
    gaps: dict[Line, Gap] = {}
    taken: list[QuotaEvent] = []
    repeats = 0
    for event in events:
        line = (event.partition, event.epoch)
        expected_seq = position.get(line, 0) + 1
        if event.seq < expected_seq:
            repeats += 1
        elif line in gaps:
            continue
        elif event.seq > expected_seq:
            gaps[line] = Gap(line=line, expected_seq=expected_seq, came_seq=event.seq)
        else:
            taken.append(event)
            position[line] = event.seq
    moved = {line: seq for line, seq in position.items() if seq != recorded.get(line, 0)}
    return Taken(events=tuple(taken), moved=moved, gaps=tuple(gaps.values()), repeats=repeats)
