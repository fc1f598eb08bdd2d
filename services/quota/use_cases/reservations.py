"""
A family asks for places: Valkey decides, and whoever asked may go away meanwhile.

Called by routes. A decision once begun is seen through whatever becomes of its asker.
Never compensates: no answer in time is `Retryable`, unknown.
"""

import asyncio
import time
from typing import Protocol

from contracts.events import SlotPlanned
from kernel.deadline import within
from kernel.errors import Retryable
from kernel.ids import derived
from services.quota import metrics
from services.quota.domain.availability import Alternative, Offers, PublicSlots
from services.quota.domain.decisions import Ask, Decision, TellOutcome
from services.quota.domain.gate import Gate
from services.quota.stores.catalogue import Catalogue
from services.quota.stores.free import COUNTRY_AGE_MAX_SECONDS, COUNTRY_RENEW_AFTER_SECONDS, FreePlaces, Moments

ALTERNATIVES_WAIT_SECONDS = 0.3
"""A refusal does not wait longer than this for its consolation."""
_COUNTRY = "country"


class Decides(Protocol):
    """
    Whatever decides an ask; nobody has to wait for the answer, the decision is seen through.
    """

    @property
    def full(self) -> bool: ...  # noqa: D102 - said by the class

    def ask(self, ask: Ask, tell: TellOutcome) -> None: ...  # noqa: D102 - said by the class

    def decide(self, ask: Ask) -> "asyncio.Future[Decision]": ...  # noqa: D102 - said by the class


def ask_of(account_id: str, idempotency_key: str, slot_id: str, person_ids: tuple[str, ...]) -> Ask:
    """
    The ask, with the id that the same request always gets.
    """
    return Ask(
        reservation_id=derived("rsv", account_id, idempotency_key, slot_id),
        account_id=account_id,
        slot_id=slot_id,
        person_ids=person_ids,
        key=idempotency_key,
    )


class Reservations:
    """
    The counter at which places are asked for.
    """

    def __init__(self, decider: Decides, gate: Gate, catalogue: Catalogue, free: FreePlaces) -> None:
        self._decider = decider
        self._gate = gate
        self._catalogue = catalogue
        self._free = free
        self._slots_of, self._slots = -1, PublicSlots((), 0)
        self._offers: Moments[Offers] = Moments(
            self._offers_now,
            age_max_seconds=COUNTRY_AGE_MAX_SECONDS,
            keys_max=1,
            renew_after_seconds=COUNTRY_RENEW_AFTER_SECONDS,
        )

    def busy(self) -> bool:
        """
        Whether one more ask would be too much; it is counted as turned away.
        """
        if not self._decider.full:
            return False
        metrics.turned_away["busy"].inc()
        return True

    def sold_out(self, ask: Ask) -> bool:
        """
        Whether the ask can be refused from memory: its slot was sold out a moment ago, and it has nothing there.
        """
        if not self._gate.refuses(ask, time.monotonic()):
            return False
        metrics.gate_refusals.inc()
        return True

    def reserve(self, ask: Ask) -> "asyncio.Future[Decision]":
        """
        The decision. Raises `Retryable` when it is not known; the same ask finds out.
        """
        return self._decider.decide(ask)

    def ask(self, ask: Ask, tell: TellOutcome) -> None:
        """
        The same for one who is told the outcome, later and once; `Retryable` when it is not known.
        """
        self._decider.ask(ask, tell)

    async def instead_of(self, plan: SlotPlanned, count: int) -> tuple[Alternative, ...]:
        """
        Where there were `count` places a moment ago; empty when that cannot be said quickly.
        """
        try:
            offers = await within(ALTERNATIVES_WAIT_SECONDS, self._offers.get(_COUNTRY), what="free places")
        except Retryable:
            metrics.no_alternatives.inc()
            return ()
        return offers.instead_of(plan, count)

    def instead_at_once(self, plan: SlotPlanned, count: int) -> tuple[Alternative, ...] | None:
        """
        The same if it can be said now; None where one has to wait for it.
        """
        offers = self._offers.at_once(_COUNTRY)
        return None if offers is None else offers.instead_of(plan, count)

    async def _offers_now(self, _: str) -> Offers:
        if self._slots_of != self._catalogue.revision:
            self._slots_of = self._catalogue.revision
            self._slots = PublicSlots(self._catalogue.slots.values(), self._catalogue.now_ms())
        free = await self._free.of_offices(self._slots.by_office)
        return Offers(self._slots, free, self._catalogue.now_ms())
