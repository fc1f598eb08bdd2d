"""
Tokens: what identity signed is accepted, and every forgery is None, never an exception.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import OKPKey

from kernel.auth.authenticator import HeaderAuthenticator
from kernel.auth.passes import PassKeys
from kernel.auth.principal import Principal
from kernel.auth.tokens import TokenSigner, TokenVerifier, signing_key

NOW_MS = 1_795_762_800_000
NOW = NOW_MS // 1000
SEED, OTHER_SEED = b"s" * 32, b"o" * 32


def _key(seed: bytes) -> OKPKey:
    return signing_key(base64.b64encode(seed).decode(), variable="JWT_SIGNING_KEY")


KEY, OTHER = _key(SEED), _key(OTHER_SEED)
SIGNER = TokenSigner(KEY)
TOKEN = SIGNER.issue(account_id="acc_1", person_ids=("per_1",), roles=("officer",), now_ms=NOW_MS, ttl_seconds=60)
HEADER = {"alg": "Ed25519", "typ": "at+jwt", "kid": KEY.kid}
CLAIMS = {
    "iss": "antrean",
    "aud": "antrean",
    "sub": "acc_1",
    "iat": NOW,
    "nbf": NOW,
    "exp": NOW + 60,
    "persons": ["per_1"],
    "roles": ["officer"],
}


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _json(value: Any) -> str:
    return _b64(json.dumps(value).encode())


def _ed25519(seed: bytes) -> Callable[[bytes], bytes]:
    return Ed25519PrivateKey.from_private_bytes(seed).sign


def _hs256(secret: bytes) -> Callable[[bytes], bytes]:
    return lambda signed: hmac.digest(secret, signed, hashlib.sha256)


def _forge(header: Any, claims: Any, sign: Callable[[bytes], bytes]) -> str:
    signed = f"{_json(header)}.{_json(claims)}"
    return f"{signed}.{_b64(sign(signed.encode()))}"


def _with(base: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {name: value for name, value in {**base, **changes}.items() if value is not None}


PUBLIC = SIGNER.jwks()["keys"][0]
PUBLIC_RAW = base64.urlsafe_b64decode(PUBLIC["x"] + "=")
GENUINE, FOREIGN, EMPTY = _ed25519(SEED), _ed25519(OTHER_SEED), (lambda _: b"")
DEEP = _b64(b"[" * 2500)

ATTACKS = {
    "no algorithm": _forge(_with(HEADER, alg="none"), CLAIMS, EMPTY),
    "no algorithm, written loudly": _forge(_with(HEADER, alg="NONE"), CLAIMS, EMPTY),
    "no algorithm, no key": _forge({"alg": "none", "typ": "at+jwt"}, CLAIMS, EMPTY),
    "no alg at all": _forge(_with(HEADER, alg=None), CLAIMS, GENUINE),
    "alg is a list": _forge(_with(HEADER, alg=["Ed25519"]), CLAIMS, GENUINE),
    "HMAC with the public key": _forge(_with(HEADER, alg="HS256"), CLAIMS, _hs256(PUBLIC_RAW)),
    "HMAC with the public key as JWK": _forge(_with(HEADER, alg="HS256"), CLAIMS, _hs256(json.dumps(PUBLIC).encode())),
    "HMAC with nothing": _forge(_with(HEADER, alg="HS256"), CLAIMS, _hs256(b"")),
    "right signature, wrong alg named": _forge(_with(HEADER, alg="ES256"), CLAIMS, GENUINE),
    "deprecated alg name": _forge(_with(HEADER, alg="EdDSA"), CLAIMS, GENUINE),
    "another key, our kid": _forge(HEADER, CLAIMS, FOREIGN),
    "another key, its own kid": _forge(_with(HEADER, kid=OTHER.kid), CLAIMS, FOREIGN),
    "another key, no kid": _forge(_with(HEADER, kid=None), CLAIMS, FOREIGN),
    "another key, brought along": _forge(
        _with(HEADER, jwk=TokenSigner(OTHER).jwks()["keys"][0], kid=OTHER.kid), CLAIMS, FOREIGN
    ),
    "another key, by address": _forge(_with(HEADER, jku="http://127.0.0.1:1/jwks", kid="x"), CLAIMS, FOREIGN),
    "another key, by certificate": _forge(_with(HEADER, x5c=["MIIB"], x5u="http://127.0.0.1:1/"), CLAIMS, FOREIGN),
    "kid is a path": _forge(_with(HEADER, kid="../../dev/null"), CLAIMS, FOREIGN),
    "kid is SQL": _forge(_with(HEADER, kid="' OR 1=1 --"), CLAIMS, FOREIGN),
    "kid is a list": _forge(_with(HEADER, kid=["x"]), CLAIMS, GENUINE),
    "kid is an object": _forge(_with(HEADER, kid={"a": 1}), CLAIMS, GENUINE),
    "kid is a number": _forge(_with(HEADER, kid=7), CLAIMS, GENUINE),
    "no typ": _forge(_with(HEADER, typ=None), CLAIMS, GENUINE),
    "typ of an id token": _forge(_with(HEADER, typ="JWT"), CLAIMS, GENUINE),
    "unknown critical header": _forge(_with(HEADER, crit=["exp2"], exp2=1), CLAIMS, GENUINE),
    "unencoded payload": _forge(_with(HEADER, crit=["b64"], b64=False), CLAIMS, GENUINE),
    "other issuer": _forge(HEADER, _with(CLAIMS, iss="evil"), GENUINE),
    "no issuer": _forge(HEADER, _with(CLAIMS, iss=None), GENUINE),
    "other audience": _forge(HEADER, _with(CLAIMS, aud="bank"), GENUINE),
    "several audiences": _forge(HEADER, _with(CLAIMS, aud=["bank", "other"]), GENUINE),
    "no audience": _forge(HEADER, _with(CLAIMS, aud=None), GENUINE),
    "ended now": _forge(HEADER, _with(CLAIMS, exp=NOW), GENUINE),
    "ended long ago": _forge(HEADER, _with(CLAIMS, exp=1), GENUINE),
    "never ends": _forge(HEADER, _with(CLAIMS, exp=None), GENUINE),
    "ends as text": _forge(HEADER, _with(CLAIMS, exp=str(NOW + 60)), GENUINE),
    "ends at infinity": _forge(HEADER, _with(CLAIMS, exp=float("inf")), GENUINE),
    "ends at no number": _forge(HEADER, _with(CLAIMS, exp=float("nan")), GENUINE),
    "ends at true": _forge(HEADER, _with(CLAIMS, nbf=0, exp=True), GENUINE),
    "not yet": _forge(HEADER, _with(CLAIMS, nbf=NOW + 1), GENUINE),
    "begins never": _forge(HEADER, _with(CLAIMS, nbf=None), GENUINE),
    "nobody's": _forge(HEADER, _with(CLAIMS, sub=None), GENUINE),
    "sub is a list": _forge(HEADER, _with(CLAIMS, sub=["acc_1"]), GENUINE),
    "persons is a number": _forge(HEADER, _with(CLAIMS, persons=5), GENUINE),
    "persons is a text": _forge(HEADER, _with(CLAIMS, persons="per_1"), GENUINE),
    "persons are lists": _forge(HEADER, _with(CLAIMS, persons=[["per_1"]]), GENUINE),
    "roles missing": _forge(HEADER, _with(CLAIMS, roles=None), GENUINE),
    "claims are a list": _forge(HEADER, [CLAIMS], GENUINE),
    "claims are null": _forge(HEADER, None, GENUINE),
    "claims are deep": f"{_json(HEADER)}.{DEEP}.{_b64(b'x' * 64)}",
    "header is a list": _forge([HEADER], CLAIMS, GENUINE),
    "header is null": _forge(None, CLAIMS, GENUINE),
    "header is a text": _forge("alg", CLAIMS, GENUINE),
    "header is deep": f"{DEEP}.{_json(CLAIMS)}.{_b64(b'x' * 64)}",
    "header is no JSON": f"{_b64(b'{')}.{_json(CLAIMS)}.{_b64(b'x' * 64)}",
    "header is no UTF-8": f"{_b64(bytes([0xFF, 0xFE]))}.{_json(CLAIMS)}.{_b64(b'x' * 64)}",
    "claims changed, signature kept": ".".join([*TOKEN.split(".")[:1], _json(CLAIMS), TOKEN.split(".")[2]]),
    "signature missing": TOKEN.rsplit(".", 1)[0],
    "signature empty": TOKEN.rsplit(".", 1)[0] + ".",
    "signature cut": TOKEN[:-8],
    "signature of zeros": TOKEN.rsplit(".", 1)[0] + "." + _b64(bytes(64)),
    "one part more": TOKEN + ".e30",
    "JSON serialisation": json.dumps({"payload": TOKEN.split(".")[1], "signatures": []}),
    "a pass": PassKeys({"k": b"k" * 32}).issue(account_id="a", person_ids=(), expires_at_ms=NOW_MS + 1),
    "nothing": "",
    "dots": "..",
    "not ASCII": "é.ü.ß",
    "white space": f" {TOKEN}",
    "a line end": f"{TOKEN}\n",
}


def _verifier(now_ms: int = NOW_MS) -> TokenVerifier:
    return TokenVerifier(lambda: now_ms, jwks=SIGNER.jwks())


def test_a_token_of_identity_is_accepted() -> None:
    """
    Account, persons, roles and end come out as they went in.
    """
    expected = Principal(
        account_id="acc_1",
        person_ids=frozenset({"per_1"}),
        roles=frozenset({"officer"}),
        expires_at_ms=NOW_MS + 60_000,
    )

    assert expected == _verifier().verify(TOKEN)
    assert expected == _verifier().verify(_forge(HEADER, CLAIMS, GENUINE))


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_refused(name: str) -> None:
    """
    Each forgery differs from the accepted token in one thing only.
    """
    assert _verifier().verify(ATTACKS[name]) is None


@given(position=st.integers(min_value=0), bit=st.integers(0, 7))
def test_any_flipped_bit_is_refused(position: int, bit: int) -> None:
    """
    Header, claims and signature are all signed or are the signature.
    """
    raw = bytearray(TOKEN.encode())
    position %= len(raw)
    raw[position] ^= 1 << bit
    changed = raw.decode("latin-1")
    # The last character of a part may have spare bits; then it decodes to the very bytes that were signed.
    same = all(
        _decoded(a) == _decoded(b) for a, b in zip(changed.split("."), TOKEN.split("."), strict=False)
    ) and changed.count(".") == TOKEN.count(".")

    assert same or _verifier().verify(changed) is None


def _decoded(part: str) -> bytes | str:
    try:
        return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except ValueError:
        return part


@given(st.text(max_size=300))
def test_noise_is_refused(noise: str) -> None:
    """
    Whatever a header holds, the answer is None and never an exception.
    """
    assert _verifier().verify(noise) is None


def test_a_remembered_token_still_ends() -> None:
    """
    Remembering saves the signature check, not the clock.
    """
    clock = [NOW_MS]
    verifier = TokenVerifier(lambda: clock[0], jwks=SIGNER.jwks())

    assert verifier.verify(TOKEN) is not None
    clock[0] = NOW_MS + 59_999
    assert verifier.verify(TOKEN) is not None
    clock[0] = NOW_MS + 60_000
    assert verifier.verify(TOKEN) is None


def test_replaced_keys_end_what_they_signed() -> None:
    """
    A withdrawn key takes its remembered tokens with it.
    """
    verifier = _verifier()
    assert verifier.verify(TOKEN) is not None

    verifier.replace_keys(TokenSigner(OTHER).jwks())
    assert verifier.verify(TOKEN) is None


def test_without_keys_nobody_is_let_in() -> None:
    """
    A process that has not fetched the keys yet is not ready, and refuses.
    """
    verifier = TokenVerifier(lambda: NOW_MS)

    assert not verifier.ready
    assert verifier.verify(TOKEN) is None


@pytest.mark.parametrize("jwks", [{}, {"keys": []}, {"keys": "x"}, {"keys": [{"kty": "nonsense"}]}, {"keys": [7]}])
def test_keys_that_are_none_do_not_replace_keys(jwks: dict[str, Any]) -> None:
    """
    A broken answer of identity must not lock the country out.
    """
    verifier = _verifier()

    with pytest.raises(ValueError, match="no key set"):
        verifier.replace_keys(jwks)
    assert verifier.verify(TOKEN) is not None


@pytest.mark.parametrize("seed", ["", "!!", base64.b64encode(b"short").decode(), "A" * 400])
def test_a_bad_seed_stops_the_boot_by_the_variables_name(seed: str) -> None:
    """
    The sentence names the variable and shows no key.
    """
    with pytest.raises(ValueError, match=r"^JWT_SIGNING_KEY must be base64 of 32 bytes$"):
        signing_key(seed, variable="JWT_SIGNING_KEY")


def test_the_published_key_is_public_only() -> None:
    """
    The JWKS must never hold the private half.
    """
    assert {"crv", "x", "kty", "use", "alg", "kid"} == set(PUBLIC)


def test_a_pass_opens_only_where_pass_keys_are_held() -> None:
    """
    Rooms without pass keys know tokens alone.
    """
    keys = PassKeys({"k": b"k" * 32})
    issued = keys.issue(account_id="acc_1", person_ids=(), expires_at_ms=NOW_MS + 1)
    hot, cold = (HeaderAuthenticator(_verifier(), lambda: NOW_MS, passes) for passes in (keys, None))

    assert hot.of_pass(issued) is not None
    assert cold.of_pass(issued) is None
    assert cold.of_token(TOKEN) is not None


def test_when_too_many_passes_are_known_only_the_oldest_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Letting go of all of them at once would hold every asker up; whoever has just asked is still known.
    """
    monkeypatch.setattr("kernel.auth.authenticator.PASSES_KNOWN_MAX", 3)
    keys = PassKeys({"k": b"k" * 32})
    authenticator = HeaderAuthenticator(_verifier(), lambda: NOW_MS, keys)
    tokens = [keys.issue(account_id=f"acc_{at}", person_ids=(), expires_at_ms=NOW_MS + 1) for at in range(4)]

    verified = [authenticator.of_pass(token) for token in tokens]

    newest_first = [authenticator.of_pass(token) for token in reversed(tokens)]
    assert verified == newest_first[::-1]
    # Who is verified anew is another object.
    assert [True, True, True, False] == [one is other for one, other in zip(verified[::-1], newest_first, strict=True)]
