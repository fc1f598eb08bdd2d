"""
Notifications signed with RSA, keys that come and go, and what a flipped byte does to either scheme.
"""

import base64
from datetime import UTC, datetime
from functools import cache

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from services.payment.bank_keys import public_keys_of
from services.payment.domain import snap
from services.payment.domain.snap import Keys

PATH = "/v1/bank/callbacks/bri"
BODY = b'{"billing_code":"812345678901234","amount":{"value":"350000.00","currency":"IDR"},"ntpn":"ABCDEFGH12345678"}'
NOW = datetime(2026, 11, 27, 7, 0, tzinfo=UTC)
NOW_MS = round(NOW.timestamp() * 1000)
SECRET, OLD_SECRET = "a-secret-of-the-bank", "the-one-before-that"
Sent = dict[str, str]


@cache
def private_key(name: str) -> RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@cache
def keys(*names: str) -> Keys:
    spelled = [
        base64.b64encode(private_key(name).public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
        for name in names
    ]
    return Keys(
        secrets=(SECRET,), public_keys=public_keys_of(",".join(f"bri:{key.decode()}" for key in spelled))["bri"]
    )


def sent(signature: str) -> Sent:
    return {
        "X-TIMESTAMP": NOW.isoformat(),
        "X-SIGNATURE": signature,
        "X-PARTNER-ID": "bri",
        "X-EXTERNAL-ID": "0123456789",
    }


@cache
def rsa_signature(name: str) -> str:
    text = snap.asymmetric_text(path=PATH, body=BODY, timestamp=NOW.isoformat())
    return base64.b64encode(private_key(name).sign(text, padding.PKCS1v15(), hashes.SHA256())).decode()


def hmac_sent(secret: str) -> Sent:
    signature = snap.signature(secret, path=PATH, access_token="token", body=BODY, timestamp=NOW.isoformat())
    return {**sent(signature), "Authorization": "Bearer token"}


def reason(told: Sent, known: Keys, *, body: bytes = BODY) -> str:
    """
    Why it is refused; empty where it is believed.
    """
    headers = snap.headers_of(told, with_token=not known.public_keys)
    refused = snap.check(headers, keys=known, partner="bri", path=PATH, body=body, now_ms=NOW_MS)
    return refused.reason if refused else ""


def test_a_notification_signed_with_rsa_is_believed_without_a_token() -> None:
    """
    SHA256withRSA over method, path, hash of the body and time.
    """
    assert "" == reason(sent(rsa_signature("now")), keys("now"))


def test_the_text_signed_with_rsa_is_the_one_of_the_specification() -> None:
    """
    POST, path, lower-case hash of the minified body, time.
    """
    assert (
        f"POST:{PATH}:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a:t".encode()
        == snap.asymmetric_text(path=PATH, body=b"{ }", timestamp="t")
    )


def test_while_one_key_replaces_another_both_are_good_and_then_only_the_new_one() -> None:
    """
    A retired key is nobody's key, in either scheme.
    """
    assert ["", ""] == [reason(sent(rsa_signature(name)), keys("now", "before")) for name in ("now", "before")]
    assert "signature_wrong" == reason(sent(rsa_signature("before")), keys("now"))

    both = Keys(secrets=(SECRET, OLD_SECRET))
    assert ["", ""] == [reason(hmac_sent(secret), both) for secret in (SECRET, OLD_SECRET)]
    assert "signature_wrong" == reason(hmac_sent(OLD_SECRET), Keys(secrets=(SECRET,)))


def test_a_bank_with_public_keys_is_not_believed_under_its_secret() -> None:
    """
    The secret signs our questions; whoever learned it there cannot report money.
    """
    assert "signature_wrong" == reason(hmac_sent(SECRET), keys("now"))


@pytest.mark.parametrize("spelled", ["", "=", "not base64!", "AAAA", "A" * 1024, "\u00fc"])
def test_a_signature_that_is_none_is_refused_and_breaks_nothing(spelled: str) -> None:
    """
    Whatever stands in the header is an answer, never an error.
    """
    assert reason(sent(spelled), keys("now")) in {"header_missing", "signature_wrong"}


@settings(deadline=None)  # the first example draws the key
@given(st.sampled_from(["hmac", "rsa"]), st.integers(0, len(BODY) - 1), st.integers(1, 255))
def test_no_flipped_byte_of_a_body_is_ever_believed(scheme: str, position: int, flip: int) -> None:
    """
    In either scheme, at every place, to every value.
    """
    altered = BODY[:position] + bytes([BODY[position] ^ flip]) + BODY[position + 1 :]
    told, known = (hmac_sent(SECRET), Keys(secrets=(SECRET,))) if scheme == "hmac" else _rsa()

    assert "signature_wrong" == reason(told, known, body=altered)


@settings(deadline=None)  # the first example draws the key
@given(st.sampled_from(["hmac", "rsa"]), st.data())
def test_no_flipped_byte_of_a_signed_header_is_ever_believed(scheme: str, data: st.DataObject) -> None:
    """
    Time, signature, partner and, where it is signed, the token. The id of a notification is signed in no scheme:
    under another one the same payment is the same payment, which its NTPN tells.
    """
    told, known = (hmac_sent(SECRET), Keys(secrets=(SECRET,))) if scheme == "hmac" else _rsa()
    name = data.draw(st.sampled_from(sorted(set(told) - {"X-EXTERNAL-ID"})))
    position, flip = data.draw(st.integers(0, len(told[name]) - 1)), data.draw(st.integers(1, 255))
    value = told[name]
    altered = value[:position] + chr(ord(value[position]) ^ flip) + value[position + 1 :]

    assert "" != reason({**told, name: altered}, known)


def _rsa() -> tuple[Sent, Keys]:
    return sent(rsa_signature("now")), keys("now")
