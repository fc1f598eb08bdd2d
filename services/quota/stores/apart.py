"""
Commands of many keys taken apart for a cluster, where keys of different tags are on different nodes.

Called by `stores.cluster`. Knows MGET, UNLINK and DEL; every other command goes as it is,
and the node says so when its keys do not belong together. Never talks to Valkey.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from kernel.topology import slot_of
from services.quota.stores.valkey import Command

_MANY_KEYS: Final = frozenset({"MGET", "UNLINK", "DEL"})


class Piece(NamedTuple):
    """
    What one hash slot gets of a command.
    """

    of: int
    """Which command."""
    command: Command
    places: tuple[int, ...] | None
    """Where its keys stood; None for a command that was left whole."""


def taken_apart(commands: Sequence[Command]) -> list[Piece]:
    """
    The pieces of all commands, in order.
    """
    return [piece for at, command in enumerate(commands) for piece in _pieces(at, command)]


def _pieces(at: int, command: Command) -> list[Piece]:
    name = str(command[0]).upper()
    if name not in _MANY_KEYS:
        return [Piece(at, command, None)]
    of_slot: dict[int, list[int]] = {}
    for place, key in enumerate(command[1:]):
        of_slot.setdefault(slot_of(key if isinstance(key, bytes) else str(key)), []).append(place)
    return [
        Piece(at, (command[0], *(command[1 + place] for place in places)), tuple(places)) for places in of_slot.values()
    ]


def put_together(commands: Sequence[Command], pieces: Sequence[Piece], replies: Sequence[Any]) -> list[Any]:
    """
    One reply for each command. A piece that failed is what the whole command answers.
    """
    whole: list[Any] = [None] * len(commands)
    for piece, reply in zip(pieces, replies, strict=True):
        so_far = whole[piece.of]
        if piece.places is None or isinstance(reply, Exception):
            whole[piece.of] = reply
        elif isinstance(so_far, Exception):
            continue
        elif isinstance(reply, list):
            values = so_far or [None] * (len(commands[piece.of]) - 1)
            for place, value in zip(piece.places, reply, strict=True):
                values[place] = value
            whole[piece.of] = values
        else:
            whole[piece.of] = (so_far or 0) + reply
    return whole
