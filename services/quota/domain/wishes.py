"""
Places booking wants of quota: in which order they are tried, and what can come of it.

Built by the wishing use case and its store. Pure; nothing here reads a clock.
"""

import enum
import itertools
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import msgspec

from contracts.events import PlacesWanted

HEEDS_BLOCKS: Final = frozenset({"waitlist"})
"""Nobody else looked at these people: a block stands in their way. Staff may wish for somebody who is blocked."""


class Run(NamedTuple):
    """
    Slots of one partition that are tried together.
    """

    number: int
    partition: int
    slot_ids: tuple[str, ...]
    is_last: bool


def runs_of(wanted: PlacesWanted, partition_of: Callable[[str], int]) -> list[Run]:
    """
    A wish's slots in their order, cut where the partition changes.
    """
    cut = [(partition, tuple(some)) for partition, some in itertools.groupby(wanted.slot_ids, partition_of)]
    return [
        Run(number, partition, slot_ids, is_last=number == len(cut) - 1)
        for number, (partition, slot_ids) in enumerate(cut)
    ]


class Became(enum.StrEnum):
    """
    What has come of a wish. The values are metric labels.
    """

    HELD = "held"
    REFUSED = "refused"
    HELD_BEFORE = "held_before"
    REFUSED_BEFORE = "refused_before"
    ENDED = "ended"
    """It had places, and they went back: a late repeat."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """
    What a wish has led to: where its places are, or why there are none.
    """

    became: Became
    slot_id: str = ""
    why: str = ""


def wanted_seats(wanted: PlacesWanted, run: Run) -> Sequence[int]:
    """
    The numbers asked for, lowest first: they are of the first slot alone.
    """
    return sorted(set(wanted.seats)) if run.number == 0 else ()
