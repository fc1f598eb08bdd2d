"""
Blank booklets: how an office's stock of a kind is dealt out to the slots that draw on it.

Called by the dealing use case with what it has read. Pure: no clock, no store. Slots that nothing
is dealt to sell nothing more; who has a place already keeps it, whatever the stock.
"""

from collections.abc import Sequence

import msgspec


class DrawingSlot(msgspec.Struct, frozen=True, kw_only=True):
    """
    A slot of today or later whose visits take a booklet a person.
    """

    slot_id: str
    days_ahead: int
    capacity: int
    stock_limit: int | None
    gives_places: bool
    """Neither closed nor over."""
    taken: int
    confirmed: int
    """Places of the taken ones whose people are promised a booklet and have none yet."""
    held: int
    """Places of the taken ones that may still be paid for."""


class Need(msgspec.Struct, frozen=True, kw_only=True):
    """
    What is asked of a stock.
    """

    in_stock: int
    confirmed: int
    held: int

    @property
    def left_over(self) -> int:
        """
        Booklets nobody is promised; below zero, so many are missing. Unpaid holds count: no payment is refused.
        """
        return self.in_stock - self.confirmed - self.held

    @property
    def shortfall(self) -> int:
        """
        Places of confirmed visits for which there is no booklet.
        """
        return max(0, self.confirmed - max(0, self.in_stock))


def need_of(in_stock: int, slots: Sequence[DrawingSlot], *, days: int | None = None) -> Need:
    """
    What visits of these slots ask of a stock: of all, or of those so many days ahead at most.
    """
    counted = [slot for slot in slots if days is None or slot.days_ahead <= days]
    return Need(
        in_stock=in_stock,
        confirmed=sum(slot.confirmed for slot in counted),
        held=sum(slot.held for slot in counted),
    )


def deal(left_over: int, slots: Sequence[DrawingSlot]) -> dict[str, int | None]:
    """
    So many places of each slot there are booklets for, its taken ones included; None where there are enough for all.

    Dealt in the order of `slots`, the next visit first, so that all that can be sold together is never more than
    what is left over. A sale changes nothing here: what it takes of the stock it takes of its slot as well.
    """
    limits: dict[str, int | None] = {}
    rest = max(0, left_over)
    for slot in slots:
        if not slot.gives_places:
            continue
        free = max(0, slot.capacity - slot.taken)
        dealt = min(free, rest)
        rest -= dealt
        limits[slot.slot_id] = None if dealt == free else slot.taken + dealt
    return limits
