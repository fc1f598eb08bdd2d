"""
Rebooking: who has a place on a closed day is moved to the next free ones of his office.

Called by the worker as a task. Any number may run: each locks what it takes and skips what
another has in hand. The unpaid are cancelled; for the paid, places are wished for, of the
same service and channel, and a booking is given up only when its new places stand. What quota
refuses, and what there are no later slots for, stays listed under the closed day.
"""

import asyncio
import datetime as dt
from collections.abc import Sequence
from typing import Final

from kernel.errors import Retryable
from kernel.log import get_logger
from kernel.postgres import Connection, Database
from services.booking import metrics
from services.booking.domain.lifecycle import UNPAID, State
from services.booking.domain.record import BookingRecord
from services.booking.domain.wishes import GOOD_FOR, Why, Wish
from services.booking.stores import bookings, closures, offices
from services.booking.stores.bookings import Step
from services.booking.stores.closures import Stranded
from services.booking.use_cases import wishing
from services.booking.use_cases.telling import tell_steps
from services.booking.use_cases.wishing import wish_id

log = get_logger(__name__)
REASON: Final = "office_closed"
ROWS_MAX: Final = 200
CANDIDATES_MAX: Final = 50
"""As many slots as a wish may name."""
AGAIN_AFTER_SECONDS: Final = 3600.0
"""What was refused is asked for again: by then more days may be planned, or places have come back."""
PAUSE_SECONDS: Final = 1.0
TROUBLE_SECONDS: Final = 5.0


async def rebook_for_ever(database: Database) -> None:
    """
    Rebook until cancelled.
    """
    while True:
        try:
            if await rebook(database) < ROWS_MAX:
                await asyncio.sleep(PAUSE_SECONDS)
        except Retryable as error:
            log.warning("rebooking_waits", error=str(error))
            await asyncio.sleep(TROUBLE_SECONDS)


async def rebook(database: Database) -> int:
    """
    Take care of a bounded number of bookings of closed days. Returns of how many something has become.
    """
    async with database.transaction() as connection:
        stranded = await closures.lock_stranded(connection, limit=ROWS_MAX, again_after_seconds=AGAIN_AFTER_SECONDS)
        cancelled = await _cancel(connection, [each for each in stranded if each.state in UNPAID])
        now = await offices.read_now(connection)
        asked = 0
        for each in stranded:
            if each.state == State.CONFIRMED:
                asked += await _ask(connection, each, now)
    metrics.count_steps(record.state for record in cancelled)
    metrics.rebookings.inc(asked)
    if cancelled or asked:
        log.info("closed_day_rebooked", asked=asked, cancelled=len(cancelled))
    return asked + len(cancelled)


async def _cancel(connection: Connection, unpaid: Sequence[Stranded]) -> list[BookingRecord]:
    steps = [Step(booking_id=each.booking_id, reason=REASON) for each in unpaid]
    cancelled = await bookings.move(connection, steps, to=State.CANCELLED, come_from=UNPAID)
    await tell_steps(connection, cancelled)
    return cancelled


async def _ask(connection: Connection, booking: Stranded, now: dt.datetime) -> bool:
    """
    Wish for the next places. False while there are none, or another move of the booking is under way.
    """
    slot_ids = await closures.next_places(connection, booking, limit=CANDIDATES_MAX)
    if not slot_ids:
        return False
    wish = Wish(
        booking_id=wish_id(Why.REBOOK, booking.booking_id, str(booking.asked_before)),
        why=Why.REBOOK,
        account_id=booking.account_id,
        person_ids=booking.person_ids,
        slot_ids=slot_ids,
        replaces=booking.booking_id,
        actor=booking.closed_by,
        reason=REASON,
        pay_by=now + dt.timedelta(seconds=booking.pay_seconds),
        good_until=now + GOOD_FOR,
    )
    return await wishing.ask(connection, wish)
