"""
What identity hears: `booking.events`.

Called by the kernel's consumer loop with a batch. Effect and inbox are one transaction.
"""

from collections.abc import Awaitable, Callable, Sequence

from contracts.envelope import Envelope
from contracts.events import (
    BookingCancelled,
    BookingCheckedIn,
    BookingCollected,
    BookingConfirmed,
    BookingEvent,
    BookingIncomplete,
    BookingNoShow,
    BookingPardoned,
    BookingReady,
    BookingRescheduled,
    BookingServed,
)
from kernel import inbox
from kernel.postgres import Database
from services.identity.use_cases.hear_visits import hear_visits

BOOKING_EVENTS_GROUP = "identity.booking-events"
_HEARD = (
    BookingConfirmed,
    BookingCheckedIn,
    BookingServed,
    BookingIncomplete,
    BookingReady,
    BookingCollected,
    BookingNoShow,
    BookingPardoned,
    BookingCancelled,
    BookingRescheduled,
)
"""Of paid bookings, and how they end: what is held or waits for money is nobody's visit yet, and most never are."""


def booking_events(database: Database) -> Callable[[Sequence[Envelope]], Awaitable[None]]:
    """
    The handler that knows who is awaited where and when.
    """

    async def handle(envelopes: Sequence[Envelope]) -> None:
        heard = [envelope for envelope in envelopes if isinstance(envelope.event, _HEARD)]
        if not heard:
            return
        async with database.transaction() as connection:
            fresh = await inbox.fresh(connection, BOOKING_EVENTS_GROUP, heard)
            await hear_visits(connection, [e.event for e in fresh if isinstance(e.event, BookingEvent)])

    return handle
