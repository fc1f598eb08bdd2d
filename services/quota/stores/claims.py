"""
Claims after the decision: given back when booking ends a hold, and swept when nobody came back for them.

Called by consumers' use cases and the sweep. A claim is only ever taken back by the
reservation it was made for.
"""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from services.quota.domain.records import hold_record
from services.quota.keys import Keys
from services.quota.stores.scripts import SCRIPTS, BlockCode, UnclaimCode
from services.quota.stores.valkey import Command, ScriptCall, Valkey

SWEPT_PER_TURN_MAX = 500


class Claim(NamedTuple):
    """
    An account's claim for a reservation.
    """

    account_id: str
    reservation_id: str
    slot_id: str


class Block(NamedTuple):
    """
    Persons of an account who did not come; `until_ms` 0 lifts what was said under the same reservation.
    """

    account_id: str
    reservation_id: str
    person_ids: tuple[str, ...]
    until_ms: int


def pending_member(account_id: str, reservation_id: str, slot_id: str) -> str:
    """
    A claim as a member of the pending set, with all that the sweep must know.
    """
    return f"{account_id}|{reservation_id}|{slot_id}"


class Claims:
    """
    Claims of all accounts.
    """

    def __init__(self, valkey: Valkey, keys: Keys) -> None:
        self._valkey = valkey
        self._keys = keys

    async def give_back(
        self, claims: Sequence[Claim], *, ended: bool, claimed_before_ms: int | None = None
    ) -> list[UnclaimCode]:
        """
        Take claims back. `ended` remembers each as its account's last reservation.
        """
        before = "" if claimed_before_ms is None else str(claimed_before_ms)
        replies = await self._valkey.run_many(
            [
                ScriptCall(
                    SCRIPTS["unclaim"],
                    [self._keys.claims(claim.account_id), self._keys.pending(self._keys.account_tag(claim.account_id))],
                    [claim.reservation_id, pending_member(*claim), "", before, int(ended)],
                )
                for claim in claims
            ]
        )
        return [UnclaimCode(reply) for reply in replies]

    async def block(self, blocks: Sequence[Block]) -> list[BlockCode]:
        """
        Block persons until a moment, or lift that, in order.
        """
        replies = await self._valkey.run_many(
            [
                ScriptCall(
                    SCRIPTS["block"],
                    [self._keys.claims(one.account_id)],
                    [one.reservation_id, one.until_ms, msgspec.msgpack.encode(one.person_ids)],
                )
                for one in blocks
            ]
        )
        return [BlockCode(reply) for reply in replies]

    async def settle(self, claims: Sequence[Claim]) -> None:
        """
        Note that these have their hold; the sweep need not come back.
        """
        await self._valkey.many(
            [
                ("ZREM", self._keys.pending(self._keys.account_tag(claim.account_id)), pending_member(*claim))
                for claim in claims
            ]
        )

    async def left_pending(self, older_than_ms: int) -> tuple[int, dict[Claim, str]]:
        """
        Claims at least that old with the state of their hold, empty if there is none.

        First comes the moment before which they were made, for taking them back.
        """
        seconds, micros = await self._valkey.call("TIME")
        before_ms = int(seconds) * 1000 + int(micros) // 1000 - older_than_ms
        asked: list[Command] = [
            ("ZRANGE", self._keys.pending(tag), "-inf", before_ms, "BYSCORE", "LIMIT", 0, SWEPT_PER_TURN_MAX)
            for tag in range(self._keys.partitions)
        ]
        members = [member for reply in await self._valkey.many(asked) for member in reply]
        claims = [Claim(*member.decode().split("|")) for member in members]
        states = await self._valkey.many(
            [("GET", self._keys.hold(claim.slot_id, claim.reservation_id)) for claim in claims]
        )
        return before_ms, {
            claim: "" if found is None else hold_record(found).state
            for claim, found in zip(claims, states, strict=True)
        }
