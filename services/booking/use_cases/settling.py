"""
Settling: quota has answered a wish, and the booking that was to move moves, or stays.

Called by recording in the transaction of quota's decisions. The old booking ends, the new
one begins and is confirmed with its payment, all or nothing: if the new places do not stand
after all, the old ones have never been given up.
"""

import dataclasses
from collections.abc import Sequence

from contracts.events import PlacesRefused, ReservationHeld
from contracts.events.booking import MOVE_OVERTAKEN
from kernel.log import get_logger
from kernel.postgres import Connection
from services.booking.domain.lifecycle import UNSEATED, State
from services.booking.domain.record import BookingRecord
from services.booking.domain.wishes import MOVABLE, MOVES, Why, Wish, is_listed_after_refusal, may_move
from services.booking.stores import bookings, wishes
from services.booking.stores.bookings import Step
from services.booking.use_cases.placing import displace, reason_of
from services.booking.use_cases.telling import tell_steps

log = get_logger(__name__)


@dataclasses.dataclass(frozen=True, slots=True)
class Move:
    """
    New places and the booking that is to have them, as it is locked now.
    """

    hold: ReservationHeld
    wish: Wish
    old: BookingRecord


@dataclasses.dataclass(slots=True)
class _Moved:
    records: list[BookingRecord]
    refused: dict[str, str]


def is_move(wish: Wish | None) -> bool:
    """
    Whether a booking is to be moved by this.
    """
    return wish is not None and wish.why in MOVES and wish.replaces is not None


async def move(connection: Connection, held: Sequence[tuple[ReservationHeld, Wish]]) -> list[BookingRecord]:
    """
    Move bookings to the places quota holds for them. Returns every booking that took a step, told already.
    """
    if not held:
        return []
    before = await bookings.lock(connection, (wish.replaces or "" for _, wish in held))
    moved = _Moved([], {})
    able: list[Move] = []
    for hold, wish in held:
        old = before[wish.replaces or ""]
        if may_move(wish.why, old.state, ntpn=old.ntpn):
            able.append(Move(hold=hold, wish=wish, old=old))
        else:
            log.warning("move_overtaken", booking_id=wish.booking_id, replaces=wish.replaces, state=old.state.value)
            moved.refused[hold.reservation_id] = MOVE_OVERTAKEN
            moved.records += await displace(connection, hold, reason=MOVE_OVERTAKEN)
    await _move_all(connection, able, moved)
    await tell_steps(connection, moved.records)
    settled = await wishes.settle(
        connection, {hold.reservation_id: moved.refused.get(hold.reservation_id) for hold, _ in held}
    )
    return [
        *moved.records,
        *await _list_without_places(connection, [w for w in settled if w.booking_id in moved.refused]),
    ]


async def settle(connection: Connection, answers: dict[str, str | None]) -> None:
    """
    Note which places that move nobody came to stand, and why the others do not.
    """
    await wishes.settle(connection, answers)


async def refused(connection: Connection, refusals: Sequence[PlacesRefused]) -> tuple[list[Wish], list[BookingRecord]]:
    """
    Note what could not be had. Returns the wishes that were open and the bookings that took a step, told already.

    What becomes of wishes that move nobody is their use case's business.
    """
    settled = await wishes.settle(connection, {one.reservation_id: one.reason for one in refusals})
    return settled, await _list_without_places(connection, settled)


async def _move_all(connection: Connection, moves: Sequence[Move], moved: _Moved) -> None:
    """
    All at once if every one gets what it claims; else one half after the other, until what does not stands alone.
    """
    if not moves:
        return
    why = await _move_if_free(connection, moves, moved)
    if why is None:
        return
    if len(moves) == 1:
        moved.refused[moves[0].hold.reservation_id] = why
        moved.records += await displace(connection, moves[0].hold, reason=why)
        return
    middle = len(moves) // 2
    await _move_all(connection, moves[:middle], moved)
    await _move_all(connection, moves[middle:], moved)


async def _move_if_free(connection: Connection, moves: Sequence[Move], moved: _Moved) -> str | None:
    """
    None and everything is done, or why not and nothing is.
    """
    savepoint = connection.transaction()
    await savepoint.start()
    # The old one first: while it is active its persons are busy.
    ended = await bookings.move(
        connection,
        [Step(booking_id=m.old.booking_id, moved_to=m.hold.reservation_id, reason=m.wish.reason) for m in moves],
        to=State.RESCHEDULED,
        come_from=MOVABLE[Why.REBOOK] | MOVABLE[Why.RESCHEDULE] | MOVABLE[Why.RESEAT],
    )
    recorded = await bookings.record(connection, [m.hold for m in moves], state=State.HELD)
    why = next((reason_of(new) for new in recorded if not new.stands), None)
    if why is None and len(recorded) < len(moves):
        why = "known_already"
    if why is not None:
        await savepoint.rollback()
        return why
    moved.records += ended
    moved.records += await bookings.move(
        connection, [_paid(m.hold, m.old) for m in moves], to=State.CONFIRMED, come_from=(State.HELD,)
    )
    await savepoint.commit()
    return None


def _paid(hold: ReservationHeld, old: BookingRecord) -> Step:
    return Step(
        booking_id=hold.reservation_id,
        billing_code=old.billing_code,
        virtual_account=old.virtual_account,
        amount_rupiah=old.amount_rupiah,
        ntpn=old.ntpn,
        paid_at=old.paid_at,
    )


async def _list_without_places(connection: Connection, refusals: Sequence[Wish]) -> list[BookingRecord]:
    """
    Money that sought places and got none is told from now on.
    """
    sought = [wish.replaces for wish in refusals if wish.why is Why.RESEAT and wish.replaces is not None]
    if not sought:
        return []
    before = await bookings.lock(connection, sought)
    steps = [
        Step(booking_id=booking_id)
        for booking_id, record in before.items()
        if is_listed_after_refusal(Why.RESEAT, record.state)
    ]
    listed = await bookings.move(connection, steps, to=State.PAID_NO_SEAT, come_from=UNSEATED)
    await tell_steps(connection, listed)
    return listed
