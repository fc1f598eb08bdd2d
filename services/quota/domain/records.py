"""
Holds and claims as Valkey keeps them: msgpack, written by the scripts, spelled the same in `lua/includes`.

Read by stores and by `facts`; nothing here decides. A test holds the Lua and this together.
"""

from typing import Final, NamedTuple

import msgspec


class HoldRecord(msgspec.Struct, array_like=True, frozen=True):
    """
    Who has which places of a slot, and what has become of them.
    """

    state: str
    slot_id: str
    account_id: str
    person_ids: tuple[str, ...]
    seats: tuple[int, ...]
    at_ms: int
    """When they were taken, by the clock of the server that decided."""
    pay_by_ms: int
    give_back_asked: bool = False


class SlotBooks(msgspec.Struct, array_like=True, frozen=True):
    """
    A slot's ledger and the terms it sells on, as they are kept.
    """

    planned: int
    capacity: int
    free: int
    held: int
    confirmed: int
    withheld: int
    returned: int
    next_seat: int
    channel: str
    closed: bool
    opens_at_ms: int
    closes_at_ms: int
    pay_seconds: int


class ActiveClaim(NamedTuple):
    """
    The reservation an account has.
    """

    reservation_id: str
    key_hash: str
    slot_id: str
    attempt: int


class LastClaim(NamedTuple):
    """
    The reservation an account had, ended.
    """

    reservation_id: str
    key_hash: str
    slot_id: str


class ClaimsRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """
    What an account is reserved for; `persons` says what goes beyond it: `block:<until_ms>:<reservation_id>`, or whose
    they are.
    """

    account: ActiveClaim | None = None
    heir: ActiveClaim | None = None
    """Who has the account after the active one, while that is undecided."""
    last: LastClaim | None = None
    persons: dict[str, str] | None = None


hold_record: Final = msgspec.msgpack.Decoder(HoldRecord).decode
slot_books: Final = msgspec.msgpack.Decoder(SlotBooks).decode
claims_record: Final = msgspec.msgpack.Decoder(ClaimsRecord).decode
packed: Final = msgspec.msgpack.Encoder().encode
