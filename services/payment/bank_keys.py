"""
Banks' keys and ours, read from the environment's spelling: shared secrets, RSA keys, addresses.

Called by the settings while booting. Raises `ValueError` naming the variable; never shows a secret.
"""

import base64
import binascii
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_der_private_key, load_der_public_key

from services.payment.domain.access import Signer
from services.payment.domain.snap import Verifier

SECRET_CHARACTERS_MIN: Final = 16
RSA_BITS_MIN: Final = 2048
RSA_BITS_MAX: Final = 4096
KEYS_PER_BANK_MAX: Final = 3
"""Each is tried for every notification: one that comes, one that goes, one to spare."""


def secrets_of(text: str) -> dict[str, tuple[str, ...]]:
    """
    `name:secret[,name:secret]` by bank, in the order given.
    """
    found: dict[str, tuple[str, ...]] = {}
    for name, secret in _pairs(text, ":"):
        if not name.isidentifier() or len(secret) < SECRET_CHARACTERS_MIN:
            raise ValueError("BANK_SECRETS must be name:secret[,name:secret] with secrets of 16 characters or more")
        found[name] = _added(found.get(name, ()), secret, "BANK_SECRETS")
    return found


def public_keys_of(text: str) -> dict[str, tuple[Verifier, ...]]:
    """
    `name:key[,name:key]` by bank, each key the base64 of its DER form.
    """
    spelled: dict[str, tuple[str, ...]] = {}
    for name, key in _pairs(text, ":"):
        if not name.isidentifier():
            raise ValueError("BANK_PUBLIC_KEYS must be name:key[,name:key]")
        spelled[name] = _added(spelled.get(name, ()), key, "BANK_PUBLIC_KEYS")
    return {name: tuple(_bank_verifier(name, key) for key in keys) for name, keys in spelled.items()}


def client_key_of(text: str) -> RSAPrivateKey:
    """
    Our own key: base64 of its PKCS 8 DER form.
    """
    wrong = f"BANK_CLIENT_KEY must be an RSA private key of {RSA_BITS_MIN}..{RSA_BITS_MAX} bits in base64 PKCS 8 DER"
    try:
        key = load_der_private_key(base64.b64decode(text, validate=True), password=None)
    except (binascii.Error, ValueError, TypeError):
        raise ValueError(wrong) from None
    if not isinstance(key, RSAPrivateKey) or not RSA_BITS_MIN <= key.key_size <= RSA_BITS_MAX:
        raise ValueError(wrong)
    return key


def signer_of(key: RSAPrivateKey) -> Signer:
    """
    Signs with SHA256withRSA.
    """
    return lambda text: key.sign(text, padding.PKCS1v15(), hashes.SHA256())


def addresses_of(text: str, variable: str = "BANK_INQUIRY_URLS") -> dict[str, str]:
    """
    `name=address[,name=address]` by bank.
    """
    found: dict[str, str] = {}
    for name, address in _pairs(text, "="):
        parts = urlsplit(address)
        if not name.isidentifier() or name in found or parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError(f"{variable} must be name=address[,name=address], each bank once")
        found[name] = address
    return found


def _pairs(text: str, separator: str) -> Iterator[tuple[str, str]]:
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, value = part.partition(separator)
        yield name, value


def _added(keys: tuple[str, ...], key: str, variable: str) -> tuple[str, ...]:
    if key in keys or len(keys) == KEYS_PER_BANK_MAX:
        raise ValueError(f"{variable} must have at most {KEYS_PER_BANK_MAX} keys per bank, each once")
    return (*keys, key)


def _bank_verifier(name: str, spelled: str) -> Verifier:
    wrong = f"BANK_PUBLIC_KEYS must have RSA keys of {RSA_BITS_MIN}..{RSA_BITS_MAX} bits in base64 DER, unlike {name}'s"
    try:
        key = load_der_public_key(base64.b64decode(spelled, validate=True))
    except (binascii.Error, ValueError, TypeError):
        raise ValueError(wrong) from None
    if not isinstance(key, RSAPublicKey) or not RSA_BITS_MIN <= key.key_size <= RSA_BITS_MAX:
        raise ValueError(wrong)
    return verifier_of(key)


def verifier_of(key: RSAPublicKey) -> Verifier:
    """
    Checks signatures of SHA256withRSA.
    """

    def verifies(signature: bytes, text: bytes) -> bool:
        try:
            key.verify(signature, text, padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature:
            return False
        return True

    return verifies
