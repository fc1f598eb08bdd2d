"""
What a worker may refuse by itself: slots that were sold out a moment ago, to people who have nothing there.

Told by `batching` what a script has seen, asked by the hot route before it asks Valkey.
Never says that there is a place, and never refuses a repeat of a request that was granted:
whoever has had places in the slot is sent on. Late to open by the length of a word of the
script, a second at most; until then nobody else could have been sold anything either,
unless a planner makes the slot larger meanwhile.
"""

from typing import Final, NamedTuple

from services.quota.domain.decisions import Ask

SLOTS_MAX: Final = 50_000
TAKER: Final = slice(4, 12)
"""Which characters of a reservation id the scripts note."""


class _Closed(NamedTuple):
    offered: int
    takers: str
    until: float


class Gate:
    """
    Slots that are sold out, by slot id. Times are seconds of the monotonic clock.
    """

    def __init__(self) -> None:
        self._closed: dict[str, _Closed] = {}

    def close(self, slot_id: str, offered: int, takers: str, *, until: float) -> None:
        """
        Remember that a slot has only `offered` places left, for so long.
        """
        if len(self._closed) >= SLOTS_MAX:
            self._closed.clear()
        self._closed[slot_id] = _Closed(offered, takers, until)

    def refuses(self, ask: Ask, now: float) -> bool:
        """
        Whether the ask can be told "sold out" without asking.
        """
        closed = self._closed.get(ask.slot_id)
        if closed is None:
            return False
        if now >= closed.until:
            del self._closed[ask.slot_id]
            return False
        return len(ask.person_ids) > closed.offered and ask.reservation_id[TAKER] not in closed.takers
