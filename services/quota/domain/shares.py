"""
Who of the relays should tell how many partitions, and what to give or take to get there.

Called by the use case that keeps leases. Knows no clock and no store: relays that see the
same list of relays come to shares that add up to all partitions, without asking each other.
"""

from collections.abc import Iterable, Sequence


def share_of(relay_id: str, relays: Iterable[str], partitions: int) -> int:
    """
    How many partitions a relay of these should have: all have the same number, some one more.
    """
    rank, everybody, left_over = _rank(relay_id, relays, partitions)
    return everybody + (rank < left_over)


def surplus(held: Sequence[int], share: int) -> list[int]:
    """
    Which partitions to give up.
    """
    return sorted(held)[share:]


def wanted(relay_id: str, relays: Iterable[str], free: Iterable[int], *, missing: int, partitions: int) -> list[int]:
    """
    Which free partitions to ask for. Relays that start together ask for different ones.
    """
    rank, everybody, left_over = _rank(relay_id, relays, partitions)
    begin = rank * everybody + min(rank, left_over)
    return sorted(free, key=lambda partition: (partition - begin) % partitions)[: max(0, missing)]


def _rank(relay_id: str, relays: Iterable[str], partitions: int) -> tuple[int, int, int]:
    ranked = sorted({*relays, relay_id})
    return ranked.index(relay_id), *divmod(partitions, len(ranked))
