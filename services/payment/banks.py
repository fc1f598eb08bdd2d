"""
The banks, asked over HTTP: which payment do you know under this code and journal number?

Called by use cases through their port. Signs as SNAP's transactional calls are signed, under the access token of
the bank where it gives such, bounds what it waits for and what it reads, and takes every failure for silence:
unknown is not no.
"""

import asyncio
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

import aiohttp
import msgspec

from kernel.clock import NowMs
from kernel.ids import fresh
from kernel.log import get_logger
from services.payment import metrics
from services.payment.bank_tokens import BankTokens, NoToken
from services.payment.domain import notices, snap
from services.payment.domain.inquiry import Answer, Nothing, Paid
from services.payment.domain.notices import Inquiry, InquiryAnswer
from services.payment.settings import BankSettings

log = get_logger(__name__)
ANSWER_BYTES_MAX: Final = 65_536
EXTERNAL_ID_CHARACTERS_MAX: Final = 36
_SILENCE: Final = (
    aiohttp.ClientError,
    TimeoutError,
    NoToken,
    msgspec.DecodeError,
    UnicodeDecodeError,
    RecursionError,
)


class HttpBanks:
    """
    Every bank that has an address for inquiries.
    """

    def __init__(self, session: aiohttp.ClientSession, settings: BankSettings, now_ms: NowMs) -> None:
        self._session = session
        self._settings = settings
        self._keys = settings.keys_by_bank()
        self._addresses = settings.addresses_by_bank()
        self._now_ms = now_ms
        self._tokens = BankTokens(session, settings, now_ms)

    @property
    def names(self) -> tuple[str, ...]:
        """
        All of them.
        """
        return tuple(self._addresses)

    async def ask(self, bank: str, *, billing_code: str, journal_number: str) -> Answer:
        """
        What a bank knows of a payment. Silence is an answer; it never raises.
        """
        inquiry = Inquiry(billing_code=billing_code, journal_number=journal_number)
        try:
            # One limit for all of it, a token and a second try included: the bank waits for our answer meanwhile.
            async with asyncio.timeout(self._settings.inquiry_timeout_seconds):
                answer = await self._ask(bank, inquiry)
        except _SILENCE as error:
            log.warning("bank_silent", bank=bank, billing_code=billing_code, error=type(error).__name__)
            answer = Nothing.SILENT
        metrics.inquiries.labels(bank, "paid" if isinstance(answer, Paid) else answer.value).inc()
        return answer

    async def _ask(self, bank: str, inquiry: Inquiry) -> Answer:
        address = self._addresses.get(bank)
        if address is None:
            return Nothing.SILENT  # a bank that was taken out of the list while a report of it waits
        body = msgspec.json.encode(inquiry)
        token = await self._tokens.of(bank)
        status, raw = await self._call(bank, address, body, token)
        if status == HTTPStatus.UNAUTHORIZED and self._tokens.gives(bank):
            # The bank may have forgotten the token before its time; a second refusal is about something else.
            self._tokens.forget(bank, token)
            status, raw = await self._call(bank, address, body, await self._tokens.of(bank))
        return _answer(status, msgspec.json.decode(raw, type=InquiryAnswer))

    async def _call(self, bank: str, address: str, body: bytes, token: str) -> tuple[int, bytes]:
        headers = self._headers(bank, urlsplit(address).path, body, token)
        async with self._session.post(address, data=body, headers=headers, allow_redirects=False) as response:
            raw = await response.content.read(ANSWER_BYTES_MAX)
            while len(raw) < ANSWER_BYTES_MAX and (more := await response.content.read(ANSWER_BYTES_MAX - len(raw))):
                raw += more
            status = response.status
        return status, raw

    def _headers(self, bank: str, path: str, body: bytes, token: str) -> dict[str, str]:
        timestamp = datetime.fromtimestamp(self._now_ms() / 1000, UTC).isoformat(timespec="milliseconds")
        return {
            "Content-Type": "application/json",
            "Authorization": f"Bearer {token}",
            "X-TIMESTAMP": timestamp,
            "X-SIGNATURE": snap.signature(
                self._keys[bank].secrets[0], path=path, access_token=token, body=body, timestamp=timestamp
            ),
            "X-PARTNER-ID": self._settings.partner_id,
            "X-EXTERNAL-ID": fresh("inq")[:EXTERNAL_ID_CHARACTERS_MAX],
        }


def _answer(status: int, told: InquiryAnswer) -> Answer:
    if status == HTTPStatus.OK and told.code == notices.FOUND[0] and told.payment is not None:
        return notices.paid_of(told.payment) or Nothing.SILENT
    absent = status == HTTPStatus.NOT_FOUND and told.code == notices.NOT_FOUND[0]
    return Nothing.ABSENT if absent else Nothing.SILENT
