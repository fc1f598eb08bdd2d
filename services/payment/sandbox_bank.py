"""
The bank of the sandbox: takes a payment, writes it into its books, reports it signed, and says the same when asked.

Called by the sandbox routes only, which exist only where SANDBOX=1. It reports through the
gateway like any bank, and repeats the same report until it is answered. A payment made again
has the same NTPN, so trying again never pays twice.
"""

import asyncio
import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import urlsplit

import aiohttp
import msgspec

from kernel.clock import NowMs
from kernel.postgres import Database
from services.payment import stores
from services.payment.domain import access, notices, snap
from services.payment.domain.access import TokenAnswer
from services.payment.domain.billing import CURRENCY
from services.payment.domain.notices import Amount, Inquiry, InquiryAnswer, Notification
from services.payment.sandbox_tokens import SandboxTokens
from services.payment.settings import SANDBOX, BankSettings
from services.payment.stores import Booked

BANK = SANDBOX
ACCESS_TOKEN = "sandbox-access-token"  # noqa: S105 - part of the signed string, secret to nobody
TRIES_MAX = 3
PAUSE_SECONDS = 0.2
REPORTS_AT_ONCE = 16
"""Whoever pays beside these waits. A report is answered after an inquiry that comes back here: a crowd of both at once
would keep each from being answered in time, and be sent again."""
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
        self._keys = settings.keys_by_bank()[BANK]
        self._now_ms = now_ms
        self._tokens = SandboxTokens(settings)
        self._reporting = asyncio.Semaphore(REPORTS_AT_ONCE)

    def give_token(self, headers: Mapping[str, str]) -> tuple[int, TokenAnswer]:
        """
        Answer the partner who wants to ask: HTTP status and answer.
        """
        return self._tokens.give(headers, now_ms=self._now_ms())

    async def pay(self, billing_code: str, amount_rupiah: int, *, paid_seconds_ago: int = 0) -> Receipt | None:
        """
        Book and report a payment. None when no answer to the report came in time: pay again.
        """
        async with self._database.connection() as connection:
            booked = await stores.remember_sandbox_payment(
                connection,
                billing_code=billing_code,
                amount_rupiah=amount_rupiah,
                booked=_booked(billing_code, amount_rupiah, self._now_ms() - paid_seconds_ago * 1000),
            )
        body = msgspec.json.encode(_notification(billing_code, amount_rupiah, booked))
        async with self._reporting:
            answer = await self._report(body, booked.external_id)
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

    async def inquire(self, headers: Mapping[str, str], path: str, body: bytes) -> tuple[int, InquiryAnswer]:
        """
        Answer an inquiry signed by the partner: HTTP status and answer.
        """
        told = snap.headers_of(headers)
        partner, now_ms = self._settings.partner_id, self._now_ms()
        if snap.check(told, keys=self._keys, partner=partner, path=path, body=body, now_ms=now_ms) is not None:
            return _said(notices.NOT_YOURS)
        if told is None or not self._tokens.is_good(told.access_token, now_ms=now_ms):
            return _said(access.TOKEN_NOT_GOOD)
        try:
            asked = msgspec.json.decode(body, type=Inquiry)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return _said(notices.NOT_READ)
        async with self._database.connection() as connection:
            entry = await stores.find_sandbox_payment(
                connection, billing_code=asked.billing_code, journal_number=asked.journal_number
            )
        if entry is None:
            return _said(notices.NOT_FOUND)
        return _said(notices.FOUND, _notification(asked.billing_code, entry.amount_rupiah, entry))

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
                self._keys.secrets[0],
                path=urlsplit(url).path,
                access_token=ACCESS_TOKEN,
                body=body,
                timestamp=timestamp,
            ),
            "X-PARTNER-ID": BANK,
            "X-EXTERNAL-ID": external_id,
        }
        timeout = aiohttp.ClientTimeout(total=self._settings.callback_timeout_seconds)
        async with self._session.post(url, data=body, headers=headers, timeout=timeout) as response:
            content: dict[str, object] = await response.json(content_type=None)
            return response.status, content


def _booked(billing_code: str, amount_rupiah: int, now_ms: int) -> Booked:
    # A payment of another amount is another payment, with an NTPN and a journal number of its own.
    digest = hashlib.blake2b(f"{billing_code} {amount_rupiah}".encode(), person=b"sandbox-bank").hexdigest().upper()
    return Booked(
        ntpn=digest[:16],
        journal_number=f"{int(digest[16:32], 16) % 10**12:012d}",
        external_id=f"{billing_code}-{amount_rupiah}",
        paid_at_ms=now_ms,
    )


def _notification(billing_code: str, amount_rupiah: int, booked: Booked) -> Notification:
    return Notification(
        billing_code=billing_code,
        amount=Amount(value=f"{amount_rupiah}.00", currency=CURRENCY),
        ntpn=booked.ntpn,
        journal_number=booked.journal_number,
        paid_at=_iso(booked.paid_at_ms),
    )


def _said(code: tuple[str, str], payment: Notification | None = None) -> tuple[int, InquiryAnswer]:
    return int(code[0][:3]), InquiryAnswer(code=code[0], message=code[1], payment=payment)


def _iso(moment_ms: int) -> str:
    return datetime.fromtimestamp(moment_ms / 1000, UTC).isoformat(timespec="milliseconds")
