"""
Who may belong to an account: people of one family card, up to a limit.

Called by the use case that adds persons, with what the stores know. Family cards come
as keyed indexes, so that equality can be told without opening the vault.
"""

import dataclasses
import enum


class Refusal(enum.Enum):
    """
    Why somebody cannot be added to an account.
    """

    BELONGS_ELSEWHERE = "belongs_elsewhere"
    CARD_DIFFERS = "card_differs"
    LIMIT_REACHED = "limit_reached"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """
    An account's people so far.
    """

    account_id: str
    card_index: bytes | None
    """None until the first person brings a card."""
    size: int

    def refusal(self, card_index: bytes, *, size_max: int) -> Refusal | None:
        """
        Why one more with this card cannot join, or None.
        """
        if self.card_index is not None and self.card_index != card_index:
            return Refusal.CARD_DIFFERS
        if self.size >= size_max:
            return Refusal.LIMIT_REACHED
        return None

    def joined_by(self, card_index: bytes) -> "Family":
        """
        The family with one more.
        """
        return Family(account_id=self.account_id, card_index=card_index, size=self.size + 1)
