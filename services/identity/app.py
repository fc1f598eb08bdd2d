"""
Identity's only wiring: which parts make which process.

Called by `__main__`. Nothing here decides anything.
"""

import os
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import msgspec
from aiohttp import web

from contracts.envelope import Envelope, unseal
from contracts.topics import BOOKING_EVENTS
from kernel import inbox
from kernel.audit import sealing
from kernel.auth.authenticator import HeaderAuthenticator
from kernel.auth.passes import PassKeys
from kernel.auth.tokens import TokenSigner, TokenVerifier, signing_key
from kernel.clock import now_ms
from kernel.http.application import application
from kernel.kafka.consumer import Consumer, Reading
from kernel.kafka.producer import kafka_producer
from kernel.migrate import migrate as run_migrations
from kernel.outbox import OutboxRelay
from kernel.postgres import Database, database
from kernel.process import Process, settings_of
from kernel.settings import PostgresSettings
from kernel.sheets import Printer
from services.identity.consumers import BOOKING_EVENTS_GROUP, booking_events
from services.identity.routes import ROUTES
from services.identity.routes.keys import DESK, Desk
from services.identity.settings import (
    ApiSettings,
    CredentialSettings,
    ProvisionSettings,
    RewrapSettings,
    VaultSettings,
    WorkerSettings,
)
from services.identity.sheets import TEMPLATE
from services.identity.stores.accounts import Account
from services.identity.stores.passwords import HASHER, Passwords, passwords
from services.identity.stores.registry import NoRegistry, SandboxRegistry
from services.identity.stores.vault import Vault
from services.identity.use_cases import staff
from services.identity.use_cases.provision import Crowd, Issuing, provision
from services.identity.use_cases.rewrap import rewrap
from services.identity.use_cases.tidy import tidy

SCHEMA = "identity"
MIGRATIONS = Path(__file__).parent / "sql" / "migrations"
SANDBOX_PASSWORD = "kuda-laut-biru-7"  # noqa: S105 - of people who do not exist, where no others are
_encode = msgspec.json.Encoder().encode


async def api(process: Process) -> None:
    """
    The HTTP process.
    """
    settings = settings_of(ApiSettings)
    db = await process.open(database(settings.postgres, schema=SCHEMA))
    limits = settings.passwords
    hashing = await process.open(passwords(workers=limits.workers, waiting_max=limits.waiting_max))
    process.ready_when("postgres", _answers(db))
    process.serve(street(settings, db, hashing), settings.http)


def street(settings: ApiSettings, db: Database, hashing: Passwords) -> web.Application:
    """
    The application that `api` serves.
    """
    signer = _signer(settings.credentials)
    app = application(
        ROUTES,
        settings.http,
        authenticator=HeaderAuthenticator(TokenVerifier(now_ms, jwks=signer.jwks()), now_ms),
        sandbox=settings.sandbox,
    )
    app[DESK] = Desk(
        database=db,
        vault=vault_of(settings.vault),
        passwords=hashing,
        registry=SandboxRegistry() if settings.sandbox else NoRegistry(),
        printer=Printer(TEMPLATE),
        signer=signer,
        pass_keys=_pass_keys(settings.credentials),
        accounts=settings.accounts,
        credentials=settings.credentials,
        now_ms=now_ms,
    )
    return app


async def worker(process: Process) -> None:
    """
    The process that tells and hears: outbox to Kafka, visits from it, and the broom.
    """
    settings = settings_of(WorkerSettings)
    db = await process.open(database(settings.postgres, schema=SCHEMA))
    producer = await process.open(kafka_producer(settings.kafka, name="identity-worker"))
    reading = Reading[Envelope](
        group=BOOKING_EVENTS_GROUP, topics=(BOOKING_EVENTS.name,), decode=unseal, handle=booking_events(db)
    )
    consumer = Consumer(settings.kafka, producer, reading)

    async def connected() -> bool:
        return consumer.connected

    process.spawn("booking-events", consumer.run())
    process.spawn("outbox", OutboxRelay(db, producer, settings.kafka).run())
    process.spawn("inbox-tidy", inbox.tidy(db))
    process.spawn("audit-seals", sealing.seal_for_ever(db, settings.audit.key()))
    process.spawn("audit-watch", sealing.watch_for_ever(db))
    process.spawn(
        "tidy",
        tidy(
            db,
            pending_keep_seconds=settings.accounts.pending_keep_seconds,
            login_window_seconds=settings.accounts.login_window_seconds,
            visits_keep_days=settings.visits.keep_days,
        ),
    )
    process.ready_when("postgres", _answers(db))
    process.ready_when("kafka", connected)


async def migrate(settings: PostgresSettings) -> list[str]:
    """
    Bring the schema up to date. Returns what was applied now.
    """
    return await run_migrations(settings, schema=SCHEMA, folder=MIGRATIONS)


async def rewrap_all(settings: RewrapSettings) -> int:
    """
    Seal what lies under older keys with the current one. Returns how many values.
    """
    async with database(settings.postgres, schema=SCHEMA) as db:
        return await rewrap(db, vault_of(settings.vault))


async def grant_roles(settings: PostgresSettings, username: str, roles: Sequence[str], *, reason: str) -> str:
    """
    Give roles of staff. Returns what there is now, in a line.
    """
    async with database(settings, schema=SCHEMA) as db:
        return _line(await staff.grant(db, username, roles, reason=reason))


async def revoke_roles(settings: PostgresSettings, username: str, roles: Sequence[str], *, reason: str) -> str:
    """
    Take roles of staff. Returns what there is now, in a line.
    """
    async with database(settings, schema=SCHEMA) as db:
        return _line(await staff.revoke(db, username, roles, reason=reason))


async def list_staff(settings: PostgresSettings) -> str:
    """
    Everybody with roles, a line each.
    """
    async with database(settings, schema=SCHEMA) as db:
        return "\n".join(_line(account) for account in await staff.staff(db)) or "nobody has a role"


async def provision_to(path: Path, crowd: Crowd, settings: ProvisionSettings) -> float:
    """
    Create sandbox accounts and write one JSON line each to `path`, readable by its owner alone. Returns the seconds.
    """
    started = time.perf_counter()
    issuing = Issuing(
        signer=_signer(settings.credentials),
        pass_keys=_pass_keys(settings.credentials),
        token_ttl_seconds=settings.credentials.token_ttl_seconds,
        pass_ttl_seconds=settings.credentials.pass_ttl_seconds,
        now_ms=now_ms,
    )
    with _private_file(path) as file:
        async with database(settings.postgres, schema=SCHEMA) as db:
            async for batch in provision(
                db,
                crowd,
                vault=vault_of(settings.vault),
                issuing=issuing,
                password_hash=HASHER.hash(SANDBOX_PASSWORD),
                persons_max=settings.accounts.persons_max,
            ):
                file.writelines(_encode(account) + b"\n" for account in batch)
    return time.perf_counter() - started


def vault_of(settings: VaultSettings) -> Vault:
    """
    The vault with these keys.
    """
    return Vault(settings.keys_by_version(), settings.index_key_bytes())


def _line(account: Account) -> str:
    return f"{account.username} ({account.account_id}): {', '.join(account.roles) or 'no role'}"


def _signer(settings: CredentialSettings) -> TokenSigner:
    return TokenSigner(signing_key(settings.jwt_signing_key, variable="JWT_SIGNING_KEY"))


def _pass_keys(settings: CredentialSettings) -> PassKeys:
    return PassKeys.parse(settings.pass_keys, variable="PASS_KEYS")


def _answers(db: Database) -> Callable[[], Awaitable[bool]]:
    async def check() -> bool:
        await db.ping()
        return True

    return check


@contextmanager
def _private_file(path: Path) -> Iterator[BinaryIO]:
    # Tokens and passes stand in it: 0600 from the first byte, also where a wider file stood before.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(file.fileno(), 0o600)
        yield file
