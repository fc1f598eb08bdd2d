"""
The bank of the sandbox: takes a payment, writes it into its books, reports it signed.

Called by the sandbox route only, which exists only where SANDBOX=1. It reports through the
gateway like any bank, and repeats the same report until it is answered. A payment made again
has the same NTPN, so trying again never pays twice.
"""

import asyncio
import hashlib
from datetime import UTC, datetime
from urllib.parse import urlsplit

import aiohttp
import msgspec

from kernel.clock import NowMs
from kernel.postgres import Database
from services.payment import stores
from services.payment.domain import snap
from services.payment.domain.billing import CURRENCY
from services.payment.settings import BankSettings
from services.payment.stores import Booked

BANK = "sandbox"
ACCESS_TOKEN = "sandbox-access-token"  # noqa: S105 - part of the signed string, secret to nobody
TRIES_MAX = 3
PAUSE_SECONDS = 0.2
SERVER_ERROR = 500


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """
    What the payer's bank hands out.
    """

    billing_code: str
    amount_rupiah: int
    ntpn: str
    journal_number: str
    callback_status: int
    """HTTP status of the answer to the report."""
    response_code: str
    response_message: str


class SandboxBank:
    """
    Pays billing codes.
    """

    def __init__(
        self, database: Database, session: aiohttp.ClientSession, settings: BankSettings, now_ms: NowMs
    ) -> None:
        self._database = database
        self._session = session
        self._settings = settings
        self._secret = settings.by_bank()[BANK]
        self._now_ms = now_ms

    async def pay(self, billing_code: str, amount_rupiah: int) -> Receipt | None:
        """
        Book and report a payment. None when no answer to the report came in time: pay again.
        """
        async with self._database.connection() as connection:
            booked = await stores.remember_sandbox_payment(
                connection,
                billing_code=billing_code,
                amount_rupiah=amount_rupiah,
                booked=_booked(billing_code, amount_rupiah, self._now_ms()),
            )
        answer = await self._report(_body(billing_code, amount_rupiah, booked), booked.external_id)
        if answer is None:
            return None
        status, content = answer
        return Receipt(
            billing_code=billing_code,
            amount_rupiah=amount_rupiah,
            ntpn=booked.ntpn,
            journal_number=booked.journal_number,
            callback_status=status,
            response_code=str(content.get("responseCode", "")),
            response_message=str(content.get("responseMessage", "")),
        )

    async def _report(self, body: bytes, external_id: str) -> tuple[int, dict[str, object]] | None:
        for attempt in range(TRIES_MAX):
            if attempt:
                await asyncio.sleep(PAUSE_SECONDS * 2**attempt)
            try:
                status, content = await self._post(body, external_id)
            except (aiohttp.ClientError, TimeoutError, ValueError):
                continue  # unknown, so the same report once more
            if status < SERVER_ERROR:
                return status, content
        return None

    async def _post(self, body: bytes, external_id: str) -> tuple[int, dict[str, object]]:
        url = self._settings.callback_url
        timestamp = _iso(self._now_ms())
        headers = {
            "Content-Type": "application/json",
            "Authorization": f"Bearer {ACCESS_TOKEN}",
            "X-TIMESTAMP": timestamp,
            "X-SIGNATURE": snap.signature(
                self._secret, path=urlsplit(url).path, access_token=ACCESS_TOKEN, body=body, timestamp=timestamp
            ),
            "X-PARTNER-ID": BANK,
            "X-EXTERNAL-ID": external_id,
        }
        timeout = aiohttp.ClientTimeout(total=self._settings.callback_timeout_seconds)
        async with self._session.post(url, data=body, headers=headers, timeout=timeout) as response:
            content: dict[str, object] = await response.json(content_type=None)
            return response.status, content


def _booked(billing_code: str, amount_rupiah: int, now_ms: int) -> Booked:
    digest = hashlib.blake2b(billing_code.encode(), person=b"sandbox-bank").hexdigest().upper()
    return Booked(
        ntpn=digest[:16],
        journal_number=f"{int(digest[16:32], 16) % 10**12:012d}",
        external_id=f"{billing_code}-{amount_rupiah}",
        paid_at_ms=now_ms,
    )


def _body(billing_code: str, amount_rupiah: int, booked: Booked) -> bytes:
    return msgspec.json.encode(
        {
            "billing_code": billing_code,
            "amount": {"value": f"{amount_rupiah}.00", "currency": CURRENCY},
            "ntpn": booked.ntpn,
            "journal_number": booked.journal_number,
            "paid_at": _iso(booked.paid_at_ms),
        }
    )


def _iso(moment_ms: int) -> str:
    return datetime.fromtimestamp(moment_ms / 1000, UTC).isoformat(timespec="milliseconds")
