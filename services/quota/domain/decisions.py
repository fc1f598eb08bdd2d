"""
What can be asked of quota and what it can answer. Expected outcomes are values.

Built by use cases and stores; routes turn them into answers. Nothing here reads a clock.
"""

import dataclasses
import enum
import hashlib
from collections.abc import Callable
from typing import TypeAlias

import msgspec


class Ask(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """
    A family asks for places of a slot. The id follows from account, key and slot: it is chosen before the first try.
    """

    reservation_id: str
    account_id: str
    slot_id: str
    person_ids: tuple[str, ...]
    key: str
    """The Idempotency-Key. The hold itself says for whom and where it was first used."""

    @property
    def key_hash(self) -> str:
        """
        The key as claims remember it.
        """
        return digest(self.key)


def digest(text: str) -> str:
    """
    64 bits of BLAKE2b: enough to tell one caller's own requests apart.
    """
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


class HoldState(enum.StrEnum):
    """
    What has become of a hold, as quota knows it.
    """

    HELD = "held"
    CONFIRMED = "confirmed"
    RELEASED = "released"


class Held(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """
    The places are the asker's.
    """

    seats: tuple[int, ...]
    pay_by_ms: int
    state: HoldState
    replayed: bool
    """They had been before: the same request came again."""


class Refusal(enum.StrEnum):
    """
    Why there are no places. The values are metric labels.
    """

    UNKNOWN_SLOT = "unknown_slot"
    KEY_REUSED = "key_reused"
    ENDED = "ended"
    CHANNEL_NOT_PUBLIC = "channel_not_public"
    SLOT_CLOSED = "slot_closed"
    WINDOW_NOT_OPEN = "window_not_open"
    WINDOW_CLOSED = "window_closed"
    SOLD_OUT = "sold_out"
    CLAIM_TOO_OLD = "claim_too_old"
    STOPPED = "stopped"
    UNBALANCED = "unbalanced"
    ACCOUNT_ALREADY_RESERVED = "account_already_reserved"
    PERSON_ALREADY_RESERVED = "person_already_reserved"
    NO_SHOW_BLOCK = "no_show_block"


class Refused(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """
    No places, and why. `at_ms` is when it may be otherwise; `who` stands in the way.
    """

    why: Refusal
    at_ms: int = 0
    who: str = ""


Decision: TypeAlias = Held | Refused
Outcome: TypeAlias = Decision | Exception
"""What comes of an ask; an exception is this ask's alone."""
TellOutcome: TypeAlias = Callable[[Outcome], None]


class GiveBack(enum.StrEnum):
    """
    What asking to give places back has led to.
    """

    ASKED = "asked"
    ALREADY_ASKED = "already_asked"
    UNKNOWN_HOLD = "unknown_hold"
    ENDED = "ended"
    CONFIRMED = "confirmed"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """
    A hold as its owner may see it.
    """

    reservation_id: str
    slot_id: str
    person_ids: tuple[str, ...]
    seats: tuple[int, ...]
    pay_by_ms: int
    state: HoldState
    give_back_asked: bool
