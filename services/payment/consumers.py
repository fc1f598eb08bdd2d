"""
What payment hears: `booking.events`.

Called by the kernel's consumer loop with a batch. Effect and inbox are one transaction.
"""

from collections.abc import Awaitable, Callable, Sequence

from contracts.envelope import Envelope
from contracts.events import (
    BookingCancelled,
    BookingConfirmed,
    BookingExpired,
    BookingHeld,
    BookingPaidNoSeat,
    BookingRescheduled,
)
from kernel import inbox
from kernel.clock import NowMs
from kernel.postgres import Database
from services.payment import metrics, use_cases
from services.payment.use_cases import refunding

BOOKING_EVENTS_GROUP = "payment.booking-events"
_HEARD = (
    BookingHeld,
    BookingConfirmed,
    BookingExpired,
    BookingCancelled,
    BookingPaidNoSeat,
    BookingRescheduled,
)


def booking_events(database: Database, now_ms: NowMs) -> Callable[[Sequence[Envelope]], Awaitable[None]]:
    """
    The handler that keeps invoices and refunds in step with bookings.
    """

    async def handle(envelopes: Sequence[Envelope]) -> None:
        heard = [envelope for envelope in envelopes if isinstance(envelope.event, _HEARD)]
        if not heard:
            return
        async with database.transaction() as connection:
            fresh = await inbox.fresh(connection, BOOKING_EVENTS_GROUP, heard)
            events = [envelope.event for envelope in fresh]
            issued = await use_cases.follow_bookings(connection, events, now_ms=now_ms())
            steps = await refunding.follow_bookings(connection, events)
        metrics.invoices_issued.inc(issued)
        for step in steps:
            metrics.refunds.labels(step.value).inc()

    return handle
