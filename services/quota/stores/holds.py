"""
Holds after the decision: shown to their owner, given back, confirmed, released; and plans made true.

Called by use cases of routes (an owner asks) and of consumers (booking says). What a
script finds out of balance is named, never repaired here.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from contracts.events import SlotPlanned
from kernel.errors import Retryable
from services.quota.domain.decisions import GiveBack, HoldState, Reservation
from services.quota.domain.records import claims_record, hold_record
from services.quota.domain.returning import Offer, Returns
from services.quota.keys import Keys, office_of
from services.quota.stores.scripts import SCRIPTS, ApplySlotCode, AskGiveBackCode, ConfirmCode, ReleaseCode
from services.quota.stores.valkey import ScriptCall, Valkey, text_of

AT_ONCE = Offer()
_plan_json = msgspec.json.Encoder()
_returns = msgspec.json.Decoder(Returns)


class Holds:
    """
    Holds of all slots.
    """

    def __init__(self, valkey: Valkey, keys: Keys, *, cleared_only: bool = False) -> None:
        """
        `cleared_only`: plans are applied only where the history has been compared with booking's.
        """
        self._valkey = valkey
        self._keys = keys
        self._cleared_only = cleared_only

    async def of_account(self, account_id: str, reservation_id: str) -> Reservation | None:
        """
        An account's active or last reservation, if it is the one asked for.
        """
        slot_id = await self._slot_of(account_id, reservation_id)
        if slot_id is None:
            return None
        found = await self._valkey.call("GET", self._keys.hold(slot_id, reservation_id))
        if found is None:
            return None
        hold = hold_record(found)
        if hold.account_id != account_id:
            return None
        return Reservation(
            reservation_id=reservation_id,
            slot_id=slot_id,
            person_ids=hold.person_ids,
            seats=hold.seats,
            pay_by_ms=hold.pay_by_ms,
            state=HoldState(hold.state),
            give_back_asked=hold.give_back_asked,
        )

    async def _slot_of(self, account_id: str, reservation_id: str) -> str | None:
        found = await self._valkey.call("GET", self._keys.claims(account_id))
        if found is None:
            return None
        claims = claims_record(found)
        for claim in (claims.account, claims.last):
            if claim is not None and claim.reservation_id == reservation_id:
                return claim.slot_id
        return None

    async def ask_give_back(self, account_id: str, reservation_id: str) -> tuple[GiveBack, HoldState | None]:
        """
        Note the wish and announce it. Booking decides.
        """
        slot_id = await self._slot_of(account_id, reservation_id)
        if slot_id is None:
            return GiveBack.UNKNOWN_HOLD, None
        partition = self._keys.partition_of(slot_id)
        code, state = await self._valkey.run(
            ScriptCall(
                SCRIPTS["ask_give_back"],
                [
                    self._keys.hold(slot_id, reservation_id),
                    self._keys.outbox(partition),
                    self._keys.position(partition),
                    self._keys.stopped(partition),
                ],
                [reservation_id, account_id],
            )
        )
        if code == AskGiveBackCode.STOPPED:
            raise Retryable(f"partition {partition} waits for its rebuild")
        return GiveBack[AskGiveBackCode(code).name], HoldState(text_of(state)) if state else None

    async def apply(self, plans: Sequence[SlotPlanned]) -> list[tuple[ApplySlotCode, int]]:
        """
        Make plans true, in order. Returns code and surplus of each.
        """
        replies = await self._valkey.run_many([self._apply_call(plan) for plan in plans])
        return [(ApplySlotCode(code), surplus) for code, surplus in replies]

    def _apply_call(self, plan: SlotPlanned) -> ScriptCall:
        slot_id, partition = plan.slot_id, self._keys.partition_of(plan.slot_id)
        args: list[Any] = [
            slot_id,
            plan.version,
            plan.capacity,
            plan.opens_at_ms,
            plan.closes_at_ms,
            plan.pay_seconds,
            plan.channel,
            int(plan.closed),
            _plan_json.encode(plan),
            int(self._cleared_only),
        ]
        keys = [
            self._keys.slot(slot_id),
            self._keys.returned(slot_id),
            self._keys.withheld(slot_id),
            self._keys.books(slot_id),
            self._keys.plans(partition),
            self._keys.revision(partition),
            self._keys.outbox(partition),
            self._keys.position(partition),
            self._keys.stopped(partition),
            self._keys.cleared(partition),
        ]
        return ScriptCall(SCRIPTS["apply_slot"], keys, args)

    async def returns(self, slot_ids: Sequence[str]) -> dict[str, Returns]:
        """
        When places of slots come back, by slot; unknown slots are left out.
        """
        plans = await self._valkey.many([("HGET", self._keys.slot(slot_id), "plan") for slot_id in slot_ids])
        return {slot_id: _returns.decode(raw) for slot_id, raw in zip(slot_ids, plans, strict=True) if raw is not None}

    def release_call(
        self,
        slot_id: str,
        reservation_id: str,
        *,
        reason: str,
        offer: Offer = AT_ONCE,
        confirmed_only: bool = False,
    ) -> ScriptCall:
        """
        The call that gives a hold's places back, to be offered when `offer` says.

        `confirmed_only` leaves one alone that never came so far: its numbers are another's.
        """
        partition = self._keys.partition_of(slot_id)
        keys = [
            self._keys.books(slot_id),
            self._keys.returned(slot_id),
            self._keys.withheld(slot_id),
            self._keys.returning(office_of(slot_id)),
            self._keys.hold(slot_id, reservation_id),
            self._keys.outbox(partition),
            self._keys.position(partition),
            self._keys.stopped(partition),
        ]
        args: list[Any] = [reservation_id, slot_id, reason, offer.after_ms, offer.from_ms, int(confirmed_only)]
        return ScriptCall(SCRIPTS["release"], keys, args)

    def confirm_call(self, slot_id: str, reservation_id: str) -> ScriptCall:
        """
        The call that confirms a hold.
        """
        partition = self._keys.partition_of(slot_id)
        keys = [
            self._keys.books(slot_id),
            self._keys.returned(slot_id),
            self._keys.hold(slot_id, reservation_id),
            self._keys.outbox(partition),
            self._keys.position(partition),
            self._keys.stopped(partition),
        ]
        return ScriptCall(SCRIPTS["confirm"], keys, [reservation_id, slot_id])

    async def resolve(self, calls: Sequence[ScriptCall]) -> list[ConfirmCode | ReleaseCode]:
        """
        Run confirmations and releases in order; each code by the name of its script.
        """
        replies = await self._valkey.run_many(calls)
        return [
            ReleaseCode(reply) if call.script.name == "release" else ConfirmCode(reply)
            for call, reply in zip(calls, replies, strict=True)
        ]
