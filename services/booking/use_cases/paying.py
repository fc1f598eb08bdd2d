"""
Paying: what the payment room reports moves bookings on, whatever they have become meanwhile.

Called by the consumer of payment events with a batch. A payment for a booking that has its
places confirms. One for a booking that no longer has any is kept with it at once; if it was
made in time, by the bank's clock, places are sought for it, else it is told as paid without
a seat. Never silent; the same payment again changes nothing.
"""

import dataclasses
from collections.abc import Sequence

from contracts.envelope import Envelope
from contracts.events import InvoiceIssued, PaymentReceived
from kernel import inbox
from kernel.errors import Permanent
from kernel.log import get_logger
from kernel.postgres import Database
from services.booking import metrics
from services.booking.domain.lifecycle import UNPAID, Payment, State, payment_means
from services.booking.domain.record import BookingRecord
from services.booking.stores import bookings, wishes
from services.booking.stores.bookings import Step, moment_of
from services.booking.use_cases import noting, reseating
from services.booking.use_cases.reseating import LateMoney
from services.booking.use_cases.telling import tell_steps

log = get_logger(__name__)
CONSUMER = "booking.payment-events"
ORDER = (State.AWAITING_PAYMENT, State.CONFIRMED)
"""A booking that takes two steps in one batch takes them in this order."""
COME_FROM = {
    State.AWAITING_PAYMENT: frozenset({State.HELD}),
    State.CONFIRMED: UNPAID,
}


async def take(database: Database, envelopes: Sequence[Envelope]) -> None:
    """
    Take a batch of payment events. Raises `Permanent` when one is about a booking nobody knows.
    """
    told = [envelope for envelope in envelopes if isinstance(envelope.event, InvoiceIssued | PaymentReceived)]
    records: list[BookingRecord] = []
    async with database.transaction() as connection:
        fresh = [e.event for e in await inbox.fresh(connection, CONSUMER, told)]
        events = [event for event in fresh if isinstance(event, InvoiceIssued | PaymentReceived)]
        judge = _Judge(await bookings.lock(connection, (event.booking_id for event in events)))
        for event in events:
            judge.hear(event)
        for state in ORDER:
            records += await bookings.move(connection, judge.steps[state], to=state, come_from=COME_FROM[state])
        records += await reseating.take_in(connection, judge.late)
        invoiced = [step.booking_id for step in judge.steps[State.AWAITING_PAYMENT]]
        await tell_steps(connection, records, offered=await wishes.offered_among(connection, invoiced))
        # A desk without a network may have seen these people before they paid.
        brought_in = await noting.bring_in(connection, [r.booking_id for r in records if r.state is State.CONFIRMED])
    metrics.count_steps([*(record.state for record in records), *brought_in])
    metrics.check_ins.labels("offline").inc(brought_in.count(State.CHECKED_IN))


@dataclasses.dataclass(slots=True)
class _Standing:
    """
    Where a booking stands after what was heard so far.
    """

    record: BookingRecord
    state: State
    ntpn: str | None


class _Judge:
    """
    Decides the steps of locked bookings, event by event in the order they came.
    """

    def __init__(self, locked: dict[str, BookingRecord]) -> None:
        self._standing = {
            booking_id: _Standing(record=record, state=record.state, ntpn=record.ntpn)
            for booking_id, record in locked.items()
        }
        self.steps: dict[State, list[Step]] = {state: [] for state in ORDER}
        self.late: list[LateMoney] = []

    def hear(self, event: InvoiceIssued | PaymentReceived) -> None:
        """
        Take one event in.
        """
        standing = self._standing.get(event.booking_id)
        if standing is None:
            raise Permanent(f"{event.TYPE} about unknown booking {event.booking_id}")
        if isinstance(event, InvoiceIssued):
            self._invoice(standing, event)
        else:
            self._payment(standing, event)

    def _invoice(self, standing: _Standing, event: InvoiceIssued) -> None:
        # An invoice for a booking that has moved on has nobody to pay it any more.
        if standing.state is not State.HELD:
            return
        standing.state = State.AWAITING_PAYMENT
        self.steps[State.AWAITING_PAYMENT].append(
            Step(
                booking_id=event.booking_id,
                billing_code=event.billing_code,
                virtual_account=event.virtual_account,
                amount_rupiah=event.amount_rupiah,
            )
        )

    def _payment(self, standing: _Standing, event: PaymentReceived) -> None:
        paid_at = moment_of(event.paid_at_ms)
        in_time = paid_at <= standing.record.pay_by
        meaning = payment_means(standing.state, known_ntpn=standing.ntpn, ntpn=event.ntpn, in_time=in_time)
        if meaning is Payment.IS_REPEATED:
            return
        if meaning is Payment.IS_A_SECOND_ONE:
            metrics.second_payments.inc()
            log.error("booking_paid_twice", booking_id=event.booking_id, journal_number=event.journal_number)
            return
        standing.ntpn = event.ntpn
        paid = Step(
            booking_id=event.booking_id,
            billing_code=event.billing_code,
            amount_rupiah=event.amount_rupiah,
            ntpn=event.ntpn,
            paid_at=paid_at,
        )
        if meaning is Payment.CONFIRMS:
            standing.state = State.CONFIRMED
            self.steps[State.CONFIRMED].append(paid)
        else:
            self.late.append(LateMoney(record=standing.record, paid=paid, sought=meaning is Payment.SEEKS_A_SEAT))
