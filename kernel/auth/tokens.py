"""
Tokens: JWTs signed with Ed25519, checked against identity's published keys.

Identity signs (`TokenSigner`); every other room verifies (`TokenVerifier`) with the JWKS it
fetched at boot and refreshes in the background, never on a request. One algorithm is
allowed; exp, nbf, iss, aud and typ are checked. Verified tokens are remembered, bounded.
"""

import asyncio
import base64
import binascii
import collections
from typing import Any

import aiohttp
import msgspec
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, OKPKey

from kernel.auth.principal import Principal
from kernel.clock import NowMs
from kernel.errors import Retryable
from kernel.log import get_logger

ALGORITHM = "Ed25519"
ISSUER = "antrean"
AUDIENCE = "antrean"
TYPE = "at+jwt"
SEED_BYTES = 32
REMEMBERED_MAX = 50_000
REFRESH_SECONDS = 300.0
FETCH_TIMEOUT_SECONDS = 5.0
log = get_logger(__name__)


def signing_key(encoded_seed: str, *, variable: str) -> OKPKey:
    """
    The Ed25519 key of a base64 seed of 32 bytes. Raises `ValueError` naming `variable`.
    """
    try:
        seed = base64.b64decode(encoded_seed, validate=True)
    except binascii.Error:
        seed = b""
    if len(seed) != SEED_BYTES:
        raise ValueError(f"{variable} must be base64 of 32 bytes")
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - only signers need it
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415 - as above

    private = Ed25519PrivateKey.from_private_bytes(seed)
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    key = OKPKey.import_key(pem, {"use": "sig", "alg": ALGORITHM})
    return OKPKey.import_key(pem, {"use": "sig", "alg": ALGORITHM, "kid": key.thumbprint()})


class TokenSigner:
    """
    Issues tokens and publishes the key that checks them.
    """

    def __init__(self, key: OKPKey) -> None:
        self._key = key

    def issue(
        self, *, account_id: str, person_ids: tuple[str, ...], roles: tuple[str, ...], now_ms: int, ttl_seconds: int
    ) -> str:
        """
        A token for an account, good for `ttl_seconds` from now.
        """
        now = now_ms // 1000
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": account_id,
            "iat": now,
            "nbf": now,
            "exp": now + ttl_seconds,
            "persons": list(person_ids),
            "roles": list(roles),
        }
        header = {"alg": ALGORITHM, "typ": TYPE, "kid": self._key.kid}
        return jwt.encode(header, claims, self._key, algorithms=[ALGORITHM])

    def jwks(self) -> dict[str, Any]:
        """
        The public half, as a JWK set.
        """
        return dict(KeySet([self._key]).as_dict(private=False))


class _Claims(msgspec.Struct, frozen=True):
    iss: str
    aud: str
    sub: str
    nbf: int
    exp: int
    persons: frozenset[str]
    roles: frozenset[str]


def _imported(jwks: dict[str, Any]) -> KeySet:
    try:
        return KeySet.import_key_set(jwks)  # type: ignore[arg-type]
    except (JoseError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"this is no key set: {error!r}") from error


class TokenVerifier:
    """
    Verifies tokens of identity.
    """

    def __init__(self, now_ms: NowMs, *, jwks: dict[str, Any] | None = None) -> None:
        self._now_ms = now_ms
        self._keys = None if jwks is None else _imported(jwks)
        self._remembered: collections.OrderedDict[str, Principal] = collections.OrderedDict()

    @property
    def ready(self) -> bool:
        """
        Whether keys are known.
        """
        return self._keys is not None

    def replace_keys(self, jwks: dict[str, Any]) -> None:
        """
        Trust exactly these keys from now on. Raises `ValueError`, and trusts the old ones, if they are none.
        """
        self._keys = _imported(jwks)
        self._remembered.clear()

    def verify(self, token: str) -> Principal | None:
        """
        The principal, or None for anything that is not a valid token now.
        """
        known = self._remembered.get(token)
        if known is not None:
            if known.expires_at_ms > self._now_ms():
                return known
            del self._remembered[token]
        principal = self._verified(token)
        if principal is not None:
            self._remembered[token] = principal
            if len(self._remembered) > REMEMBERED_MAX:
                self._remembered.popitem(last=False)
        return principal

    def _verified(self, token: str) -> Principal | None:
        if self._keys is None:
            return None
        now = self._now_ms() // 1000
        try:
            decoded = jwt.decode(token, self._keys, algorithms=[ALGORITHM])
            claims = msgspec.convert(decoded.claims, _Claims)
        except (JoseError, KeyError, TypeError, ValueError, msgspec.ValidationError, RecursionError):
            return None
        ours = decoded.header.get("typ") == TYPE and claims.iss == ISSUER and claims.aud == AUDIENCE
        if not ours or not claims.nbf <= now < claims.exp:
            return None
        return Principal(
            account_id=claims.sub, person_ids=claims.persons, roles=claims.roles, expires_at_ms=claims.exp * 1000
        )


async def keep_keys_fresh(verifier: TokenVerifier, url: str) -> None:
    """
    Fetch identity's keys at boot and now and then, for ever. Old keys stay while identity is away.
    """
    timeout = aiohttp.ClientTimeout(total=FETCH_TIMEOUT_SECONDS)
    known: dict[str, Any] | None = None
    async with aiohttp.ClientSession(timeout=timeout) as session:
        while True:
            try:
                jwks = await _fetch(session, url)
                if jwks != known:
                    verifier.replace_keys(jwks)
                    known = jwks
            except (Retryable, ValueError) as error:
                log.warning("jwks_not_fetched", error=str(error))
            await asyncio.sleep(REFRESH_SECONDS if verifier.ready else 0.2)


async def _fetch(session: aiohttp.ClientSession, url: str) -> dict[str, Any]:
    try:
        async with session.get(url) as response:
            response.raise_for_status()
            jwks: dict[str, Any] = await response.json()
            return jwks
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        raise Retryable(f"{url}: {error!r}") from error
