"""
A payment process that cannot work does not start, and says which variable is wrong.
"""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from kernel.settings import BadSettings, load
from services.payment.settings import ApiSettings

_CLIENT_KEY = base64.b64encode(
    rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        Encoding.DER, PrivateFormat.PKCS8, NoEncryption()
    )
).decode()
GOOD = {
    "HTTP_PORT": "0",
    "DATABASE_URL": "postgresql://127.0.0.1/antrean",
    "JWKS_URL": "http://127.0.0.1/jwks",
    "BANK_SECRETS": "sandbox:0123456789abcdef,mandiri:fedcba9876543210",
    "BANK_INQUIRY_URLS": "sandbox=http://127.0.0.1/v1/sandbox/bank/inquiries,mandiri=https://bank.example/status",
    "BANK_CALLBACK_URL": "http://127.0.0.1/v1/bank/callbacks/sandbox",
    "BANK_TOKEN_URLS": "mandiri=https://bank.example/token",
    "BANK_CLIENT_KEY": _CLIENT_KEY,
    "SANDBOX": "1",
}


def _spelled(key: RSAPublicKey | Ed25519PublicKey) -> str:
    return base64.b64encode(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()


def test_each_bank_has_its_secrets_and_its_address() -> None:
    """
    The list names banks and their keys; a bank named again has one more, the first being the current one.
    """
    both = GOOD["BANK_SECRETS"] + ",mandiri:0000000000000000"
    bank = load(ApiSettings, {**GOOD, "BANK_SECRETS": both}).bank

    assert {"sandbox": ("0123456789abcdef",), "mandiri": ("fedcba9876543210", "0000000000000000")} == {
        name: keys.secrets for name, keys in bank.keys_by_bank().items()
    }
    assert "https://bank.example/status" == bank.addresses_by_bank()["mandiri"]


def test_a_bank_may_have_public_keys() -> None:
    """
    RSA in base64 DER, several while one replaces another.
    """
    keys = [rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key() for _ in range(2)]
    spelled = ",".join(f"mandiri:{_spelled(key)}" for key in keys)
    bank = load(ApiSettings, {**GOOD, "BANK_PUBLIC_KEYS": spelled}).bank

    assert 2 == len(bank.keys_by_bank()["mandiri"].public_keys)
    assert () == bank.keys_by_bank()["sandbox"].public_keys


@pytest.mark.parametrize("bits", [1024, None])
def test_a_key_too_short_or_of_another_kind_stops_the_boot(bits: int | None) -> None:
    """
    Only RSA of at least 2048 bits is a bank's key.
    """
    key = (
        rsa.generate_private_key(public_exponent=65537, key_size=bits).public_key()
        if bits
        else Ed25519PrivateKey.generate().public_key()
    )

    with pytest.raises(BadSettings, match="BANK_PUBLIC_KEYS"):
        load(ApiSettings, {**GOOD, "BANK_PUBLIC_KEYS": f"mandiri:{_spelled(key)}"})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BANK_SECRETS", "sandbox"),
        ("BANK_SECRETS", "sandbox:short"),
        ("BANK_SECRETS", ":0123456789abcdef"),
        ("BANK_SECRETS", "mandiri:fedcba9876543210"),
        ("BANK_SECRETS", GOOD["BANK_SECRETS"] + ",mandiri:fedcba9876543210"),
        ("BANK_SECRETS", ",".join(f"sandbox:{number:016d}" for number in range(4))),
        ("BANK_PUBLIC_KEYS", "mandiri:bm9uZQ=="),
        ("BANK_PUBLIC_KEYS", "mandiri:\u00fc"),
        ("BANK_PUBLIC_KEYS", "bca:bm9uZQ=="),
        ("BANK_INQUIRY_URLS", ""),
        ("BANK_INQUIRY_URLS", "sandbox=http://127.0.0.1/"),
        ("BANK_INQUIRY_URLS", "sandbox=nowhere,mandiri=http://127.0.0.1/"),
        ("BANK_INQUIRY_TIMEOUT_SECONDS", "0"),
        ("BANK_PARTNER_ID", "x" * 37),
        ("BANK_TOKEN_URLS", "bca=http://127.0.0.1/token"),
        ("BANK_TOKEN_URLS", "mandiri=nowhere"),
        ("BANK_CLIENT_KEY", ""),
        ("BANK_CLIENT_KEY", "bm9uZQ=="),
        ("BANK_CLIENT_ID", "x" * 37),
        ("BANK_CALLBACK_URL", "nowhere"),
        ("BANK_CALLBACK_URL", ""),
    ],
)
def test_a_wrong_variable_is_named_and_no_secret_is_shown(name: str, value: str) -> None:
    """
    The boot stops with the name; the value of a secret stays unsaid.
    """
    with pytest.raises(BadSettings, match=name) as refused:
        load(ApiSettings, {**GOOD, name: value})

    assert "fedcba9876543210" not in str(refused.value)
    assert _CLIENT_KEY not in str(refused.value)
