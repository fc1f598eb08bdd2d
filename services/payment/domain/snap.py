"""
SNAP BI as far as a payment notification needs it: the signed string, its check, the answers.

Called by the callback route (verify) and by the sandbox bank (sign). Works on the raw bytes
of the body: decoding and encoding again would make another string. Decides nothing about money.
"""

import base64
import enum
import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Final

import msgspec

SKEW_MS_MAX: Final = 300_000
"""How far a bank's clock may be from ours, both ways."""
_STRING_OR_SPACE: Final = re.compile(rb'("(?:[^"\\]|\\.)*")|[ \t\r\n]+', re.DOTALL)


class Code(enum.Enum):
    """
    What a bank is told: responseCode (HTTP status, service 25, case) and responseMessage.
    """

    SUCCESSFUL = ("2002500", "Successful")
    BAD_REQUEST = ("4002500", "Bad Request")
    INVALID_FIELD = ("4002501", "Invalid Field Format")
    MISSING_HEADER = ("4002502", "Invalid Mandatory Field")
    UNAUTHORIZED = ("4012500", "Unauthorized")
    UNKNOWN_BILL = ("4042512", "Invalid Bill/Virtual Account")
    INVALID_AMOUNT = ("4042513", "Invalid Amount")
    PAID_BILL = ("4042514", "Paid Bill")
    CONFLICT = ("4092500", "Conflict")
    DUPLICATE_REFERENCE = ("4092501", "Duplicate Reference Number")

    @property
    def status(self) -> int:
        """
        The HTTP status: the first three digits.
        """
        return int(self.value[0][:3])


class Headers(msgspec.Struct, frozen=True, kw_only=True):
    """
    What a notification says about itself.
    """

    timestamp: str
    signature: str
    partner_id: str
    external_id: str
    access_token: str


class Refused(msgspec.Struct, frozen=True, kw_only=True):
    """
    Not to be read further, and why. `reason` goes into metrics and the log, not to the caller.
    """

    code: Code
    reason: str


def minify(body: bytes) -> bytes:
    """
    `body` without white space outside strings; order and everything else as it came.
    """
    return _STRING_OR_SPACE.sub(lambda match: match[1] or b"", body)


def fingerprint(body: bytes) -> str:
    """
    Lower-case hex SHA-256 of the minified body.
    """
    return hashlib.sha256(minify(body)).hexdigest()


def signature(secret: str, *, path: str, access_token: str, body: bytes, timestamp: str) -> str:
    """
    Base64 HMAC-SHA512 over `POST:path:token:sha256(body):timestamp`.
    """
    text = f"POST:{path}:{access_token}:{fingerprint(body)}:{timestamp}"
    return base64.b64encode(hmac.new(secret.encode(), text.encode(), hashlib.sha512).digest()).decode()


def headers_of(headers: Mapping[str, str]) -> Headers | None:
    """
    The five headers, or None when one is missing or too long.
    """
    scheme, _, token = headers.get("Authorization", "").partition(" ")
    found = Headers(
        timestamp=headers.get("X-TIMESTAMP", ""),
        signature=headers.get("X-SIGNATURE", ""),
        partner_id=headers.get("X-PARTNER-ID", ""),
        external_id=headers.get("X-EXTERNAL-ID", ""),
        access_token=token if scheme == "Bearer" else "",
    )
    limits = {"timestamp": 40, "signature": 128, "partner_id": 36, "external_id": 36, "access_token": 2048}
    well_formed = all(0 < len(getattr(found, name)) <= limit for name, limit in limits.items())
    return found if well_formed else None


def check(
    headers: Headers | None, *, secret: str | None, bank: str, path: str, body: bytes, now_ms: int
) -> Refused | None:
    """
    None when the notification is this bank's and of this moment.
    """
    if headers is None:
        return Refused(code=Code.MISSING_HEADER, reason="header_missing")
    if secret is None or headers.partner_id != bank:
        return Refused(code=Code.UNAUTHORIZED, reason="bank_unknown")
    at_ms = moment_ms(headers.timestamp)
    if at_ms is None:
        return Refused(code=Code.INVALID_FIELD, reason="timestamp_unreadable")
    expected = signature(secret, path=path, access_token=headers.access_token, body=body, timestamp=headers.timestamp)
    if not hmac.compare_digest(expected.encode(), headers.signature.encode()):
        return Refused(code=Code.UNAUTHORIZED, reason="signature_wrong")
    if abs(now_ms - at_ms) > SKEW_MS_MAX:
        return Refused(code=Code.UNAUTHORIZED, reason="timestamp_stale")
    return None


def moment_ms(text: str) -> int | None:
    """
    ISO 8601 with an offset as milliseconds since 1970 UTC, or None for anything else.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return None if moment.tzinfo is None else round(moment.timestamp() * 1000)
