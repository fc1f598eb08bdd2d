"""
Reads tickets at the desk: notify signs them, anybody with its public key can check them.

Called by the routes of the desk. Form: `AT1.<base64url of JSON claims>.<base64url signature>`,
the signature over everything before its dot. Knows public keys only; never asks anybody.
"""

import base64
import binascii
from collections.abc import Sequence
from typing import Final

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from services.booking.domain.desk import TicketClaims

PREFIX: Final = "AT1"
KEY_BYTES: Final = 32


class TicketReader:
    """
    Checks tickets against every key that may have signed them.
    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._keys = [Ed25519PublicKey.from_public_bytes(key) for key in keys]

    @property
    def can_read(self) -> bool:
        """
        Whether there is any key to check with.
        """
        return bool(self._keys)

    def read(self, ticket: str) -> TicketClaims | None:
        """
        What a ticket says, or None for anything not signed with one of the keys.
        """
        text, _, signature = ticket.rpartition(".")
        prefix, _, claims = text.partition(".")
        if prefix != PREFIX:
            return None
        try:
            signed, said = raw(signature), raw(claims)
            if not any(_signs(key, signed, text.encode()) for key in self._keys):
                return None
            return msgspec.json.decode(said, type=TicketClaims)
        except (ValueError, msgspec.MsgspecError):
            return None


def public_keys(listed: str) -> list[bytes]:
    """
    The keys of TICKET_PUBLIC_KEYS. Raises `ValueError` naming it.
    """
    keys = []
    for each in filter(None, (part.strip() for part in listed.split(","))):
        try:
            keys.append(raw(each))
        except ValueError:
            keys.append(b"")
    if any(len(key) != KEY_BYTES for key in keys):
        raise ValueError("TICKET_PUBLIC_KEYS must be base64url of 32 bytes each, with commas between")
    return keys


def raw(encoded: str) -> bytes:
    """
    The bytes of base64url without padding. Raises `ValueError` for any but its one spelling.
    """
    try:
        decoded = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
    except binascii.Error:
        raise ValueError("not base64url") from None
    if base64.urlsafe_b64encode(decoded).decode().rstrip("=") != encoded:
        raise ValueError("not the one spelling")
    return decoded


def _signs(key: Ed25519PublicKey, signature: bytes, text: bytes) -> bool:
    try:
        key.verify(signature, text)
    except InvalidSignature:
        return False
    return True
