"""
Reseating: money came for a booking that has no places any more.

Called by paying, in the transaction of the news. The payment is kept with the booking from
the first moment. Paid in time it seeks places: the same seats, the same slot, the same day,
the next days of that office. What finds none is told as paid without a seat; until then it
is on the list of unseated money all the same.
"""

import dataclasses
import datetime as dt
from collections.abc import Sequence

from kernel.log import get_logger
from kernel.postgres import Connection
from services.booking import metrics
from services.booking.domain.lifecycle import UNSEATED, State
from services.booking.domain.record import BookingRecord
from services.booking.domain.wishes import RESEAT_GOOD_FOR, Why, Wish, wish_id
from services.booking.stores import bookings, moves, offices
from services.booking.stores.bookings import Step
from services.booking.use_cases.telling import SOURCE
from services.booking.use_cases.wishing import ask

log = get_logger(__name__)
SLOTS_MAX = 50
"""Some weeks of an office's sessions; a wish names no more."""
REASON = "paid_in_time"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LateMoney:
    """
    A payment for a locked booking that has no places. `sought` if it was made in time.
    """

    record: BookingRecord
    paid: Step
    sought: bool


async def take_in(connection: Connection, late: Sequence[LateMoney]) -> list[BookingRecord]:
    """
    Keep what was paid and seek places for it. Returns those that are paid without a seat now, not yet told.
    """
    await moves.keep_late_money(connection, [money.paid for money in late])
    listed: list[Step] = []
    for money in late:
        if money.sought and await _seek(connection, money):
            metrics.late_payments_sought.inc()
        else:
            metrics.late_payments_listed.inc()
            listed.append(Step(booking_id=money.record.booking_id))
        log.warning("booking_paid_without_places", booking_id=money.record.booking_id, in_time=money.sought)
    return await bookings.move(connection, listed, to=State.PAID_NO_SEAT, come_from=UNSEATED)


async def _seek(connection: Connection, money: LateMoney) -> bool:
    """
    Ask quota for other places. False if there is no slot to ask for.
    """
    record = money.record
    slots = await moves.read_reseats(connection, record.visit.slot_id, limit=SLOTS_MAX)
    if not slots:
        return False
    now = await offices.read_now(connection)
    wish = Wish(
        booking_id=wish_id(Why.RESEAT, record.booking_id, money.paid.ntpn or ""),
        why=Why.RESEAT,
        account_id=record.account_id,
        person_ids=record.person_ids,
        slot_ids=tuple(slot.slot_id for slot in slots),
        seats=record.seats if slots[0].slot_id == record.visit.slot_id else (),
        replaces=record.booking_id,
        actor=SOURCE,
        reason=REASON,
        pay_by=now + RESEAT_GOOD_FOR + dt.timedelta(seconds=slots[0].pay_seconds),
        good_until=now + RESEAT_GOOD_FOR,
    )
    return await ask(connection, wish)
