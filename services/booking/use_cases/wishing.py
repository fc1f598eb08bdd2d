"""
Wishing: booking asks quota for places, and makes a booking of what it hears.

Asked by moves and by the office's own places; answered by the recording of quota's events,
in its transaction. A move gives the old places up only when the new ones stand. Never waits
for quota: whoever waits for an answer reads the wish.
"""

import asyncio
from collections.abc import Iterable, Sequence

from contracts.envelope import seal
from contracts.events import PlacesRefused, PlacesWanted
from kernel import outbox
from kernel.errors import Retryable
from kernel.log import get_logger
from kernel.postgres import Connection, Database
from services.booking.domain.lifecycle import TRANSITIONS, State
from services.booking.domain.record import BookingRecord, ms_of
from services.booking.domain.wishes import MOVES, Wish
from services.booking.stores import bookings, offices, wishes
from services.booking.stores.bookings import Step
from services.booking.use_cases.telling import SOURCE, tell_steps

log = get_logger(__name__)
REMIND_SECONDS = 30.0
REMINDED_AT_ONCE = 200
MOVABLE = frozenset(state for state in State if State.RESCHEDULED in TRANSITIONS[state])


async def ask(connection: Connection, wish: Wish) -> bool:
    """
    Ask quota for places, once. False if this was asked before, or another move of the booking is under way.
    """
    if not await wishes.put(connection, wish):
        return False
    await tell_wish(connection, wish)
    return True


async def tell_wish(connection: Connection, wish: Wish, *, again: int = 0) -> None:
    """
    Announce a wish; `again` tells a repeated announcement from the first.
    """
    wanted = PlacesWanted(
        booking_id=wish.booking_id,
        account_id=wish.account_id,
        person_ids=wish.person_ids,
        slot_ids=wish.slot_ids,
        seats=wish.seats,
        why=wish.why.value,
        replaces=wish.replaces,
        pay_by_ms=ms_of(wish.pay_by),
        good_until_ms=ms_of(wish.good_until),
        at_ms=ms_of(await offices.read_now(connection)),
    )
    event_id = f"w.{wish.booking_id}.{again}"
    await outbox.append(connection, [seal(wanted, event_id=event_id, key=wish.booking_id, source=SOURCE)])


async def remind_for_ever(database: Database) -> None:
    """
    Ask again for what quota has not answered: by now it answers that it is too late, or that the places are had.
    """
    round_number = 0
    while True:
        await asyncio.sleep(REMIND_SECONDS)
        round_number += 1
        try:
            async with database.transaction() as connection:
                for wish in await wishes.unsettled(connection, after_seconds=REMIND_SECONDS, limit=REMINDED_AT_ONCE):
                    await tell_wish(connection, wish, again=round_number)
        except Retryable as error:
            log.warning("wishes_wait", error=str(error))


async def held(connection: Connection, booking_ids: Iterable[str]) -> list[BookingRecord]:
    """
    Of bookings just recorded, those that were wished for: moves take over the payment and end the booking they move.

    Returns every booking that took a step, told already.
    """
    settled = await wishes.settle(connection, dict.fromkeys(booking_ids))
    moves = [wish for wish in settled if wish.why in MOVES and wish.replaces is not None]
    if not moves:
        return []
    moved = await _move(connection, moves)
    await tell_steps(connection, moved)
    return moved


async def refused(connection: Connection, refusals: Sequence[PlacesRefused]) -> list[Wish]:
    """
    Note what could not be had. Returns the wishes that were open: what becomes of each is its use case's business.
    """
    return await wishes.settle(connection, {one.reservation_id: one.reason for one in refusals})


async def _move(connection: Connection, moves: Sequence[Wish]) -> list[BookingRecord]:
    """
    New bookings get the payment of those they replace, which then end.
    """
    before = await bookings.lock(connection, (wish.replaces for wish in moves if wish.replaces is not None))
    confirmed: list[Step] = []
    ended: list[Step] = []
    for wish in moves:
        old = before.get(wish.replaces or "")
        if old is None or old.state not in MOVABLE or old.ntpn is None:
            # It took another way meanwhile; the new places wait for money of their own and expire without.
            log.warning("move_overtaken", booking_id=wish.booking_id, replaces=wish.replaces)
            continue
        confirmed.append(
            Step(
                booking_id=wish.booking_id,
                billing_code=old.billing_code,
                virtual_account=old.virtual_account,
                amount_rupiah=old.amount_rupiah,
                ntpn=old.ntpn,
                paid_at=old.paid_at,
            )
        )
        ended.append(Step(booking_id=old.booking_id, moved_to=wish.booking_id, reason=wish.reason))
    return [
        # The old one first: while it is active its persons are busy.
        *await bookings.move(connection, ended, to=State.RESCHEDULED, come_from=MOVABLE),
        *await bookings.move(connection, confirmed, to=State.CONFIRMED, come_from=(State.HELD,)),
    ]
