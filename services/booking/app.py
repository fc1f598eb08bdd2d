"""
Booking's wiring: which parts each of its processes has. The only place that connects them.

Called by `__main__` through `kernel.process.run`.
"""

import datetime as dt

from kernel import inbox
from kernel.audit import sealing
from kernel.auth.authenticator import HeaderAuthenticator
from kernel.auth.tokens import TokenVerifier, keep_keys_fresh, signing_key
from kernel.clock import now_ms
from kernel.http.application import application
from kernel.kafka.consumer import Consumer
from kernel.kafka.producer import kafka_producer
from kernel.outbox import OutboxRelay
from kernel.postgres import Database, database
from kernel.process import Process, settings_of
from kernel.sheets import Printer
from services.booking import consumers
from services.booking.leaves import LeafSigner
from services.booking.routes import ROUTES
from services.booking.routes.keys import BOARD, COUNTER, DATABASE, LEAVES, MOVES, SHEETS, TICKETS
from services.booking.settings import ApiSettings, WorkerSettings
from services.booking.sheets import TEMPLATE
from services.booking.tickets import TicketReader, public_keys
from services.booking.use_cases import no_shows, waitlisting, watching
from services.booking.use_cases.announcing import announce_for_ever
from services.booking.use_cases.board import OfficeBoard
from services.booking.use_cases.dealing import deal_for_ever
from services.booking.use_cases.expiring import sweep_for_ever
from services.booking.use_cases.publishing import publish_for_ever, watch_for_ever
from services.booking.use_cases.rebooking import rebook_for_ever
from services.booking.use_cases.spilling import spill_for_ever
from services.booking.use_cases.wishing import remind_for_ever

SCHEMA = "booking"


async def api(process: Process) -> None:
    """
    Answer people: offices, and their own bookings.
    """
    settings = settings_of(ApiSettings)
    db = await process.open(database(settings.postgres, schema=SCHEMA))
    verifier = TokenVerifier(now_ms)
    process.spawn("jwks", keep_keys_fresh(verifier, settings.jwks_url))

    async def keys_known() -> bool:
        return verifier.ready

    _ready_with_postgres(process, db)
    process.ready_when("jwks", keys_known)
    app = application(ROUTES, settings.http, authenticator=HeaderAuthenticator(verifier, now_ms))
    app[DATABASE] = db
    app[BOARD] = OfficeBoard(db)
    app[MOVES] = settings.moves
    app[COUNTER] = settings.counter
    app[TICKETS] = TicketReader(public_keys(settings.ticket_public_keys))
    app[SHEETS] = Printer(TEMPLATE)
    app[LEAVES] = LeafSigner(signing_key(settings.leaf_signing_key, variable="LEAF_SIGNING_KEY"))
    process.serve(app, settings.http)


async def worker(process: Process) -> None:
    """
    Record what quota decides, take payments in, expire, and tell.
    """
    settings = settings_of(WorkerSettings)
    db = await process.open(database(settings.postgres, schema=SCHEMA))
    telling = await process.open(kafka_producer(settings.kafka, name="booking-outbox"))
    marks = await process.open(kafka_producer(settings.kafka, name="booking-watermarks"))
    dead = await process.open(kafka_producer(settings.kafka, name="booking-dead"))
    hold = dt.timedelta(seconds=settings.waitlist_hold_seconds)
    quota = Consumer(settings.kafka, dead, consumers.quota_events(db, waitlist_hold=hold))
    payments = Consumer(settings.kafka, dead, consumers.payment_events(db))
    process.spawn("outbox", OutboxRelay(db, telling, settings.kafka).run())
    process.spawn("inbox-tidy", inbox.tidy(db))
    process.spawn("quota-events", quota.run())
    process.spawn("payment-events", payments.run())
    process.spawn("expiry-oldest", sweep_for_ever(db))
    process.spawn("expiry-newest", sweep_for_ever(db, newest_first=True))
    process.spawn("audit-seals", sealing.seal_for_ever(db, settings.audit.key()))
    process.spawn("audit-watch", sealing.watch_for_ever(db))
    process.spawn("wishes", remind_for_ever(db))
    process.spawn("waitlist", waitlisting.sweep_for_ever(db))
    missed = no_shows.sweep_for_ever(
        db, block_days=settings.no_show_block_days, grace_seconds=settings.no_show_grace_seconds
    )
    process.spawn("no-shows", missed)
    process.spawn("undone-watch", watching.watch_for_ever(db, grace_seconds=settings.no_show_grace_seconds))
    process.spawn("publishing", publish_for_ever(db))
    process.spawn("window-watch", watch_for_ever(db))
    process.spawn("rebooking", rebook_for_ever(db))
    process.spawn("booklets", deal_for_ever(db, short_days=settings.booklets_short_days))
    process.spawn("spill-over", spill_for_ever(db))
    process.spawn("watermarks", announce_for_ever(db, marks, partitions=settings.partitions))

    async def consuming() -> bool:
        return quota.connected and payments.connected

    _ready_with_postgres(process, db)
    process.ready_when("kafka", consuming)


def _ready_with_postgres(process: Process, db: Database) -> None:
    async def answers() -> bool:
        await db.ping()
        return True

    process.ready_when("postgres", answers)
