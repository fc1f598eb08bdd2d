"""
Waitlisting: places that come back are offered to whoever has waited longest and fits.

Called by routes to join and leave, by the recording of quota's events in its transaction,
and by the worker's sweep. An offer is a wish; come true it is a held booking like any
other, which is paid for or expires by itself. Never takes a place: quota does.
"""

import asyncio
import datetime as dt
from collections import Counter
from collections.abc import Sequence
from typing import Final, TypeAlias

import msgspec

from contracts.events import PlacesRefused, QuotaEvent, ReservationReleased, SlotApplied
from kernel.errors import Retryable
from kernel.log import get_logger
from kernel.postgres import Connection, Database
from services.booking import metrics
from services.booking.domain.lifecycle import UNPAID, State
from services.booking.domain.record import BookingRecord
from services.booking.domain.waitlist import Fate, Standing, Waiting, fate_of, pass_on, whom_to_offer
from services.booking.domain.wishes import GOOD_FOR, Why, Wish, wish_id
from services.booking.stores import bookings, offices, waitlist
from services.booking.stores.bookings import Step
from services.booking.stores.waitlist import DecidedOffer, Entry, WantedSlot
from services.booking.use_cases import wishing
from services.booking.use_cases.telling import tell_steps

log = get_logger(__name__)
HOLD: Final = dt.timedelta(minutes=30)
LINE_MAX: Final = 2000
"""Nobody behind so many has anything of waiting."""
PAGE_ROWS: Final = 100
OFFERS_MAX: Final = 200
"""Of one batch of quota's events. What is not offered then is on sale for everybody."""
SWEEP_ROWS_MAX: Final = 500
SWEEP_SECONDS: Final = 1.0
LEFT_REASON: Final = "left_waitlist"


class Joined(msgspec.Struct, frozen=True):
    """
    In line.
    """


class NothingToWaitFor(msgspec.Struct, frozen=True):
    """
    No slot of that office, service and range has been on sale and is still to come.
    """


class PlacesLeft(msgspec.Struct, frozen=True, kw_only=True):
    """
    Nobody needs to wait: these slots are sold now and have places.
    """

    slot_ids: list[str]


class PersonsBusy(msgspec.Struct, frozen=True, kw_only=True):
    """
    These have an active booking already.
    """

    person_ids: list[str]


class WaitsAlready(msgspec.Struct, frozen=True):
    """
    The account, or one of the people, is in a line.
    """


class LineFull(msgspec.Struct, frozen=True):
    """
    So many wait already that joining would promise too much.
    """


NotJoined: TypeAlias = NothingToWaitFor | PlacesLeft | PersonsBusy | WaitsAlready | LineFull


async def join(connection: Connection, entry: Entry) -> Joined | NotJoined:
    """
    Join a line at its end. Whatever is not `Joined` is to be rolled back by the caller.
    """
    slots = await waitlist.waitable_slots(
        connection,
        office_id=entry.office_id,
        service=entry.service,
        first_day=entry.first_day,
        last_day=entry.last_day,
    )
    if not slots:
        return NothingToWaitFor()
    if open_now := [s.slot_id for s in slots if s.sold_now and s.places_left >= len(entry.person_ids)]:
        return PlacesLeft(slot_ids=open_now)
    if busy := await waitlist.busy_persons(connection, entry.person_ids):
        return PersonsBusy(person_ids=busy)
    if await waitlist.length(connection, office_id=entry.office_id, service=entry.service) >= LINE_MAX:
        return LineFull()
    return Joined() if await waitlist.put(connection, entry) else WaitsAlready()


async def leave(connection: Connection, entry_id: str, *, account_id: str) -> bool:
    """
    Leave a line. What was offered meanwhile is given back by the sweep, unless it is paid. False if there is none.
    """
    found = await waitlist.lock(connection, entry_id, account_id=account_id)
    if found is None:
        return False
    standing, booking_id = found
    if standing in {Standing.WAITING, Standing.OFFERED}:
        await waitlist.end(connection, [entry_id], Standing.LEFT, open_offer=booking_id is not None)
    return True


class _Chance(msgspec.Struct, kw_only=True):
    slot_id: str
    seats: int
    behind: int = 0


async def places_came_back(connection: Connection, events: Sequence[QuotaEvent], *, hold: dt.timedelta = HOLD) -> int:
    """
    Offer what quota's events say is free again, or grown, to those who wait. Returns how many offers were made.
    """
    refusals = {e.reservation_id: e for e in events if isinstance(e, PlacesRefused)}
    back: Counter[str] = Counter()
    for event in events:
        if isinstance(event, ReservationReleased):
            back[event.slot_id] += len(event.seats)
        elif isinstance(event, SlotApplied):
            back[event.slot_id] += event.free
    chances = [_Chance(slot_id=slot_id, seats=seats) for slot_id, seats in back.items() if seats > 0]
    if refusals:
        chances += await _refused(connection, refusals)
    if not chances:
        return 0
    slots = await waitlist.wanted_slots(connection, {chance.slot_id for chance in chances}, ahead=hold)
    if not slots:
        return 0
    await waitlist.lock_lines(connection, ((slot.office_id, slot.service) for slot in slots))
    offered = 0
    for slot in slots:
        for chance in sorted((c for c in chances if c.slot_id == slot.slot_id), key=lambda c: c.behind):
            offered += await _offer(connection, slot, chance, hold=hold, limit=OFFERS_MAX - offered)
    return offered


async def _refused(connection: Connection, refusals: dict[str, PlacesRefused]) -> list[_Chance]:
    """
    Who was refused keeps the place in line; what others could still have is a chance of theirs.
    """
    offers = await waitlist.refused_offers(connection, refusals)
    await waitlist.requeue(connection, [offer.entry_id for offer in offers])
    chances = []
    for offer in offers:
        refusal = refusals[offer.booking_id]
        seats, behind = pass_on(offer.place, len(offer.person_ids), refusal.reason)
        if seats > 0:
            chances.append(_Chance(slot_id=refusal.slot_id, seats=seats, behind=behind))
    return chances


async def _offer(connection: Connection, slot: WantedSlot, chance: _Chance, *, hold: dt.timedelta, limit: int) -> int:
    """
    Offer the places of a slot along its line, page by page, until they or the line are used up.
    """
    seats, behind, offered = chance.seats, chance.behind, 0
    while seats > 0:
        page = await waitlist.lock_next(connection, slot, persons_max=seats, behind=behind, limit=PAGE_ROWS)
        chosen, seats = whom_to_offer(page, seats)
        for family in chosen[: limit - offered]:
            await _ask(connection, slot, family, hold=hold)
        offered += len(chosen)
        if offered >= limit:
            log.warning("waitlist_offers_cut", slot_id=slot.slot_id, offers_max=OFFERS_MAX)
            return limit
        if len(page) < PAGE_ROWS:
            break
        behind = page[-1].place
    return offered


async def _ask(connection: Connection, slot: WantedSlot, family: Waiting, *, hold: dt.timedelta) -> None:
    now = await offices.read_now(connection)
    booking_id = wish_id(Why.WAITLIST, family.entry_id, str(family.attempts + 1))
    wish = Wish(
        booking_id=booking_id,
        why=Why.WAITLIST,
        account_id=family.account_id,
        person_ids=family.person_ids,
        slot_ids=(slot.slot_id,),
        actor=family.account_id,
        reason=Why.WAITLIST.value,
        pay_by=now + hold,
        good_until=now + GOOD_FOR,
    )
    await waitlist.offer(connection, family.entry_id, booking_id=booking_id)
    await wishing.ask(connection, wish)
    log.info("waitlist_offer", entry_id=family.entry_id, booking_id=booking_id, slot_id=slot.slot_id)


async def sweep_for_ever(database: Database) -> None:
    """
    Sweep until cancelled.
    """
    while True:
        await asyncio.sleep(SWEEP_SECONDS)
        try:
            await sweep(database)
        except Retryable as error:
            log.warning("waitlist_waits", error=str(error))


async def sweep(database: Database) -> list[BookingRecord]:
    """
    Note what became of offers, give back what was offered to those who left, end what is over; a bounded number each.

    Returns the bookings given back.
    """
    async with database.transaction() as connection:
        decided = await waitlist.lock_decided(connection, limit=SWEEP_ROWS_MAX)
        fates = _fates(decided)
        given_back = await _settle(connection, fates)
        past = await waitlist.lock_past(connection, limit=SWEEP_ROWS_MAX)
        await waitlist.end(connection, past, Standing.OVER)
    metrics.count_steps(record.state for record in given_back)
    for fate in (Fate.TAKEN, Fate.PASSED):
        metrics.waitlist_offers.labels(fate.value).inc(len(fates[fate]))
    return given_back


def _fates(decided: Sequence[DecidedOffer]) -> dict[Fate, list[DecidedOffer]]:
    fates: dict[Fate, list[DecidedOffer]] = {fate: [] for fate in Fate}
    for offer in decided:
        fates[fate_of(offer.state, offer.booking_state)].append(offer)
    return fates


async def _settle(connection: Connection, fates: dict[Fate, list[DecidedOffer]]) -> list[BookingRecord]:
    given_back = await bookings.move(
        connection,
        [Step(booking_id=offer.booking_id, reason=LEFT_REASON) for offer in fates[Fate.GIVES_BACK]],
        to=State.CANCELLED,
        come_from=UNPAID,
    )
    await tell_steps(connection, given_back)
    await waitlist.requeue(connection, [offer.entry_id for offer in fates[Fate.WAITS_ON]])
    for fate, standing in _ENDS.items():
        await waitlist.end(connection, [offer.entry_id for offer in fates[fate]], standing)
    return given_back


_ENDS: Final = {
    Fate.TAKEN: Standing.TAKEN,
    Fate.PASSED: Standing.PASSED,
    Fate.GIVES_BACK: Standing.LEFT,
    Fate.DONE: Standing.LEFT,
}
