"""
A notify room on a database of the test's own, sending to the run's mail sink.

Used by `test_notify_*.py`.
"""

import dataclasses
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.utils import parseaddr
from typing import Any

import aiohttp

from contracts.envelope import Envelope
from contracts.events import AccountActivated, Event
from kernel.clock import now_ms
from kernel.ids import fresh
from kernel.migrate import migrate
from kernel.postgres import Database, database
from kernel.settings import PostgresSettings
from services.notify import consumers, stores
from services.notify.relay import Lookup, Relay
from services.notify.sender import Sender
from services.notify.settings import MailSettings
from tests.unit.notify_letters import ACCOUNT, MAIL_FROM, PUBLIC_URL, composer


@dataclasses.dataclass
class Room:
    """
    Notify's ears and hands, and a look into the reader's mailbox.
    """

    db: Database
    settings: MailSettings
    session: aiohttp.ClientSession
    mail_url: str
    address: str

    async def hear_booking(self, event: Event, *, event_id: str) -> None:
        """
        Take an event of booking.
        """
        await consumers.booking_events(self.db)([Envelope(event_id=event_id, event=event)])

    async def hear_identity(self, event: Event, *, event_id: str) -> None:
        """
        Take an event of identity.
        """
        await consumers.identity_events(self.db)([Envelope(event_id=event_id, event=event)])

    async def know_reader(self, *, locale: str = "id", at_ms: int = 1) -> None:
        """
        Identity tells the reader's address.
        """
        told = AccountActivated(account_id=ACCOUNT, email=self.address, locale=locale, at_ms=at_ms)
        await self.hear_identity(told, event_id=f"i.{ACCOUNT}.{at_ms}")

    def relay(self) -> Relay:
        """
        A connection to the sink, not opened yet.
        """
        return Relay(self.settings, sender=parseaddr(MAIL_FROM)[1])

    def sender(self, **changes: Any) -> Sender:
        """
        A sender; `changes` to its settings.
        """
        settings = dataclasses.replace(self.settings, **changes)
        return Sender(
            self.db,
            composer=composer(),
            relay=lambda: Relay(settings, sender=parseaddr(MAIL_FROM)[1]),
            lookup=Lookup(self.session, settings),
            settings=settings,
            now_ms=now_ms,
        )

    async def turn(self, relay: Relay, sender: Sender | None = None) -> int:
        """
        One turn over `relay`, which is hung up after it however the turn ends.
        """
        try:
            return await (sender or self.sender()).turn(relay)
        finally:
            await relay.close()

    async def send(self, sender: Sender | None = None) -> int:
        """
        Send until nothing is due. Returns how many claims that took.
        """
        sender, relay = sender or self.sender(), self.relay()
        claims = 0
        try:
            while taken := await sender.turn(relay):
                claims += taken
        finally:
            await relay.close()
        return claims

    async def mailbox(self) -> list[dict[str, Any]]:
        """
        What arrived for this test's reader.
        """
        async with self.session.get(f"{self.mail_url}/messages", params={"to": self.address}) as answer:
            found: list[dict[str, Any]] = await answer.json()
            return found

    async def one(self, statement: str) -> Any:
        """
        One value.
        """
        async with self.db.connection() as connection:
            return await connection.fetchval(statement)

    async def lease_ends(self) -> None:
        """
        The time a sender had is over.
        """
        async with self.db.connection() as connection:
            await connection.execute("UPDATE message SET due_at = now() WHERE state = 'sending'")


@asynccontextmanager
async def notify_room(dsn: str, *, smtp_url: str, mail_url: str) -> AsyncIterator[Room]:
    """
    Open the room on an empty database.
    """
    postgres = PostgresSettings(url=dsn)
    await migrate(postgres, schema=stores.SCHEMA, folder=stores.MIGRATIONS)
    settings = MailSettings(smtp_url=smtp_url, mail_from=MAIL_FROM, lookup_url=mail_url, public_url=PUBLIC_URL)
    async with database(postgres, schema=stores.SCHEMA) as db, aiohttp.ClientSession() as session:
        # The sink is shared by the run; the address is this test's own.
        yield Room(
            db=db, settings=settings, session=session, mail_url=mail_url, address=f"{fresh('reader')}@example.id"
        )
