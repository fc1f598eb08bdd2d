"""
What the crowd has seen so far, for the progress line, the table and the audit.

Counted by the citizens themselves: this is the clients' side of the story, which the
audit then holds against the stores'.
"""

import collections
import dataclasses
from collections.abc import Mapping
from typing import Any

import msgspec


class Acknowledged(msgspec.Struct, frozen=True, kw_only=True):
    """
    A 201 that a client has in his hands. It must never turn out to be nothing.
    """

    reservation_id: str
    slot_id: str
    account_id: str
    seats: tuple[int, ...]


def acknowledged(account_id: str, body: Mapping[str, Any]) -> Acknowledged:
    """
    What the body of a 201 promises an account.
    """
    return Acknowledged(
        reservation_id=body["reservation_id"],
        slot_id=body["slot_id"],
        account_id=account_id,
        seats=tuple(body["seats"]),
    )


@dataclasses.dataclass(slots=True)
class Tally:
    """
    Counters of one release.
    """

    asked: int = 0
    """Reservation requests, repeats with the same key not counted."""
    replayed: int = 0
    refused: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    paid: int = 0
    given_back: int = 0
    never_paid: int = 0
    too_late: int = 0
    """Wanted to give back what had ended for want of payment."""
    broken_promises: list[str] = dataclasses.field(default_factory=list)
    """Answers that contradict each other, in a sentence each."""
    acknowledged: dict[str, Acknowledged] = dataclasses.field(default_factory=dict)

    def acknowledge(self, ack: Acknowledged) -> None:
        """
        Note a 201. The same reservation must come back with the same places, every time.
        """
        known = self.acknowledged.setdefault(ack.reservation_id, ack)
        if known != ack:
            self.broken_promises.append(f"{ack.reservation_id} was answered with two different sets of places")

    def line(self) -> str:
        """
        One line of progress.
        """
        refused = ", ".join(f"{code} {count:,}" for code, count in self.refused.most_common(3))
        return (
            f"asked {self.asked:,} · held {len(self.acknowledged):,} · paid {self.paid:,}"
            f" · given back {self.given_back:,} · refused {self.refused.total():,}"
            + (f" ({refused})" if refused else "")
        )
