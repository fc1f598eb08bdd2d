"""
Give money back: asked for by one, approved by another, told to the treasury.

Called by the doors of staff, by the consumer of booking's events (money came for a booking without
places; a booking moved and took its money along) and by the export. Every step leaves a line in the
audit log, in its transaction.
"""

from collections.abc import Sequence

from contracts.envelope import seal
from contracts.events import BookingPaidNoSeat, BookingRescheduled, Event, PaymentRefunded
from kernel import outbox
from kernel.audit import entries
from kernel.audit.entries import Deed
from kernel.errors import Permanent
from kernel.ids import derived
from kernel.kafka.message import Message
from kernel.log import get_logger
from kernel.postgres import Connection
from services.payment.domain.refunds import ROOM_ITSELF, Refund, RefundState, Refusal, may_ask, may_become
from services.payment.stores import exceptions, refunds

log = get_logger(__name__)
ROOM = "payment"
NO_SEAT = "money came for a booking that has no places any more"


async def ask(
    connection: Connection, *, refund_id: str, booking_id: str, amount_rupiah: int | None, reason: str, actor: str
) -> Refund | Refusal:
    """
    Ask to give the payment of a booking back, all of it where no amount is named.
    """
    paid = await refunds.paid_for(connection, booking_id)
    refusal = may_ask(paid, booking_id=booking_id, amount_rupiah=amount_rupiah)
    if paid is None or refusal is not None:
        return refusal or Refusal.NOTHING_PAID
    asked_rupiah = amount_rupiah or paid.amount_rupiah
    asked = await refunds.insert(
        connection,
        refund_id=refund_id,
        booking_id=booking_id,
        paid=paid,
        amount_rupiah=asked_rupiah,
        reason=reason,
        actor=actor,
    )
    if not asked:
        return Refusal.ALREADY_ASKED
    details = {"booking_id": booking_id, "amount_rupiah": asked_rupiah}
    await entries.write(
        connection, Deed(actor=actor, action="request_refund", subject=refund_id, reason=reason, details=details)
    )
    return await refunds.read(connection, refund_id) or Refusal.UNKNOWN


async def ask_for_exception(
    connection: Connection, *, refund_id: str, exception_number: int, reason: str, actor: str
) -> Refund | Refusal:
    """
    Ask to give money back that is no payment: all of it, as the bank told of it.
    """
    asked = await refunds.insert_for_exception(
        connection, refund_id=refund_id, exception_number=exception_number, reason=reason, actor=actor
    )
    refund = await refunds.read(connection, refund_id) if asked else None
    if refund is None:
        return Refusal.ALREADY_ASKED
    details = {"exception": exception_number, "booking_id": refund.booking_id, "amount_rupiah": refund.amount_rupiah}
    await entries.write(
        connection, Deed(actor=actor, action="request_refund", subject=refund_id, reason=reason, details=details)
    )
    return refund


async def approve(connection: Connection, refund_id: str, *, actor: str, reason: str) -> Refund | Refusal:
    """
    Agree, as a second person.
    """
    return await _decide(connection, refund_id, RefundState.APPROVED, actor=actor, reason=reason)


async def reject(connection: Connection, refund_id: str, *, actor: str, reason: str) -> Refund | Refusal:
    """
    Leave the money where it is. What was no payment is open again.
    """
    return await _decide(connection, refund_id, RefundState.REJECTED, actor=actor, reason=reason)


async def follow_bookings(connection: Connection, events: Sequence[Event]) -> list[RefundState]:
    """
    Ask for the room itself where money came without places, and let a booking that moved take its money along.
    Returns the steps refunds took. Raises `Permanent` for money nobody knows of.
    """
    steps: list[RefundState] = []
    for event in events:
        if isinstance(event, BookingPaidNoSeat):
            steps += await _ask_for_nobody(connection, event)
        elif isinstance(event, BookingRescheduled):
            steps += await _move(connection, event)
    return steps


async def report(connection: Connection, batch_id: str, *, rows_max: int) -> list[Refund]:
    """
    Close a file of what is approved, and announce each refund of a payment. Returns all; nothing approved, no file.
    """
    refund_ids = await refunds.take_approved(connection, rows_max=rows_max)
    if not refund_ids:
        return []
    at_ms = await refunds.insert_batch(connection, batch_id, refund_ids)
    reported = await refunds.of_batch(connection, batch_id)
    await outbox.append(connection, [message for refund in reported for message in _refunded(refund, at_ms)])
    details = {"refunds": len(reported), "amount_rupiah": sum(refund.amount_rupiah for refund in reported)}
    await entries.write(
        connection,
        Deed(
            actor=ROOM_ITSELF,
            action="report_refunds",
            subject=batch_id,
            reason="file for the treasury",
            details=details,
        ),
    )
    return reported


async def _decide(
    connection: Connection, refund_id: str, state: RefundState, *, actor: str, reason: str
) -> Refund | Refusal:
    refund = await refunds.lock(connection, refund_id)
    if refund is None:
        return Refusal.UNKNOWN
    refusal = may_become(refund, state, actor=actor)
    if refusal is not None:
        return refusal
    step, action = (
        (refunds.approve, "approve_refund") if state is RefundState.APPROVED else (refunds.reject, "reject_refund")
    )
    await step(connection, refund_id, actor=actor)
    if state is RefundState.REJECTED and refund.exception_number is not None:
        await exceptions.reopen(connection, refund.exception_number)
    details = {"booking_id": refund.booking_id, "amount_rupiah": refund.amount_rupiah}
    await entries.write(connection, Deed(actor=actor, action=action, subject=refund_id, reason=reason, details=details))
    return await refunds.read(connection, refund_id) or Refusal.UNKNOWN


async def _ask_for_nobody(connection: Connection, event: BookingPaidNoSeat) -> list[RefundState]:
    booking_id = event.booking.booking_id
    asked = await ask(
        connection,
        refund_id=derived("rfd", booking_id, event.ntpn, ROOM_ITSELF),
        booking_id=booking_id,
        amount_rupiah=None,
        reason=NO_SEAT,
        actor=ROOM_ITSELF,
    )
    if asked is Refusal.NOTHING_PAID:
        raise Permanent(f"{booking_id} is said to be paid, and no payment of it is known")
    return [asked.state] if isinstance(asked, Refund) else []


async def _move(connection: Connection, event: BookingRescheduled) -> list[RefundState]:
    booking_id = event.booking.booking_id
    withdrawn = await refunds.live_of(connection, booking_id)
    reason = f"the money moved with the booking to {event.moved_to}"
    for refund_id in withdrawn:
        await reject(connection, refund_id, actor=ROOM_ITSELF, reason=reason)
    before = await refunds.of_booking(connection, booking_id, account_id=event.booking.account_id)
    if before is not None and before.exception_number is None and before.state is RefundState.REPORTED:
        # Nobody can take a file back from the treasury: a person has to ask the payer for the money again.
        log.warning("moved_after_refund", booking_id=booking_id, moved_to=event.moved_to, refund_id=before.refund_id)
    await refunds.move_payment(connection, booking_id, moved_to=event.moved_to)
    return [RefundState.REJECTED] * len(withdrawn)


def _refunded(refund: Refund, at_ms: int) -> list[Message]:
    """
    For those who follow the booking whose payment it was; money that never was one is nobody's news.
    """
    if refund.booking_id is None or refund.exception_number is not None:
        return []
    event = PaymentRefunded(
        booking_id=refund.booking_id, ntpn=refund.ntpn, amount_rupiah=refund.amount_rupiah, at_ms=at_ms
    )
    return [seal(event, event_id=f"p.{refund.refund_id}.refunded", key=refund.booking_id, source=ROOM)]
