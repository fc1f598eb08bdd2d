"""
Hear what happened and queue what is to be told.

Called by consumers in their transaction. Queues mails and keeps tickets and addresses; never
sends anything: that is `sender`'s, after the commit.
"""

from collections.abc import Sequence

from contracts.events import AccountActivated, AccountRegistered, BookingEvent, Event
from kernel.postgres import Connection
from services.notify import stores
from services.notify.domain import LOCALE_DEFAULT, LOCALES, letter_of
from services.notify.stores import Contact


async def hear_bookings(connection: Connection, events: Sequence[Event]) -> None:
    """
    Keep the bookings for their tickets and queue a mail for each step that is told.
    """
    await stores.upsert_tickets(connection, [event.booking for event in events if isinstance(event, BookingEvent)])
    await _queue(connection, events)


async def hear_identity(connection: Connection, events: Sequence[Event]) -> None:
    """
    Know the addresses and queue activation mails.
    """
    contacts = [
        Contact(
            account_id=event.account_id,
            email=event.email,
            locale=event.locale if event.locale in LOCALES else LOCALE_DEFAULT,
            at_ms=event.at_ms,
        )
        for event in events
        if isinstance(event, AccountRegistered | AccountActivated)
    ]
    await stores.upsert_contacts(connection, contacts)
    await _queue(connection, events)


async def _queue(connection: Connection, events: Sequence[Event]) -> None:
    letters = [letter for letter in map(letter_of, events) if letter is not None]
    if letters:
        await stores.insert_messages(connection, letters)
