"""
A batch as the scripts read it, and what their replies mean.

Called by `passes`, which sends the calls. Never talks to Valkey, so a single node and a
cluster are asked in the same words and understood the same.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import msgspec

from contracts.events import PlacesWanted
from kernel.errors import Permanent, Retryable
from services.quota.domain.decisions import Ask, Held, HoldState, Outcome, Refusal, Refused
from services.quota.keys import Keys
from services.quota.stores.claims import pending_member
from services.quota.stores.scripts import SCRIPTS, ClaimCode, DecideCode
from services.quota.stores.valkey import ScriptCall

CLAIM_GOOD_FOR_MS: Final = 30_000
"""How long after its claim a reservation may still be decided; the sweep waits twice as long."""
SLOTS_KNOWN_MAX: Final = 50_000

NOT_HERE: Final = "non local key"
"""What a node of a cluster says of keys that are on their way to another: nothing was written."""


class Claimed(NamedTuple):
    """
    An entry of a claim: which one, when by the clock of the server, and whether its reservation has ended.
    """

    attempt: int
    at_ms: int
    ended: bool = False


class SoldOut(NamedTuple):
    """
    What a slot that refused somebody has left, for how long that stays so, and who has had places there.
    """

    slot_id: str
    offered: int
    for_seconds: float
    takers: str


class _SlotKeys(NamedTuple):
    packed_id: bytes
    row: tuple[str, str, str, str]
    partition: int
    partition_row: tuple[str, str, str]
    hold_prefix: str


_pack: Final = msgspec.msgpack.Encoder().encode
_places: Final = msgspec.msgpack.Decoder(tuple[list[Any], list[tuple[int, int, int, str]], int]).decode
_claims: Final = msgspec.msgpack.Decoder(tuple[list[tuple[int, int, int, str]], int]).decode
_STATES: Final = {state.value: state for state in HoldState}
_REFUSALS: Final = {
    code.value: Refusal[code.name] for code in DecideCode if code.value < 0 and code is not DecideCode.BROKEN
}
_RESULT_WIDTH: Final = 4
_RAW_8_MAX: Final = 0xFF
_WITH_MOMENT: Final = (Refusal.WINDOW_NOT_OPEN, Refusal.NO_SHOW_BLOCK)


class Spelling:
    """
    Batches of asks in msgpack; the keys of a slot are put together once.
    """

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self._known: dict[str, _SlotKeys] = {}

    def whole(self, asks: Sequence[Ask]) -> ScriptCall:
        """
        Everything about all of them at once: for a single node.
        """
        claims = self._keys.claims
        own = [(claims(ask.account_id), _claims_to_be(ask)) for ask in asks]
        return ScriptCall(SCRIPTS["decide"], [], [self._batch(asks, own)])

    def claims(self, asks: Sequence[Ask]) -> ScriptCall:
        """
        First step on a cluster: accounts of one tag.
        """
        rows = [
            (
                ask.reservation_id,
                ask.account_id,
                ask.person_ids,
                self._keys.claims(ask.account_id),
                ask.key_hash,
                ask.slot_id,
            )
            for ask in asks
        ]
        pending = self._keys.pending(self._keys.account_tag(asks[0].account_id))
        return ScriptCall(SCRIPTS["claim"], [pending], [_pack(rows)])

    def places(self, granted: Sequence[tuple[Ask, Claimed]]) -> ScriptCall:
        """
        Second step on a cluster: slots of one partition.
        """
        asks = [ask for ask, _ in granted]
        own = [(claimed.at_ms + CLAIM_GOOD_FOR_MS, claimed.ended) for _, claimed in granted]
        position = self._keys.position(self._keys.partition_of(asks[0].slot_id))
        return ScriptCall(SCRIPTS["reserve"], [position], [self._batch(asks, own)])

    def unclaim(self, ask: Ask, claimed: Claimed, *, ended: bool) -> ScriptCall:
        """
        Third step on a cluster, after a refusal only: the claim back, unless a later attempt has entered it.
        """
        member = pending_member(ask.account_id, ask.reservation_id, ask.slot_id)
        return ScriptCall(
            SCRIPTS["unclaim"],
            [self._keys.claims(ask.account_id), self._keys.pending(self._keys.account_tag(ask.account_id))],
            [ask.reservation_id, member, claimed.attempt, "", int(ended)],
        )

    def wanted(self, wanted: PlacesWanted, slot_ids: Sequence[str]) -> bytes:
        """
        Slots of one partition for one wish, in the order they are tried.
        """
        asks = [
            Ask(
                reservation_id=wanted.booking_id,
                account_id=wanted.account_id,
                slot_id=slot_id,
                person_ids=wanted.person_ids,
                key="",
            )
            for slot_id in slot_ids
        ]
        return self._batch(asks, [(0, 0)] * len(asks))

    def _batch(self, asks: Sequence[Ask], own: Sequence[tuple[Any, Any]]) -> bytes:
        partitions: list[str] = []
        slots: list[Any] = []
        rows: list[Any] = []
        partition_at: dict[int, int] = {}
        slot_at: dict[str, int] = {}
        known_slots = self._known
        for ask, (first, second) in zip(asks, own, strict=True):
            slot_id, reservation_id = ask.slot_id, ask.reservation_id
            known = known_slots.get(slot_id) or self._learn(slot_id)
            at = slot_at.get(slot_id)
            if at is None:
                partition = partition_at.get(known.partition)
                if partition is None:
                    partitions += known.partition_row
                    partition = partition_at[known.partition] = len(partition_at) + 1
                slots += known.row
                slots.append(partition)
                at = slot_at[slot_id] = len(slot_at) + 1
            body = known.packed_id + _pack(ask.account_id) + _pack(ask.person_ids)
            hold = known.hold_prefix + reservation_id
            rows += (reservation_id, _text(body), len(ask.person_ids), hold, at, first, second)
        return _pack([len(partitions), len(slots), len(rows), *partitions, *slots, *rows])

    def _learn(self, slot_id: str) -> _SlotKeys:
        keys, partition = self._keys, self._keys.partition_of(slot_id)
        if len(self._known) >= SLOTS_KNOWN_MAX:
            self._known.clear()
        known = self._known[slot_id] = _SlotKeys(
            _pack(slot_id),
            (slot_id, keys.books(slot_id), keys.returned(slot_id), keys.takers(slot_id)),
            partition,
            (keys.position(partition), keys.stopped(partition), keys.outbox(partition)),
            keys.hold(slot_id, ""),
        )
        return known


def _claims_to_be(ask: Ask) -> msgspec.Raw:
    """
    The claims of an account that had none, as `records.ClaimsRecord` spells them.
    """
    claim = _pack((ask.reservation_id, ask.key_hash, ask.slot_id, 0))
    return _text(b"\x81\xa7account" + claim)


def _text(raw: bytes) -> msgspec.Raw:
    """
    Bytes as a msgpack text: the scripts' library knows no other kind.
    """
    length = len(raw)
    if length <= _RAW_8_MAX:
        return msgspec.Raw(b"\xd9%c%b" % (length, raw))
    return msgspec.Raw(b"\xda%b%b" % (length.to_bytes(2, "big"), raw))


def places_of(reply: bytes, asks: Sequence[Ask]) -> tuple[list[Outcome], list[SoldOut]]:
    """
    What `decide` or `reserve` has answered, in the order of the asks, and the slots that are sold out.
    """
    results, full, at_ms = _places(reply)
    sold_out = []
    if full:
        slot_ids = list(dict.fromkeys(ask.slot_id for ask in asks))
        sold_out = [
            SoldOut(slot_ids[at - 1], offered, (until_ms - at_ms) / 1000, takers)
            for at, offered, until_ms, takers in full
        ]
    outcomes = [_outcome(*results[at : at + _RESULT_WIDTH]) for at in range(0, len(results), _RESULT_WIDTH)]
    return outcomes, sold_out


def _outcome(code: int, seats: Sequence[int], number: int, word: str) -> Outcome:
    if code >= 0:
        return Held(seats=tuple(seats), pay_by_ms=number, state=_STATES[word], replayed=code == 0)
    why = _REFUSALS.get(code)
    if why is None:
        return Retryable(word) if NOT_HERE in word else Permanent(word)
    return Refused(why=why, at_ms=number if why in _WITH_MOMENT else 0, who=word)


def claims_of(reply: bytes) -> list[Claimed | Outcome]:
    """
    What `claim` has answered. A claim that has ended still goes on to `reserve`, which knows its body.
    """
    results, at_ms = _claims(reply)
    return [_claimed(code, attempt, number, word, at_ms) for code, attempt, number, word in results]


def _claimed(code: int, attempt: int, number: int, word: str, at_ms: int) -> Claimed | Outcome:
    if code >= 0:
        return Claimed(attempt, at_ms)
    if code == ClaimCode.ENDED:
        return Claimed(0, at_ms, ended=True)
    return _outcome(code, (), number, word)
