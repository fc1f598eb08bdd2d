"""
A payment room on a database of the test's own, its door open on a free port, with the sandbox's bank inside
and a bank of the test's own outside, which can be silent, forgetful or of another opinion.

Used by `test_payment_*.py`.
"""

import asyncio
import base64
import dataclasses
import os
import socket
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
from aiohttp import web
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from contracts.envelope import Envelope, unseal
from contracts.events import Booking, BookingCancelled, BookingExpired, BookingHeld, Event
from kernel.auth.authenticator import HeaderAuthenticator
from kernel.auth.tokens import TokenSigner, TokenVerifier, signing_key
from kernel.clock import now_ms
from kernel.http.application import application
from kernel.ids import derived
from kernel.kafka.message import unpack_headers
from kernel.migrate import migrate
from kernel.postgres import Database, database
from kernel.settings import HttpSettings, PostgresSettings
from services.payment import routes, stores, use_cases
from services.payment.__main__ import TARIFFS
from services.payment.banks import HttpBanks
from services.payment.consumers import booking_events
from services.payment.domain import snap
from services.payment.sandbox_bank import ACCESS_TOKEN, SandboxBank
from services.payment.sandbox_bank import BANK as SANDBOX
from services.payment.settings import BankSettings
from services.payment.use_cases import confirming
from tests.integration.payment_bank import TestBank

BANK = "teller"
SECRET = "teller-secret-of-the-tests"
RSA_BANK = "notary"
OLD_SECRET = "teller-secret-of-last-year"
SANDBOX_SECRET = "sandbox-secret-of-the-tests"
ACCOUNT = "acc_payer"
FEE_RUPIAH = 350_000
COMMAND_SECONDS = 60


def booking(name: str, *, applicants: int = 1, service: str = "regular") -> Booking:
    """
    A booking as booking tells it.
    """
    return Booking(
        booking_id=derived("rsv", name),
        account_id=ACCOUNT,
        person_ids=tuple(f"per_{index}" for index in range(applicants)),
        slot_id=f"makassar.20261130.morning.{service}.online",
        seats=tuple(range(1, applicants + 1)),
        office_id="makassar",
        office_name="Kantor Imigrasi Kelas I TPI Makassar",
        city="Kota Makassar",
        timezone="Asia/Makassar",
        date="2026-11-30",
        session="morning",
        starts_at="2026-11-30T08:00:00+08:00",
        ends_at="2026-11-30T10:00:00+08:00",
        service=service,
        channel="online",
        pay_by_ms=1_795_766_400_000,
        state="held",
        version=1,
    )


class Reports:
    """
    What the sandbox's bank has on its way to us.
    """

    def __init__(self) -> None:
        self.now = 0
        self.most = 0
        self.sent = 0

    def watch(self) -> aiohttp.TraceConfig:
        """
        Look at a session's requests.
        """

        async def begun(*_: object) -> None:
            self.now += 1
            self.sent += 1
            self.most = max(self.most, self.now)

        async def ended(*_: object) -> None:
            self.now -= 1

        trace = aiohttp.TraceConfig()
        trace.on_request_start.append(begun)
        trace.on_request_end.append(ended)
        trace.on_request_exception.append(ended)
        return trace


@dataclasses.dataclass
class Room:
    """
    Payment's doors, and short words for what booking and banks say.
    """

    db: Database
    base: str
    session: aiohttp.ClientSession
    signer: TokenSigner
    bank: TestBank
    banks: HttpBanks
    reports: Reports

    async def hear(self, *events: tuple[str, Event]) -> None:
        """
        Take events with their ids as one delivery.
        """
        await booking_events(self.db, now_ms)([Envelope(event_id=key, event=event) for key, event in events])

    async def held(self, told: Booking) -> str:
        """
        A booking is held. Returns its billing code.
        """
        await self.hear((f"b.{told.booking_id}.1", BookingHeld(booking=told, at_ms=1)))
        return str(await self.one("SELECT billing_code FROM invoice WHERE booking_id = $1", told.booking_id))

    async def expired(self, told: Booking) -> None:
        """
        A booking came to nothing.
        """
        await self.hear((f"b.{told.booking_id}.9", BookingExpired(booking=told, at_ms=2)))

    async def cancelled(self, told: Booking) -> None:
        """
        A booking was given back.
        """
        await self.hear((f"b.{told.booking_id}.8", BookingCancelled(booking=told, at_ms=2, reason="holder")))

    async def announced(self) -> list[Event]:
        """
        Everything in the outbox, in order.
        """
        rows = await self.all("SELECT headers, body FROM outbox ORDER BY id")
        return [unseal(unpack_headers(row["headers"]), row["body"]).event for row in rows]

    async def one(self, statement: str, *values: object) -> Any:
        """
        One value.
        """
        async with self.db.connection() as connection:
            return await connection.fetchval(statement, *values)

    async def all(self, statement: str) -> Sequence[Any]:
        """
        All rows.
        """
        async with self.db.connection() as connection:
            return await connection.fetch(statement)

    async def get(
        self, path: str, *, account_id: str = ACCOUNT, roles: tuple[str, ...] = ()
    ) -> tuple[int, dict[str, Any], Any]:
        """
        Ask as an account: status, body and headers.
        """
        headers = {"Authorization": f"Bearer {self._token(account_id, roles)}"}
        async with self.session.get(self.base + path, headers=headers) as answer:
            return answer.status, await answer.json(content_type=None), answer.headers

    async def post(
        self, path: str, body: dict[str, Any], *, account_id: str, roles: tuple[str, ...], key: str
    ) -> tuple[int, dict[str, Any]]:
        """
        Do something as a member of staff: status and body.
        """
        headers = {"Authorization": f"Bearer {self._token(account_id, roles)}", "Idempotency-Key": key}
        async with self.session.post(self.base + path, json=body, headers=headers) as answer:
            return answer.status, await answer.json(content_type=None)

    async def prove(
        self, booking_id: str, journal_number: str, *, key: str, account_id: str = ACCOUNT
    ) -> tuple[int, dict[str, Any], Any]:
        """
        Show a receipt: status, body and headers.
        """
        async with self.session.post(
            f"{self.base}/v1/bookings/{booking_id}/payment-proof",
            json={"journal_number": journal_number},
            headers={"Authorization": f"Bearer {self._token(account_id, ())}", "Idempotency-Key": key},
        ) as answer:
            return answer.status, await answer.json(content_type=None), answer.headers

    async def ask_again(self) -> int:
        """
        Let every report in doubt be due, and the worker ask. Returns how many it asked about.
        """
        async with self.db.connection() as connection:
            await connection.execute("UPDATE unconfirmed SET ask_at = clock_timestamp()")
        return await confirming.confirm(self.db, self.banks, now_ms=now_ms)

    def _token(self, account_id: str, roles: tuple[str, ...]) -> str:
        return self.signer.issue(account_id=account_id, person_ids=(), roles=roles, now_ms=now_ms(), ttl_seconds=60)

    async def pay(self, code: str, amount_rupiah: int | None = None) -> tuple[int, dict[str, Any]]:
        """
        Ask the sandbox's bank to pay.
        """
        body = {"billing_code": code} | ({} if amount_rupiah is None else {"amount_rupiah": amount_rupiah})
        async with self.session.post(f"{self.base}/v1/sandbox/bank/payments", json=body) as answer:
            return answer.status, await answer.json(content_type=None)

    async def report(
        self, body: dict[str, Any], *, external_id: str, secret: str = SECRET, booked: bool = True, **wrong: str
    ) -> tuple[int, str]:
        """
        Book a payment and report it as a bank: status and responseCode. `wrong` replaces headers.
        """
        if booked and "journal_number" in body:
            self.bank.book(body)
        raw = msgspec.json.encode(body)
        headers = signed(raw, external_id=external_id, secret=secret)
        return await self.push(raw, headers | {name.replace("_", "-"): value for name, value in wrong.items()})

    async def push(self, raw: bytes, headers: dict[str, str], *, bank: str = BANK) -> tuple[int, str]:
        """
        Send bytes to the callback as they are: status and responseCode.
        """
        url = f"{self.base}/v1/bank/callbacks/{bank}"
        async with self.session.post(url, data=raw, headers=headers) as answer:
            return answer.status, str((await answer.json(content_type=None)).get("responseCode", ""))


CALLBACK_PATH = f"/v1/bank/callbacks/{BANK}"


def signed(raw: bytes, *, external_id: str, secret: str = SECRET) -> dict[str, str]:
    """
    The headers under which the test's bank sends `raw` now.
    """
    timestamp = datetime.now(UTC).isoformat()
    return {
        "Authorization": f"Bearer {ACCESS_TOKEN}",
        "X-TIMESTAMP": timestamp,
        "X-SIGNATURE": snap.signature(
            secret, path=CALLBACK_PATH, access_token=ACCESS_TOKEN, body=raw, timestamp=timestamp
        ),
        "X-PARTNER-ID": BANK,
        "X-EXTERNAL-ID": external_id,
    }


@cache
def notary() -> RSAPrivateKey:
    """
    The key with which the bank of the RSA signatures signs.
    """
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def notarized(raw: bytes, *, external_id: str, key: RSAPrivateKey) -> dict[str, str]:
    """
    The headers under which that bank sends `raw` now: no token.
    """
    timestamp = datetime.now(UTC).isoformat()
    text = snap.asymmetric_text(path=f"/v1/bank/callbacks/{RSA_BANK}", body=raw, timestamp=timestamp)
    return {
        "X-TIMESTAMP": timestamp,
        "X-SIGNATURE": base64.b64encode(key.sign(text, padding.PKCS1v15(), hashes.SHA256())).decode(),
        "X-PARTNER-ID": RSA_BANK,
        "X-EXTERNAL-ID": external_id,
    }


def notification(
    code: str, *, rupiah: int = FEE_RUPIAH, ntpn: str = "ABCDEFGH12345678", journal: str = "123456"
) -> dict[str, Any]:
    """
    A report of a payment.
    """
    return {
        "billing_code": code,
        "amount": {"value": f"{rupiah}.00", "currency": "IDR"},
        "ntpn": ntpn,
        "journal_number": journal,
        "paid_at": "2026-11-27T15:00:00+08:00",
    }


def _public(key: RSAPrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


@asynccontextmanager
async def payment_room(dsn: str, *, client_key: str = "") -> AsyncIterator[Room]:
    """
    Open the room on an empty database. With a key of ours the sandbox's bank is asked under an access token.
    """
    settings = PostgresSettings(url=dsn)
    await migrate(settings, schema=stores.SCHEMA, folder=stores.MIGRATIONS)
    signer = TokenSigner(signing_key(base64.b64encode(b"s" * 32).decode(), variable="JWT_SIGNING_KEY"))
    door = socket.create_server(("127.0.0.1", 0))
    base = f"http://127.0.0.1:{door.getsockname()[1]}"
    outside, reports = TestBank(SECRET), Reports()
    async with (
        outside.open() as inquiries,
        database(settings, schema=stores.SCHEMA) as db,
        aiohttp.ClientSession() as session,
        aiohttp.ClientSession() as asking,
        aiohttp.ClientSession(trace_configs=[reports.watch()]) as reporting,
    ):
        bank = BankSettings(
            secrets=f"{BANK}:{SECRET},{BANK}:{OLD_SECRET},{SANDBOX}:{SANDBOX_SECRET},{RSA_BANK}:{SECRET}",
            public_keys=f"{RSA_BANK}:{base64.b64encode(_public(notary())).decode()}",
            inquiry_urls=f"{BANK}={inquiries},{RSA_BANK}={inquiries},{SANDBOX}={base}/v1/sandbox/bank/inquiries",
            inquiry_timeout_seconds=0.5,
            token_urls=f"{SANDBOX}={base}/v1/sandbox/bank/access-token" if client_key else "",
            client_key=client_key,
            callback_url=f"{base}/v1/bank/callbacks/{SANDBOX}",
        )
        banks = HttpBanks(asking, bank, now_ms)
        async with db.transaction() as connection:
            await use_cases.load_tariffs(connection, TARIFFS)
        app = application(
            routes.ROUTES,
            HttpSettings(port=0),
            authenticator=HeaderAuthenticator(TokenVerifier(now_ms, jwks=signer.jwks()), now_ms),
            sandbox=True,
        )
        app[routes.DATABASE] = db
        app[routes.KEYS] = bank.keys_by_bank()
        app[routes.BANKS] = banks
        app[routes.NOW_MS] = now_ms
        app[routes.SANDBOX_BANK] = SandboxBank(db, reporting, bank, now_ms)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.SockSite(runner, door).start()
        yield Room(db=db, base=base, session=session, signer=signer, bank=outside, banks=banks, reports=reports)
        await runner.cleanup()


async def command(dsn: str, *arguments: str) -> tuple[int, list[str]]:
    """
    A command of the room as an operator types it: its exit code and the lines it printed.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "services.payment",
        *arguments,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "DATABASE_URL": dsn},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(COMMAND_SECONDS):
        out, err = await process.communicate()
    assert b"Traceback" not in err, err.decode()
    return process.returncode or 0, out.decode().splitlines()
