"""
The only wiring of payment: what each process opens and hangs on to.

Called by `__main__` through `kernel.process`. Everything opened is closed in reverse.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import aiohttp

from contracts.envelope import Envelope, unseal
from contracts.topics import BOOKING_EVENTS
from kernel import inbox
from kernel.audit import sealing
from kernel.auth.authenticator import HeaderAuthenticator
from kernel.auth.tokens import TokenVerifier, keep_keys_fresh
from kernel.clock import now_ms
from kernel.errors import Retryable
from kernel.http.application import application
from kernel.kafka.consumer import Consumer, Reading
from kernel.kafka.producer import kafka_producer
from kernel.log import get_logger
from kernel.outbox import OutboxRelay
from kernel.postgres import Database, database
from kernel.process import Process, settings_of
from services.payment import routes, stores
from services.payment.banks import HttpBanks
from services.payment.consumers import BOOKING_EVENTS_GROUP, booking_events
from services.payment.sandbox_bank import SandboxBank
from services.payment.settings import ApiSettings, WorkerSettings
from services.payment.use_cases import watching
from services.payment.use_cases.confirming import confirm_for_ever

log = get_logger(__name__)
CALLBACKS_KEEP = timedelta(days=30)
CALLBACKS_TIDY_SECONDS = 60.0
CALLBACKS_ROWS_MAX = 1000


async def api(process: Process) -> None:
    """
    Answer citizens and banks.
    """
    settings = settings_of(ApiSettings)
    db = await process.open(database(settings.postgres, schema=stores.SCHEMA))
    verifier = TokenVerifier(now_ms)
    app = application(
        routes.ROUTES,
        settings.http,
        authenticator=HeaderAuthenticator(verifier, now_ms),
        sandbox=settings.sandbox,
    )
    app[routes.DATABASE] = db
    app[routes.KEYS] = settings.bank.keys_by_bank()
    app[routes.NOW_MS] = now_ms
    asking = await process.open(aiohttp.ClientSession())
    app[routes.BANKS] = HttpBanks(asking, settings.bank, now_ms)
    if settings.sandbox:
        # Connections of its own: reports that wait for our inquiries must not keep these from being sent.
        session = await process.open(aiohttp.ClientSession())
        app[routes.SANDBOX_BANK] = SandboxBank(db, session, settings.bank, now_ms)

    async def keys_known() -> bool:
        return verifier.ready

    process.ready_when("postgres", _answers(db))
    process.ready_when("jwks", keys_known)
    process.spawn("jwks", keep_keys_fresh(verifier, settings.jwks_url))
    process.serve(app, settings.http)


async def worker(process: Process) -> None:
    """
    Follow bookings, tell of invoices and payments, ask banks again.
    """
    settings = settings_of(WorkerSettings)
    db = await process.open(database(settings.postgres, schema=stores.SCHEMA))
    producer = await process.open(kafka_producer(settings.kafka, name="payment-worker"))
    reading = Reading[Envelope](
        group=BOOKING_EVENTS_GROUP,
        topics=(BOOKING_EVENTS.name,),
        decode=unseal,
        handle=booking_events(db, now_ms),
    )
    consumer = Consumer(settings.kafka, producer, reading)

    async def connected() -> bool:
        return consumer.connected

    process.ready_when("postgres", _answers(db))
    process.ready_when("kafka", connected)
    process.spawn("booking-events", consumer.run())
    process.spawn("outbox", OutboxRelay(db, producer, settings.kafka).run())
    session = await process.open(aiohttp.ClientSession())
    process.spawn("confirming", confirm_for_ever(db, HttpBanks(session, settings.bank, now_ms), now_ms))
    process.spawn("money-watch", watching.watch_for_ever(db))
    process.spawn("audit-seals", sealing.seal_for_ever(db, settings.audit.key()))
    process.spawn("audit-watch", sealing.watch_for_ever(db))
    process.spawn("inbox-tidy", inbox.tidy(db))
    process.spawn("callbacks-tidy", _tidy_callbacks(db))


def _answers(db: Database) -> Callable[[], Awaitable[bool]]:
    async def check() -> bool:
        await db.ping()
        return True

    return check


async def _tidy_callbacks(db: Database) -> None:
    while True:
        try:
            async with db.connection() as connection:
                await stores.forget_callbacks(connection, older_than=CALLBACKS_KEEP, rows_max=CALLBACKS_ROWS_MAX)
                await stores.forget_attempts(connection, rows_max=CALLBACKS_ROWS_MAX)
        except Retryable as error:
            log.warning("callbacks_tidy_waits", error=str(error))
        await asyncio.sleep(CALLBACKS_TIDY_SECONDS)
