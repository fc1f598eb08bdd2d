"""
Tickets: claims signed with Ed25519, checked by anybody with the published key and no network.

Called by the composer and by routes. Form: `AT1.<base64url of JSON claims>.<base64url signature>`,
the signature over everything before its dot. Holds no personal data.
"""

import binascii
from base64 import urlsafe_b64decode

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from joserfc.jwk import OKPKey

from services.notify.domain import TICKET_PREFIX, TicketClaims, base64url, signed_part


class TicketKey(msgspec.Struct, frozen=True, kw_only=True):
    """
    A public key as a JWK (RFC 8037).
    """

    kty: str
    crv: str
    kid: str
    x: str
    use: str = "sig"
    alg: str = "Ed25519"


class TicketSigner:
    """
    Signs tickets and publishes the key that checks them.
    """

    def __init__(self, key: OKPKey) -> None:
        private = key.private_key
        if not isinstance(private, Ed25519PrivateKey):
            raise TypeError("tickets are signed with Ed25519")
        self._private = private
        self._kid = key.kid or key.thumbprint()

    def ticket(self, claims: TicketClaims) -> str:
        """
        The text of a QR code.
        """
        text = signed_part(claims)
        return f"{text}.{base64url(self._private.sign(text.encode()))}"

    def public_key(self) -> TicketKey:
        """
        What verifiers need.
        """
        raw = self._private.public_key().public_bytes_raw()
        return TicketKey(kty="OKP", crv="Ed25519", kid=self._kid, x=base64url(raw))


def verify(ticket: str, key: TicketKey) -> TicketClaims | None:
    """
    The claims, or None for anything not signed with `key`. Needs no network: the reference for readers at a door.
    """
    text, _, signature = ticket.rpartition(".")
    prefix, _, encoded = text.partition(".")
    if prefix != TICKET_PREFIX:
        return None
    try:
        Ed25519PublicKey.from_public_bytes(_raw(key.x)).verify(_raw(signature), text.encode())
        return msgspec.json.decode(_raw(encoded), type=TicketClaims)
    except (InvalidSignature, binascii.Error, ValueError, msgspec.MsgspecError):
        return None


def _raw(encoded: str) -> bytes:
    raw = urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
    if base64url(raw) != encoded:
        # Base64 has several spellings of the same bytes; a ticket has one.
        raise ValueError("not the one spelling")
    return raw
