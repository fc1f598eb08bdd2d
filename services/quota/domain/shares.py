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
    ranked = sorted({*relays, relay_id})
    everybody, left_over = divmod(partitions, len(ranked))
    return everybody + (ranked.index(relay_id) < left_over)


def surplus(held: Sequence[int], share: int) -> list[int]:
    """
    Which partitions to give up.
    """
    return sorted(held)[share:]


def wanted(relay_id: str, relays: Iterable[str], free: Iterable[int], *, missing: int, partitions: int) -> list[int]:
    """
    Which free partitions to ask for. Relays begin in different places, so that those that take at once seldom meet.
    """
    ranked = sorted({*relays, relay_id})
    begin = ranked.index(relay_id) * partitions // len(ranked)
    return sorted(free, key=lambda partition: (partition - begin) % partitions)[: max(0, missing)]
