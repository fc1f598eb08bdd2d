"""
Where messages wait whose key keeps failing, so that other keys go on.

Called by the consumer loop only. Plain bookkeeping: no input or output, no clock.
"""

import dataclasses
from collections.abc import Sequence
from typing import Generic, NamedTuple, TypeVar

from kernel.kafka.message import Headers

E = TypeVar("E")
PARKED_MAX = 2000
"""More than this in memory, and the loop stops fetching until some are done."""


class Slot(NamedTuple):
    """
    What keeps its order: a key of a partition.
    """

    topic: str
    partition: int
    key: bytes


@dataclasses.dataclass(slots=True, kw_only=True)
class Delivery(Generic[E]):
    """
    One message on its way through the loop.
    """

    slot: Slot
    offset: int
    headers: Headers
    body: bytes | None
    event: E | None = None
    attempts: int = 0

    def known(self) -> E:
        """
        The decoded event.
        """
        if self.event is None:
            raise AssertionError("a message is decoded before it is handled")
        return self.event


@dataclasses.dataclass(slots=True)
class _Parked(Generic[E]):
    messages: list[Delivery[E]]
    due_at: float


class ParkingLot(Generic[E]):
    """
    Parked messages by key, oldest first.
    """

    def __init__(self) -> None:
        self._slots: dict[Slot, _Parked[E]] = {}
        self._released: set[tuple[str, int]] = set()

    @property
    def full(self) -> bool:
        """
        Whether fetching must wait.
        """
        return sum(len(parked.messages) for parked in self._slots.values()) >= PARKED_MAX

    def admit(self, deliveries: Sequence[Delivery[E]]) -> list[Delivery[E]]:
        """
        Queue what belongs behind a parked key; returns the rest.
        """
        free = []
        for delivery in deliveries:
            parked = self._slots.get(delivery.slot)
            if parked is None:
                free.append(delivery)
            else:
                parked.messages.append(delivery)
        return free

    @staticmethod
    def by_slot(deliveries: Sequence[Delivery[E]]) -> dict[Slot, list[Delivery[E]]]:
        """
        Group by key, in order.
        """
        groups: dict[Slot, list[Delivery[E]]] = {}
        for delivery in deliveries:
            groups.setdefault(delivery.slot, []).append(delivery)
        return groups

    def park(self, slot: Slot, messages: list[Delivery[E]], *, due_at: float) -> None:
        """
        Let a key wait.
        """
        self._slots[slot] = _Parked(messages, due_at)

    def postpone(self, slot: Slot, *, due_at: float) -> None:
        """
        Let it wait longer.
        """
        self._slots[slot].due_at = due_at

    def due(self, now: float) -> list[Slot]:
        """
        Keys to try again now.
        """
        return [slot for slot, parked in self._slots.items() if parked.due_at <= now]

    def messages(self, slot: Slot) -> list[Delivery[E]]:
        """
        What waits for a key; the caller takes from the front.
        """
        return self._slots[slot].messages

    def forget(self, slot: Slot) -> None:
        """
        The key is free again.
        """
        del self._slots[slot]
        self._released.add((slot.topic, slot.partition))

    def partitions(self) -> frozenset[tuple[str, int]]:
        """
        Where something waits.
        """
        return frozenset((slot.topic, slot.partition) for slot in self._slots)

    def released(self) -> set[tuple[str, int]]:
        """
        Where something stopped waiting since the last call.
        """
        released, self._released = self._released, set()
        return released

    def oldest_offset(self, topic: str, partition: int) -> int | None:
        """
        Nothing at or beyond this offset may be committed while it waits.
        """
        return min(
            (
                delivery.offset
                for slot, parked in self._slots.items()
                if (slot.topic, slot.partition) == (topic, partition)
                for delivery in parked.messages
            ),
            default=None,
        )
