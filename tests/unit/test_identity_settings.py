"""
Bad configuration stops the boot naming the variable and showing no key.
"""

import base64

import pytest

from kernel.auth.passes import PassKeys
from kernel.auth.tokens import TokenSigner, TokenVerifier, signing_key
from kernel.settings import BadSettings, load
from services.identity.settings import ApiSettings, ProvisionSettings

KEY = base64.b64encode(bytes(range(32))).decode()
GOOD = {
    "HTTP_PORT": "0",
    "DATABASE_URL": "postgresql://127.0.0.1/x",
    "VAULT_KEYS": f"v1:{KEY}",
    "NIK_INDEX_KEY": KEY,
    "JWT_SIGNING_KEY": KEY,
    "PASS_KEYS": f"k1:{KEY}",
    "SANDBOX": "1",
}
NOW_MS = 1_790_000_000_000


@pytest.mark.parametrize("name", ["VAULT_KEYS", "NIK_INDEX_KEY", "JWT_SIGNING_KEY", "PASS_KEYS"])
@pytest.mark.parametrize("value", ["", "v1:c2hvcnQ=", "c2hvcnQ=", "no base64 at all", f"v1:{KEY[:-4]}"])
def test_a_key_that_is_none_stops_the_boot(name: str, value: str) -> None:
    """
    The variable is named, the key is not shown.
    """
    with pytest.raises(BadSettings, match=name) as refused:
        load(ApiSettings, {**GOOD, name: value})

    assert not value or value not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PASS_TTL_SECONDS", "59"),
        ("PASS_TTL_SECONDS", "86401"),
        ("TOKEN_TTL_SECONDS", "0"),
        ("PERSONS_PER_ACCOUNT_MAX", "0"),
        ("LOGIN_ATTEMPTS_MAX", "many"),
        ("PASSWORD_WORKERS", "0"),
    ],
)
def test_a_limit_out_of_bounds_stops_the_boot(name: str, value: str) -> None:
    """
    Every number has bounds.
    """
    with pytest.raises(BadSettings, match=name):
        load(ApiSettings, {**GOOD, name: value})


def test_defaults_are_those_of_the_contract() -> None:
    """
    An hour for tokens, two for passes, five people, ten attempts in fifteen minutes.
    """
    settings = load(ApiSettings, GOOD)

    assert (3600, 7200) == (settings.credentials.token_ttl_seconds, settings.credentials.pass_ttl_seconds)
    assert (5, 10, 900) == (
        settings.accounts.persons_max,
        settings.accounts.login_attempts_max,
        settings.accounts.login_window_seconds,
    )


def test_provision_wants_a_sandbox() -> None:
    """
    People who do not exist are not created among real ones.
    """
    with pytest.raises(BadSettings, match="SANDBOX"):
        load(ProvisionSettings, {**GOOD, "SANDBOX": "0"})


def test_a_token_and_a_pass_come_back_as_the_same_principal() -> None:
    """
    Both speak for the account and its people until their time is over.
    """
    signer = TokenSigner(signing_key(KEY, variable="JWT_SIGNING_KEY"))
    passes = PassKeys.parse(f"k1:{KEY}", variable="PASS_KEYS")
    people = ("per_1", "per_2")
    token = signer.issue(account_id="acc_1", person_ids=people, roles=("officer",), now_ms=NOW_MS, ttl_seconds=60)
    issued = passes.issue(account_id="acc_1", person_ids=people, expires_at_ms=NOW_MS + 60_000)
    by_token = TokenVerifier(lambda: NOW_MS + 59_000, jwks=signer.jwks()).verify(token)
    by_pass = passes.verify(issued, now_ms=NOW_MS + 59_000)

    assert by_token is not None
    assert by_pass is not None
    assert ("acc_1", frozenset(people)) == (by_token.account_id, by_token.person_ids)
    assert ("acc_1", frozenset(people)) == (by_pass.account_id, by_pass.person_ids)
    assert TokenVerifier(lambda: NOW_MS + 60_000, jwks=signer.jwks()).verify(token) is None
    assert passes.verify(issued, now_ms=NOW_MS + 60_000) is None
