"""
How much is read in one turn of the event loop, whatever number of connections has something to say.

Asked by the street door for every piece that arrives. A crowd read at once makes one long
turn in which nothing else moves: no answer of a store is heard, no batch leaves. Here the rest
stays unread at its sender's, in the order it came, and the turns stay short. While the room
has its hands full few are read: the others wait where they cost nothing, and refusals cost
time only in which the room would have waited. Never refuses anybody: how many may wait is the limit on connections.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

from aiohttp import web

from kernel import metrics

PIECES_PER_TURN_MAX: Final = 256
"""About as many as a room decides at once: two full batches for the next turn."""

PIECES_WHILE_FULL: Final = 8
"""A part of a millisecond, which does not delay what the room is at; a room that stands still has them to refuse."""
FULL: Final[web.AppKey[Callable[[], bool]]] = web.AppKey("full")
"""Where a room can tell that it has its hands full. Asked once per turn."""


class Waits(Protocol):
    """
    Something that was told to wait.
    """

    def go_on(self) -> bool:
        """
        Its turn has come. Whether it still wanted one.
        """


class Turnstile:
    """
    Lets so many through per turn of the loop; the others queue.
    """

    __slots__ = ("_full", "_left", "_loop", "_per_turn", "_turning", "_waiting")

    def __init__(
        self, loop: asyncio.AbstractEventLoop, full: Callable[[], bool], *, per_turn: int = PIECES_PER_TURN_MAX
    ) -> None:
        self._loop = loop
        self._full = full
        self._per_turn = per_turn
        self._left = per_turn
        self._turning = False
        self._waiting: deque[Waits] = deque()

    def lets_through(self) -> bool:
        """
        Whether one more may be read in this turn. While somebody waits, none may: nobody overtakes.
        """
        if self._left <= 0:
            return False
        self._left -= 1
        if not self._turning:
            self._turning = True
            self._loop.call_soon(self._turn)
        return True

    def queue(self, who: Waits) -> None:
        """
        Wait for a later turn; once per `who` until it has gone on.
        """
        metrics.http_read_later.inc()
        self._waiting.append(who)

    def open(self) -> None:
        """
        Let everybody through who waits, at once.
        """
        while self._waiting:
            self._waiting.popleft().go_on()

    def _turn(self) -> None:
        waiting = self._waiting
        self._left = pieces = PIECES_WHILE_FULL if waiting and self._full() else self._per_turn
        try:
            while self._left and waiting:
                self._left -= waiting.popleft().go_on()
        finally:
            # Whatever one of them does, the others' turns come.
            self._turning = self._left < pieces or bool(waiting)
            if self._turning:
                self._loop.call_soon(self._turn)
