"""
Quota follows booking: plans are made true, paid holds confirmed, ended ones given back with their claims, and
families that did not come are blocked.

Called by consumers with batches. Every effect is idempotent by its id, so a batch that
comes again changes nothing. What the books do not allow is `Permanent`: it is parked with
its reason after the rest of the batch has taken effect.
"""

import random
from collections.abc import Callable, Mapping, Sequence

from contracts.envelope import Envelope
from contracts.events import (
    Booking,
    BookingCancelled,
    BookingCollected,
    BookingConfirmed,
    BookingDisplaced,
    BookingEvent,
    BookingExpired,
    BookingIncomplete,
    BookingNoShow,
    BookingPardoned,
    BookingReady,
    BookingRescheduled,
    BookingServed,
    SlotPlanned,
)
from kernel.clock import NowMs, now_ms
from kernel.errors import Permanent, Retryable
from kernel.log import get_logger
from services.quota import metrics
from services.quota.domain.returning import Delay, Returns, offer_of
from services.quota.stores.claims import Block, Claim, Claims
from services.quota.stores.holds import Holds
from services.quota.stores.scripts import ApplySlotCode, ConfirmCode, ReleaseCode
from services.quota.stores.valkey import ScriptCall

log = get_logger(__name__)
_DELAY = Delay()
_chance = random.SystemRandom()
_REASONS: dict[type[BookingEvent], str] = {
    BookingExpired: "expired",
    BookingCancelled: "cancelled",
    BookingDisplaced: "displaced",
    BookingRescheduled: "rescheduled",
}
"""Events that end a hold. A citizen's own words for it stay in booking."""
_FREES_PERSONS: tuple[type[BookingEvent], ...] = (
    *_REASONS,
    BookingServed,
    BookingIncomplete,
    BookingNoShow,
    BookingReady,
    BookingCollected,
)
"""After these the people may reserve again. Who came, and who did not, keeps the numbers."""
SEAT_TAKEN = "seat_taken"
"""Why booking displaced a hold whose numbers another active booking has."""
_STRANGE = (ConfirmCode.UNKNOWN_HOLD, ConfirmCode.ENDED, ReleaseCode.UNKNOWN_HOLD, ReleaseCode.NOT_CONFIRMED)
_STOPPED = (ConfirmCode.STOPPED, ReleaseCode.STOPPED)
_UNBALANCED = (ConfirmCode.UNBALANCED, ReleaseCode.UNBALANCED)


class Following:
    """
    What booking says, done.
    """

    def __init__(
        self,
        holds: Holds,
        claims: Claims,
        *,
        delay: Delay = _DELAY,
        chance: Callable[[], float] = _chance.random,
        now_ms: NowMs = now_ms,
    ) -> None:
        self._holds = holds
        self._claims = claims
        self._delay = delay
        self._chance = chance
        self._now_ms = now_ms

    async def plans(self, envelopes: Sequence[Envelope]) -> None:
        """
        Load, resize, open or close slots.
        """
        plans = [envelope.event for envelope in envelopes if isinstance(envelope.event, SlotPlanned)]
        unbalanced, waiting = [], []
        for plan, (code, surplus) in zip(plans, await self._holds.apply(plans), strict=True):
            metrics.followed.labels(code.name.lower()).inc()
            if code is ApplySlotCode.UNBALANCED:
                unbalanced.append(plan.slot_id)
            elif code is ApplySlotCode.STOPPED:
                waiting.append(plan.slot_id)
            if surplus:
                log.warning("slot_shrunk_below_use", slot_id=plan.slot_id, surplus=surplus)
        _refuse(unbalanced)
        _wait_for(waiting)

    async def bookings(self, envelopes: Sequence[Envelope]) -> None:
        """
        Confirm, release, free and block, in the order booking said it.
        """
        said = [envelope.event for envelope in envelopes if isinstance(envelope.event, BookingEvent)]
        returns = await self._holds.returns(
            sorted({event.booking.slot_id for event in said if type(event) in _REASONS})
        )
        calls: list[ScriptCall] = []
        subjects: list[Booking] = []
        for event in said:
            call = self._call(event, returns)
            if call is not None:
                calls.append(call)
                subjects.append(event.booking)
        codes = await self._holds.resolve(calls)
        stopped = [
            one.slot_id for one, code in zip(subjects, codes, strict=True) if any(code is each for each in _STOPPED)
        ]
        _wait_for(stopped)
        # Claims go after their holds: as long as a place is held, its persons are taken.
        await self._free_persons(said)
        _refuse([_noted(booking, code) for booking, code in zip(subjects, codes, strict=True)])

    def _call(self, event: BookingEvent, returns: Mapping[str, Returns]) -> ScriptCall | None:
        """
        What becomes of the hold, if anything does.
        """
        booking, reason = event.booking, _REASONS.get(type(event))
        if isinstance(event, BookingConfirmed):
            return self._holds.confirm_call(booking.slot_id, booking.booking_id)
        if reason is None or _is_anothers(event):
            return None
        # Expired, cancelled, moved or given back: each waits alike, or the quickest way would be the way to grab.
        offer = offer_of(returns.get(booking.slot_id), self._delay, chance=self._chance(), now_ms=self._now_ms())
        return self._holds.release_call(
            booking.slot_id,
            booking.booking_id,
            reason=reason,
            offer=offer,
            confirmed_only=isinstance(event, BookingRescheduled),
        )

    async def _free_persons(self, said: Sequence[BookingEvent]) -> None:
        # Blocked first: between the two nobody must find the account free and its persons not yet blocked.
        blocks = [_block(event) for event in said if isinstance(event, BookingNoShow | BookingPardoned)]
        for block, code in zip(blocks, await self._claims.block(blocks), strict=True):
            metrics.followed.labels(code.name.lower()).inc()
            log.info("block_followed", booking_id=block.reservation_id, until_ms=block.until_ms, effect=code.name)
        freed = [event.booking for event in said if isinstance(event, _FREES_PERSONS)]
        await self._claims.give_back([Claim(one.account_id, one.booking_id, one.slot_id) for one in freed], ended=True)


def _block(event: BookingNoShow | BookingPardoned) -> Block:
    booking = event.booking
    until_ms = event.blocked_until_ms if isinstance(event, BookingNoShow) else 0
    return Block(booking.account_id, booking.booking_id, booking.person_ids, until_ms)


def _is_anothers(event: BookingEvent) -> bool:
    """
    Numbers that belong to somebody else must not be offered again: they stay held until a rebuild.
    """
    return isinstance(event, BookingDisplaced) and event.reason == SEAT_TAKEN


def _noted(booking: Booking, code: ConfirmCode | ReleaseCode) -> str | None:
    metrics.followed.labels(code.name.lower()).inc()
    if any(code is strange for strange in _STRANGE):
        log.warning("booking_followed_no_hold", booking_id=booking.booking_id, code=code.name)
    return booking.slot_id if any(code is one for one in _UNBALANCED) else None


def _wait_for(stopped: Sequence[str]) -> None:
    """
    What booking says to a stopped partition waits for its rebuild, and is true afterwards as well.
    """
    if stopped:
        raise Retryable(f"{len(stopped)} slots are in partitions that are stopped, {stopped[0]} is one")


def _refuse(unbalanced: Sequence[str | None]) -> None:
    slot_ids = sorted({slot_id for slot_id in unbalanced if slot_id is not None})
    if slot_ids:
        raise Permanent(f"the books of {', '.join(slot_ids[:10])} do not add up")
