"""
SNAP BI as far as a payment notification needs it: the signed string, its check, the answers.

Called by the callback route and the sandbox bank (verify), and by the bank adapter and the sandbox
bank (sign). Works on the raw bytes of the body: decoding and encoding again would make another
string. Decides nothing about money.
"""

import base64
import binascii
import enum
import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

import msgspec

SKEW_MS_MAX: Final = 300_000
"""How far a bank's clock may be from ours, both ways."""
Verifier = Callable[[bytes, bytes], bool]
"""Whether a signature is that of a text under one public key of a bank."""
_STRING_OR_SPACE: Final = re.compile(rb'("(?:[^"\\]|\\.)*")|[ \t\r\n]+', re.DOTALL)


class Code(enum.Enum):
    """
    What a bank is told: responseCode (HTTP status, service 25, case) and responseMessage.
    """

    SUCCESSFUL = ("2002500", "Successful")
    IN_PROGRESS = ("2022500", "Request In Progress")
    BAD_REQUEST = ("4002500", "Bad Request")
    INVALID_FIELD = ("4002501", "Invalid Field Format")
    MISSING_HEADER = ("4002502", "Invalid Mandatory Field")
    UNAUTHORIZED = ("4012500", "Unauthorized")
    UNKNOWN_BILL = ("4042512", "Invalid Bill/Virtual Account")
    INVALID_AMOUNT = ("4042513", "Invalid Amount")
    PAID_BILL = ("4042514", "Paid Bill")
    INCONSISTENT = ("4042518", "Inconsistent Request")
    CONFLICT = ("4092500", "Conflict")
    DUPLICATE_REFERENCE = ("4092501", "Duplicate Reference Number")

    @property
    def status(self) -> int:
        """
        The HTTP status: the first three digits.
        """
        return int(self.value[0][:3])


class Keys(msgspec.Struct, frozen=True, kw_only=True):
    """
    What a bank signs with at present. Several of a kind while one replaces another; one that is gone is refused.
    """

    secrets: tuple[str, ...]
    """Shared, the current one first. Our inquiries are signed with that."""
    public_keys: tuple[Verifier, ...] = ()
    """Where there are any, notifications are believed under these alone."""


class Headers(msgspec.Struct, frozen=True, kw_only=True):
    """
    What a notification says about itself.
    """

    timestamp: str
    signature: str
    partner_id: str
    external_id: str
    access_token: str
    """Empty where the signature does not cover it: nobody reads it then."""


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


def asymmetric_text(*, path: str, body: bytes, timestamp: str) -> bytes:
    """
    What is signed with SHA256withRSA: `POST:path:sha256(body):timestamp`, without a token.
    """
    return f"POST:{path}:{fingerprint(body)}:{timestamp}".encode()


def headers_of(headers: Mapping[str, str], *, with_token: bool = True) -> Headers | None:
    """
    The headers, or None when one is missing, too long or not ASCII. The token only where the signature covers it.
    """
    scheme, _, token = headers.get("Authorization", "").partition(" ")
    found = Headers(
        timestamp=headers.get("X-TIMESTAMP", ""),
        signature=headers.get("X-SIGNATURE", ""),
        partner_id=headers.get("X-PARTNER-ID", ""),
        external_id=headers.get("X-EXTERNAL-ID", ""),
        access_token=token if with_token and scheme == "Bearer" else "",
    )
    limits = {"timestamp": 40, "signature": 1024, "partner_id": 36, "external_id": 36}
    if with_token:
        limits["access_token"] = 2048
    values = [(str(getattr(found, name)), limit) for name, limit in limits.items()]
    return found if all(0 < len(value) <= limit and value.isascii() for value, limit in values) else None


def check(
    headers: Headers | None, *, keys: Keys | None, partner: str, path: str, body: bytes, now_ms: int
) -> Refused | None:
    """
    None when the message is this partner's and of this moment.
    """
    if headers is None:
        return Refused(code=Code.MISSING_HEADER, reason="header_missing")
    if keys is None or headers.partner_id != partner:
        return Refused(code=Code.UNAUTHORIZED, reason="bank_unknown")
    at_ms = moment_ms(headers.timestamp)
    if at_ms is None:
        return Refused(code=Code.INVALID_FIELD, reason="timestamp_unreadable")
    if not _is_signed(headers, keys, path, body):
        return Refused(code=Code.UNAUTHORIZED, reason="signature_wrong")
    if abs(now_ms - at_ms) > SKEW_MS_MAX:
        return Refused(code=Code.UNAUTHORIZED, reason="timestamp_stale")
    return None


def _is_signed(headers: Headers, keys: Keys, path: str, body: bytes) -> bool:
    if keys.public_keys:
        raw = _raw(headers.signature)
        text = asymmetric_text(path=path, body=body, timestamp=headers.timestamp)
        return raw is not None and any(verifies(raw, text) for verifies in keys.public_keys)
    given = headers.signature.encode()
    expected = [
        signature(secret, path=path, access_token=headers.access_token, body=body, timestamp=headers.timestamp)
        for secret in keys.secrets
    ]
    # Every secret is tried, so that the time it takes does not tell which one is good.
    return True in [hmac.compare_digest(each.encode(), given) for each in expected]


def _raw(text: str) -> bytes | None:
    """
    Base64 in its one spelling, or None: a signature spelled otherwise is another header.
    """
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return raw if base64.b64encode(raw).decode() == text else None


def moment_ms(text: str) -> int | None:
    """
    ISO 8601 with an offset as milliseconds since 1970 UTC, or None for anything else.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return None if moment.tzinfo is None else round(moment.timestamp() * 1000)
