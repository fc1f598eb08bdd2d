"""
Passes: a keyed BLAKE2b over account, persons and expiry, 30 times cheaper to check than a signature.

Identity issues them before an opening, quota checks them on the hot path; both hold the
keys. The first key signs, every listed key is accepted, so keys rotate by id. A pass is
good for nothing but reserving.
"""

import base64
import binascii
import dataclasses
import hashlib
import hmac

import msgspec

from kernel.auth.principal import Principal

PREFIX = "ap1"
_MAC_BYTES = 32
_KEY_BYTES = 32


class _Claims(msgspec.Struct, array_like=True, frozen=True):
    key_id: str
    account_id: str
    person_ids: tuple[str, ...]
    expires_at_ms: int


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Claims).decode


_FROM_URL = bytes.maketrans(b"-_", b"+/")
_TO_URL = bytes.maketrans(b"+/", b"-_")
_PADDING = (b"", b"===", b"==", b"=")


def _spelled(raw: bytes) -> str:
    return binascii.b2a_base64(raw, newline=False).translate(_TO_URL).rstrip(b"=").decode()


@dataclasses.dataclass(frozen=True, slots=True)
class PassKeys:
    """
    Keys by id, the current one first.
    """

    keys: dict[str, bytes]

    @classmethod
    def parse(cls, text: str, *, variable: str) -> "PassKeys":
        """
        Read `id:base64,id:base64`. Raises `ValueError` naming `variable`, never showing a key.
        """
        keys = {}
        for part in text.split(","):
            key_id, _, encoded = part.strip().partition(":")
            try:
                key = base64.b64decode(encoded, validate=True)
            except binascii.Error:
                key = b""
            if not key_id or len(key) != _KEY_BYTES or key_id in keys:
                raise ValueError(f"{variable} must be id:base64[,id:base64…] with keys of 32 bytes, ids unlike")
            keys[key_id] = key
        return cls(keys)

    def issue(self, *, account_id: str, person_ids: tuple[str, ...], expires_at_ms: int) -> str:
        """
        A pass signed with the current key.
        """
        key_id = next(iter(self.keys))
        claims = _encode(_Claims(key_id, account_id, person_ids, expires_at_ms))
        mac = hashlib.blake2b(claims, key=self.keys[key_id], digest_size=_MAC_BYTES).digest()
        return f"{PREFIX}.{_spelled(claims + mac)}"

    def verify(self, token: str, *, now_ms: int) -> Principal | None:
        """
        The principal, or None for a pass that is forged, expired or of an unknown key.
        """
        prefix, _, encoded = token.partition(".")
        if prefix != PREFIX:
            return None
        try:
            raw = binascii.a2b_base64(encoded.encode().translate(_FROM_URL) + _PADDING[len(encoded) % 4])
            said = raw[:-_MAC_BYTES]
            claims = _decode(said)
        except (ValueError, msgspec.MsgspecError, RecursionError):
            return None
        # The decoder skips characters it does not know; a pass has one spelling.
        if _spelled(raw) != encoded:
            return None
        key = self.keys.get(claims.key_id)
        if key is None:
            return None
        mac = hashlib.blake2b(said, key=key, digest_size=_MAC_BYTES).digest()
        if not hmac.compare_digest(mac, raw[-_MAC_BYTES:]) or claims.expires_at_ms <= now_ms:
            return None
        return Principal(
            account_id=claims.account_id,
            person_ids=frozenset(claims.person_ids),
            expires_at_ms=claims.expires_at_ms,
        )
