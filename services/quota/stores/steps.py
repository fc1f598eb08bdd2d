"""
The three steps of a decision as calls, and what their replies mean: claim, reserve, unclaim.

Called by deciders, which send the calls one by one or many in one write. Never talks to
Valkey, so both kinds of decider ask the same and understand the same.
"""

from typing import Any, Final, NamedTuple

from services.quota.domain.decisions import Ask, Decision, Held, HoldState, Refusal, Refused
from services.quota.domain.facts import seats_of
from services.quota.keys import Keys, office_of
from services.quota.stores.claims import pending_member
from services.quota.stores.scripts import SCRIPTS, ClaimCode, ReserveCode
from services.quota.stores.valkey import ScriptCall

CLAIM_GOOD_FOR_MS: Final = 30_000
"""How long after its claim a reservation may still be decided; the sweep waits twice as long."""


class Claimed(NamedTuple):
    """
    An entry of a claim: which one, and when by the clock of the server.
    """

    attempt: int
    at_ms: int


def claim_call(keys: Keys, ask: Ask) -> ScriptCall:
    """
    First: the account and its persons.
    """
    return ScriptCall(
        SCRIPTS["claim"],
        [keys.claims(ask.account_id), keys.pending(keys.account_tag(ask.account_id))],
        [ask.reservation_id, ask.key_hash, ask.slot_id, ask.fingerprint, ask.account_id, *ask.person_ids],
    )


def claimed_of(reply: Any) -> Claimed | Refused:
    """
    What `claim` has answered.
    """
    code, detail, number, at_ms = reply
    named = ClaimCode(code)
    if named in (ClaimCode.CLAIMED, ClaimCode.ENTERED_AGAIN):
        return Claimed(number, at_ms)
    return Refused(why=Refusal[named.name], who=detail.decode(), at_ms=number)


def reserve_call(keys: Keys, ask: Ask, claimed: Claimed) -> ScriptCall:
    """
    Second: the places.
    """
    slot_id, partition = ask.slot_id, keys.partition_of(ask.slot_id)
    return ScriptCall(
        SCRIPTS["reserve"],
        [
            keys.slot(slot_id),
            keys.returned(slot_id),
            keys.hold(slot_id, ask.reservation_id),
            keys.office(office_of(slot_id)),
            keys.outbox(partition),
            keys.seq(partition),
        ],
        [
            ask.reservation_id,
            slot_id,
            ask.account_id,
            ask.fingerprint,
            ",".join(ask.person_ids),
            len(ask.person_ids),
            claimed.at_ms + CLAIM_GOOD_FOR_MS,
        ],
    )


def decision_of(reply: Any) -> Decision:
    """
    What `reserve` has answered.
    """
    code, seats, number, state = reply
    named = ReserveCode(code)
    if named in (ReserveCode.HELD, ReserveCode.ALREADY_HELD):
        return Held(
            seats=seats_of(seats.decode()),
            pay_by_ms=number,
            state=HoldState(state.decode()),
            replayed=named is ReserveCode.ALREADY_HELD,
        )
    return Refused(why=Refusal[named.name], at_ms=number)


def unclaim_call(keys: Keys, ask: Ask, claimed: Claimed, *, ended: bool) -> ScriptCall:
    """
    Third, after a refusal only: the claim back, unless a later attempt has entered it.
    """
    return ScriptCall(
        SCRIPTS["unclaim"],
        [keys.claims(ask.account_id), keys.pending(keys.account_tag(ask.account_id))],
        [
            ask.reservation_id,
            pending_member(ask.account_id, ask.reservation_id, ask.slot_id),
            claimed.attempt,
            "",
            int(ended),
        ],
    )
