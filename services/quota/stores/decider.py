"""
The decide step: claim the family, take the places, and on refusal take the claim back.

Called by `use_cases.reservations` only, once per request, never cancelled half-way. A
decider that decides many asks in one call can stand in its place. A call without an
answer raises `Retryable` and nothing is compensated: the same ask comes back with the
same id, or the sweep finds the claim.
"""

from typing import NamedTuple

from kernel.errors import Retryable
from kernel.log import get_logger
from services.quota.domain.decisions import Ask, Decision, Held, HoldState, Refusal, Refused
from services.quota.domain.facts import seats_of
from services.quota.keys import Keys, office_of
from services.quota.stores.claims import pending_member
from services.quota.stores.scripts import SCRIPTS, ClaimCode, ReserveCode
from services.quota.stores.valkey import ScriptCall, Valkey

log = get_logger(__name__)
CLAIM_GOOD_FOR_MS = 30_000
"""How long after its claim a reservation may still be decided; the sweep waits twice as long."""


class _Claimed(NamedTuple):
    attempt: int
    at_ms: int


class Decider:
    """
    Decides one ask at a time, in three short calls at most.
    """

    def __init__(self, valkey: Valkey, keys: Keys) -> None:
        self._valkey = valkey
        self._keys = keys

    async def decide(self, ask: Ask) -> Decision:
        """
        Places, or why not. Asking again with the same id changes nothing.
        """
        claimed = await self._claim(ask)
        if isinstance(claimed, Refused):
            return claimed
        decision = await self._reserve(ask, claimed)
        if isinstance(decision, Refused):
            await self._unclaim(ask, claimed, ended=decision.why is Refusal.ENDED)
        return decision

    async def _claim(self, ask: Ask) -> _Claimed | Refused:
        code, detail, number, at_ms = await self._valkey.run(
            ScriptCall(
                SCRIPTS["claim"],
                [self._keys.claims(ask.account_id), self._keys.pending(self._keys.account_tag(ask.account_id))],
                [
                    ask.reservation_id,
                    ask.key_hash,
                    ask.slot_id,
                    ask.fingerprint,
                    ask.account_id,
                    *ask.person_ids,
                ],
            )
        )
        named = ClaimCode(code)
        if named in (ClaimCode.CLAIMED, ClaimCode.ENTERED_AGAIN):
            return _Claimed(number, at_ms)
        return Refused(why=Refusal[named.name], who=detail.decode(), at_ms=number)

    async def _reserve(self, ask: Ask, claimed: _Claimed) -> Decision:
        slot_id, partition = ask.slot_id, self._keys.partition_of(ask.slot_id)
        code, seats, number, state = await self._valkey.run(
            ScriptCall(
                SCRIPTS["reserve"],
                [
                    self._keys.slot(slot_id),
                    self._keys.returned(slot_id),
                    self._keys.hold(slot_id, ask.reservation_id),
                    self._keys.office(office_of(slot_id)),
                    self._keys.outbox(partition),
                    self._keys.seq(partition),
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
        )
        named = ReserveCode(code)
        if named in (ReserveCode.HELD, ReserveCode.ALREADY_HELD):
            return Held(
                seats=seats_of(seats.decode()),
                pay_by_ms=number,
                state=HoldState(state.decode()),
                replayed=named is ReserveCode.ALREADY_HELD,
            )
        return Refused(why=Refusal[named.name], at_ms=number)

    async def _unclaim(self, ask: Ask, claimed: _Claimed, *, ended: bool) -> None:
        try:
            await self._valkey.run(
                ScriptCall(
                    SCRIPTS["unclaim"],
                    [self._keys.claims(ask.account_id), self._keys.pending(self._keys.account_tag(ask.account_id))],
                    [
                        ask.reservation_id,
                        pending_member(ask.account_id, ask.reservation_id, ask.slot_id),
                        claimed.attempt,
                        "",
                        int(ended),
                    ],
                )
            )
        except Retryable as error:
            # The refusal stands whatever became of this call; a claim left over is the sweep's.
            log.warning("claim_left_to_the_sweep", reservation_id=ask.reservation_id, error=str(error))
