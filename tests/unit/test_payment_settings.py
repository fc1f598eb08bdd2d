"""
A payment process that cannot work does not start, and says which variable is wrong.
"""

import pytest

from kernel.settings import BadSettings, load
from services.payment.settings import ApiSettings

GOOD = {
    "HTTP_PORT": "0",
    "DATABASE_URL": "postgresql://127.0.0.1/antrean",
    "JWKS_URL": "http://127.0.0.1/jwks",
    "BANK_SECRETS": "sandbox:0123456789abcdef,mandiri:fedcba9876543210",
    "BANK_CALLBACK_URL": "http://127.0.0.1/v1/bank/callbacks/sandbox",
    "SANDBOX": "1",
}


def test_each_bank_has_its_secret() -> None:
    """
    The list names banks and their keys.
    """
    assert {"sandbox": "0123456789abcdef", "mandiri": "fedcba9876543210"} == load(ApiSettings, GOOD).bank.by_bank()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BANK_SECRETS", "sandbox"),
        ("BANK_SECRETS", "sandbox:short"),
        ("BANK_SECRETS", ":0123456789abcdef"),
        ("BANK_SECRETS", "mandiri:fedcba9876543210"),
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
