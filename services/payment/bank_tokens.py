"""
Access tokens of banks: asked for when one is needed, kept until shortly before it is over.

Called by the adapter that asks banks. One question at a time per bank, however many wait for the answer. A token
stands in no log.
"""

import asyncio
import base64
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final

import aiohttp
import msgspec

from kernel.clock import NowMs
from kernel.log import get_logger
from services.payment import metrics
from services.payment.domain import access
from services.payment.domain.access import Token, TokenAnswer, TokenAsked
from services.payment.settings import BankSettings

log = get_logger(__name__)
ANSWER_BYTES_MAX: Final = 16_384


class NoToken(Exception):
    """
    The bank gave none. It cannot be asked for anything else now.
    """


class BankTokens:
    """
    The tokens of every bank that gives such; the others are called as the partner we are.
    """

    def __init__(self, session: aiohttp.ClientSession, settings: BankSettings, now_ms: NowMs) -> None:
        self._session = session
        self._partner = settings.partner_id
        self._client_id = settings.client_id
        self._addresses = settings.token_addresses_by_bank()
        self._signer = settings.client_signer
        self._now_ms = now_ms
        self._kept: dict[str, Token] = {}
        self._asking = {bank: asyncio.Lock() for bank in self._addresses}

    def gives(self, bank: str) -> bool:
        """
        Whether that bank wants a token.
        """
        return bank in self._addresses

    async def of(self, bank: str) -> str:
        """
        What stands in `Authorization` for that bank. Raises `NoToken`, and what a call over HTTP raises.
        """
        if not self.gives(bank):
            return self._partner
        async with self._asking[bank]:
            kept = self._kept.get(bank)
            if kept is None or self._now_ms() >= kept.use_until_ms:
                kept = self._kept[bank] = await self._ask(bank)
            return kept.text

    def forget(self, bank: str, text: str) -> None:
        """
        The bank has refused this token. A newer one stays.
        """
        if bank in self._kept and self._kept[bank].text == text:
            del self._kept[bank]

    async def _ask(self, bank: str) -> Token:
        timestamp = datetime.fromtimestamp(self._now_ms() / 1000, UTC).isoformat(timespec="seconds")
        headers = {
            "Content-Type": "application/json",
            "X-CLIENT-KEY": self._client_id,
            "X-TIMESTAMP": timestamp,
            "X-SIGNATURE": base64.b64encode(self._signer()(access.asked_text(self._client_id, timestamp))).decode(),
        }
        body = msgspec.json.encode(TokenAsked())
        async with self._session.post(
            self._addresses[bank], data=body, headers=headers, allow_redirects=False
        ) as response:
            raw, status = await response.content.read(ANSWER_BYTES_MAX), response.status
        answer = msgspec.json.decode(raw, type=TokenAnswer)
        token = access.token_of(answer, now_ms=self._now_ms()) if status == HTTPStatus.OK else None
        metrics.bank_tokens.labels(bank, "given" if token else "refused").inc()
        if token is None:
            log.warning("bank_gives_no_token", bank=bank, status=status, code=answer.code)
            raise NoToken(bank)
        return token
