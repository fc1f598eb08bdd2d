"""
Hearing of visits: who is awaited where and when, kept as booking tells it.

Called by the consumer inside its transaction. The newest version of a booking wins, in
whatever order they arrive.
"""

from collections.abc import Sequence

from contracts.events import BookingEvent
from kernel.postgres import Connection
from services.identity.domain.visits import newest_offices, newest_visits
from services.identity.stores import visits


async def hear_visits(connection: Connection, events: Sequence[BookingEvent]) -> None:
    """
    Know what these events tell.
    """
    if events:
        await visits.keep_offices(connection, newest_offices(events))
        await visits.keep(connection, newest_visits(events))
