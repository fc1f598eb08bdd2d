"""
Leaves: what a desk keeps for hours without a network, signed with Ed25519 so that nobody adds a line.

Called by the routes of the leaf. The signature stands beside the document, over its exact text.
Holds ids, never names.
"""

import base64

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from joserfc.jwk import OKPKey

from services.booking.tickets import raw


class LeafKey(msgspec.Struct, frozen=True, kw_only=True):
    """
    A public key as a JWK (RFC 8037).
    """

    kid: str
    x: str
    kty: str = "OKP"
    crv: str = "Ed25519"
    use: str = "sig"
    alg: str = "Ed25519"


class SignedLeaf(msgspec.Struct, frozen=True, kw_only=True):
    """
    A document as text, and the signature over exactly that text.
    """

    document: str
    signature: str
    kid: str


class LeafSigner:
    """
    Signs leaves and publishes the key that checks them.
    """

    def __init__(self, key: OKPKey) -> None:
        private = key.private_key
        if not isinstance(private, Ed25519PrivateKey):
            raise TypeError("leaves are signed with Ed25519")
        self._private = private
        self._kid = key.kid or key.thumbprint()

    def sign(self, document: msgspec.Struct) -> SignedLeaf:
        """
        The document as JSON, signed.
        """
        text = msgspec.json.encode(document)
        return SignedLeaf(document=text.decode(), signature=_text(self._private.sign(text)), kid=self._kid)

    def public_key(self) -> LeafKey:
        """
        What whoever checks a leaf needs.
        """
        return LeafKey(kid=self._kid, x=_text(self._private.public_key().public_bytes_raw()))


def is_genuine(leaf: SignedLeaf, key: LeafKey) -> bool:
    """
    Whether `key` signed the leaf. Needs no network: the reference for readers at a desk.
    """
    try:
        Ed25519PublicKey.from_public_bytes(raw(key.x)).verify(raw(leaf.signature), leaf.document.encode())
    except (InvalidSignature, ValueError):
        return False
    return leaf.kid == key.kid


def _text(signed: bytes) -> str:
    return base64.urlsafe_b64encode(signed).decode().rstrip("=")
