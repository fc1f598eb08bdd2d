"""
The banks, asked over HTTP: which payment do you know under this code and journal number?

Called by use cases through their port. Signs as SNAP's transactional calls are signed, bounds what
it waits for and what it reads, and takes every failure for silence: unknown is not no.
"""

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
from services.payment.domain import notices, snap
from services.payment.domain.inquiry import Answer, Nothing, Paid
from services.payment.domain.notices import Inquiry, InquiryAnswer
from services.payment.settings import BankSettings

log = get_logger(__name__)
ANSWER_BYTES_MAX: Final = 65_536
EXTERNAL_ID_CHARACTERS_MAX: Final = 36


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
        try:
            answer = await self._ask(bank, Inquiry(billing_code=billing_code, journal_number=journal_number))
        except (aiohttp.ClientError, TimeoutError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            log.warning("bank_silent", bank=bank, billing_code=billing_code, error=type(error).__name__)
            answer = Nothing.SILENT
        metrics.inquiries.labels(bank, "paid" if isinstance(answer, Paid) else answer.value).inc()
        return answer

    async def _ask(self, bank: str, inquiry: Inquiry) -> Answer:
        address = self._addresses.get(bank)
        if address is None:
            return Nothing.SILENT  # a bank that was taken out of the list while a report of it waits
        body = msgspec.json.encode(inquiry)
        timeout = aiohttp.ClientTimeout(total=self._settings.inquiry_timeout_seconds)
        headers = self._headers(bank, urlsplit(address).path, body)
        async with self._session.post(
            address, data=body, headers=headers, timeout=timeout, allow_redirects=False
        ) as response:
            raw = await response.content.read(ANSWER_BYTES_MAX)
            while len(raw) < ANSWER_BYTES_MAX and (more := await response.content.read(ANSWER_BYTES_MAX - len(raw))):
                raw += more
            status = response.status
        return _answer(status, msgspec.json.decode(raw, type=InquiryAnswer))

    def _headers(self, bank: str, path: str, body: bytes) -> dict[str, str]:
        timestamp = datetime.fromtimestamp(self._now_ms() / 1000, UTC).isoformat(timespec="milliseconds")
        partner = self._settings.partner_id
        return {
            "Content-Type": "application/json",
            "Authorization": f"Bearer {partner}",
            "X-TIMESTAMP": timestamp,
            "X-SIGNATURE": snap.signature(
                self._keys[bank].secrets[0], path=path, access_token=partner, body=body, timestamp=timestamp
            ),
            "X-PARTNER-ID": partner,
            "X-EXTERNAL-ID": fresh("inq")[:EXTERNAL_ID_CHARACTERS_MAX],
        }


def _answer(status: int, told: InquiryAnswer) -> Answer:
    if status == HTTPStatus.OK and told.code == notices.FOUND[0] and told.payment is not None:
        return notices.paid_of(told.payment) or Nothing.SILENT
    absent = status == HTTPStatus.NOT_FOUND and told.code == notices.NOT_FOUND[0]
    return Nothing.ABSENT if absent else Nothing.SILENT
