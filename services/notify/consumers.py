"""
What notify hears: `booking.events` and `identity.events`.

Called by the kernel's consumer loops with a batch. Effect and inbox are one transaction.
"""

from collections.abc import Awaitable, Callable, Sequence

from contracts.envelope import Envelope
from contracts.events import Event
from kernel import inbox
from kernel.postgres import Connection, Database
from services.notify import use_cases

BOOKING_EVENTS_GROUP = "notify.booking-events"
IDENTITY_EVENTS_GROUP = "notify.identity-events"

Handler = Callable[[Sequence[Envelope]], Awaitable[None]]
UseCase = Callable[[Connection, Sequence[Event]], Awaitable[None]]


def booking_events(database: Database) -> Handler:
    """
    The handler that tells steps of bookings.
    """
    return _once(database, BOOKING_EVENTS_GROUP, use_cases.hear_bookings)


def identity_events(database: Database) -> Handler:
    """
    The handler that knows addresses and sends activation links.
    """
    return _once(database, IDENTITY_EVENTS_GROUP, use_cases.hear_identity)


def _once(database: Database, group: str, use_case: UseCase) -> Handler:
    async def handle(envelopes: Sequence[Envelope]) -> None:
        async with database.transaction() as connection:
            fresh = await inbox.fresh(connection, group, envelopes)
            await use_case(connection, [envelope.event for envelope in fresh])

    return handle
