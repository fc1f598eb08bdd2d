"""
The only wiring of notify: what each process opens and hangs on to.

Called by `__main__` through `kernel.process`. Everything opened is closed in reverse.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from email.utils import parseaddr

import aiohttp

from contracts.envelope import Envelope, unseal
from contracts.topics import BOOKING_EVENTS, IDENTITY_EVENTS
from kernel import inbox
from kernel.auth.authenticator import HeaderAuthenticator
from kernel.auth.tokens import TokenVerifier, keep_keys_fresh, signing_key
from kernel.clock import now_ms
from kernel.http.application import application
from kernel.kafka.consumer import Consumer, Reading
from kernel.kafka.producer import Producer, kafka_producer
from kernel.postgres import Database, database
from kernel.process import Process, settings_of
from kernel.settings import KafkaSettings
from services.notify import consumers, routes, stores
from services.notify.composer import Composer
from services.notify.documents import Documents
from services.notify.relay import Lookup, Relay
from services.notify.routes import Press
from services.notify.sender import Sender, keep_counting
from services.notify.settings import ApiSettings, TicketSettings, WorkerSettings
from services.notify.tickets import TicketSigner


async def api(process: Process) -> None:
    """
    Hand out tickets.
    """
    settings = settings_of(ApiSettings)
    db = await process.open(database(settings.postgres, schema=stores.SCHEMA))
    verifier = TokenVerifier(now_ms)
    signer = _signer(settings.ticket)
    app = application(routes.ROUTES, settings.http, authenticator=HeaderAuthenticator(verifier, now_ms))
    app[routes.DATABASE] = db
    app[routes.SIGNER] = signer
    app[routes.PRESS] = await process.open(_press(signer))

    async def keys_known() -> bool:
        return verifier.ready

    process.ready_when("postgres", _answers(db))
    process.ready_when("jwks", keys_known)
    process.spawn("jwks", keep_keys_fresh(verifier, settings.jwks_url))
    process.serve(app, settings.http)


async def worker(process: Process) -> None:
    """
    Hear events, send mails.
    """
    settings = settings_of(WorkerSettings)
    db = await process.open(database(settings.postgres, schema=stores.SCHEMA))
    producer = await process.open(kafka_producer(settings.kafka, name="notify-worker"))
    session = await process.open(aiohttp.ClientSession())
    process.ready_when("postgres", _answers(db))
    _consume(process, settings.kafka, producer, _bookings(db))
    _consume(process, settings.kafka, producer, _identity(db))
    _, address = parseaddr(settings.mail.mail_from)
    sender = Sender(
        db,
        composer=Composer(
            Documents(_signer(settings.ticket)),
            mail_from=settings.mail.mail_from,
            public_url=settings.mail.public_url,
        ),
        relay=lambda: Relay(settings.mail, sender=address),
        lookup=Lookup(session, settings.mail),
        settings=settings.mail,
        now_ms=now_ms,
    )
    process.spawn("sender", sender.run())
    process.spawn("unsent", keep_counting(db))
    process.spawn("inbox-tidy", inbox.tidy(db))


def _consume(process: Process, settings: KafkaSettings, producer: Producer, reading: Reading[Envelope]) -> None:
    consumer = Consumer(settings, producer, reading)

    async def connected() -> bool:
        return consumer.connected

    process.ready_when(reading.group, connected)
    process.spawn(reading.group, consumer.run())


def _bookings(db: Database) -> Reading[Envelope]:
    return Reading(
        group=consumers.BOOKING_EVENTS_GROUP,
        topics=(BOOKING_EVENTS.name,),
        decode=unseal,
        handle=consumers.booking_events(db),
    )


def _identity(db: Database) -> Reading[Envelope]:
    return Reading(
        group=consumers.IDENTITY_EVENTS_GROUP,
        topics=(IDENTITY_EVENTS.name,),
        decode=unseal,
        handle=consumers.identity_events(db),
    )


def _signer(settings: TicketSettings) -> TicketSigner:
    return TicketSigner(signing_key(settings.signing_key, variable="TICKET_SIGNING_KEY"))


@asynccontextmanager
async def _press(signer: TicketSigner) -> AsyncIterator[Press]:
    press = Press(Documents(signer))
    try:
        yield press
    finally:
        press.close()


def _answers(db: Database) -> Callable[[], Awaitable[bool]]:
    async def check() -> bool:
        await db.ping()
        return True

    return check
