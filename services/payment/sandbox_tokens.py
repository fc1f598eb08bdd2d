"""
Access tokens of the sandbox's bank: given to who signs with our key, looked at before it says anything.

Called by the sandbox's bank. A token carries its own end and a seal, so every process of the bank knows it and
nothing is stored.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from typing import Final

from services.payment.domain import access, snap
from services.payment.domain.access import TokenAnswer
from services.payment.settings import SANDBOX, BankSettings

GOOD_SECONDS: Final = 900


class SandboxTokens:
    """
    What stands at the bank's door, where BANK_TOKEN_URLS names the sandbox.
    """

    def __init__(self, settings: BankSettings) -> None:
        self._client_id = settings.client_id
        self._verifies = settings.client_verifier() if SANDBOX in settings.token_addresses_by_bank() else None
        self._seal_key = settings.keys_by_bank()[SANDBOX].secrets[0].encode()

    def give(self, headers: Mapping[str, str], *, now_ms: int) -> tuple[int, TokenAnswer]:
        """
        HTTP status and answer to who asks for a token.
        """
        timestamp, client_id = headers.get("X-TIMESTAMP", ""), headers.get("X-CLIENT-KEY", "")
        at_ms = snap.moment_ms(timestamp)
        if (
            self._verifies is None
            or client_id != self._client_id
            or at_ms is None
            or abs(now_ms - at_ms) > snap.SKEW_MS_MAX
            or not self._verifies(_raw(headers.get("X-SIGNATURE", "")), access.asked_text(client_id, timestamp))
        ):
            return _said(access.NOT_GIVEN)
        ends = str(now_ms + GOOD_SECONDS * 1000)
        status, answer = _said(access.GIVEN)
        return status, TokenAnswer(
            code=answer.code,
            message=answer.message,
            token=f"{ends}.{self._seal(ends)}",
            kind="Bearer",
            good_seconds=str(GOOD_SECONDS),
        )

    def is_good(self, token: str, *, now_ms: int) -> bool:
        """
        Whether a call under this token is answered. Any is, where no token is asked for.
        """
        if self._verifies is None:
            return True
        ends, _, seal = token.partition(".")
        sealed = hmac.compare_digest(self._seal(ends).encode(), seal.encode())
        return sealed and ends.isdigit() and now_ms < int(ends)

    def _seal(self, ends: str) -> str:
        return hmac.new(self._seal_key, f"token {ends}".encode(), hashlib.sha256).hexdigest()


def _raw(signature: str) -> bytes:
    try:
        return base64.b64decode(signature, validate=True)
    except (binascii.Error, ValueError):
        return b""


def _said(code: tuple[str, str]) -> tuple[int, TokenAnswer]:
    return int(code[0][:3]), TokenAnswer(code=code[0], message=code[1])
