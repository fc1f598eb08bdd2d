"""
Families, credentials and masks.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.identity.domain.credentials import masked_email, password_refusal, same_email, username_refusal
from services.identity.domain.family import Family, Refusal


def test_the_first_card_becomes_the_familys() -> None:
    """
    A family without people takes any card, and then only that one.
    """
    family = Family(account_id="acc_1", card_index=None, size=0)
    joined = family.joined_by(b"card")

    assert family.refusal(b"card", size_max=5) is None
    assert joined.refusal(b"card", size_max=5) is None
    assert Refusal.CARD_DIFFERS == joined.refusal(b"other", size_max=5)


@given(size_max=st.integers(1, 10))
def test_a_family_grows_to_its_limit_and_not_beyond(size_max: int) -> None:
    """
    However large the limit is.
    """
    family = Family(account_id="acc_1", card_index=None, size=0)
    while family.refusal(b"card", size_max=size_max) is None:
        family = family.joined_by(b"card")

    assert size_max == family.size
    assert Refusal.LIMIT_REACHED == family.refusal(b"card", size_max=size_max)


@pytest.mark.parametrize("username", ["3273010101900001", "budi3273010101900001", "x9999999999999999x"])
def test_a_username_holds_no_nik(username: str) -> None:
    """
    Usernames stand outside the vault.
    """
    assert username_refusal(username, nik="3273010101900001") is not None


def test_an_ordinary_username_is_taken() -> None:
    """
    Digits are fine as long as they are not sixteen.
    """
    assert username_refusal("budi.1990", nik="3273010101900001") is None


@pytest.mark.parametrize("password", ["budi.santoso", "BUDI.SANTOSO", "Password123", "aaaaaaaaaaaa", "1234567890"])
def test_a_password_everybody_tries_first_is_refused(password: str) -> None:
    """
    The username itself, one letter over and over, and the head of every list.
    """
    assert password_refusal(password, username="budi.santoso") is not None


def test_an_unrelated_password_is_taken() -> None:
    """
    Length does the rest.
    """
    assert password_refusal("kuda laut biru", username="budi.santoso") is None


@pytest.mark.parametrize(
    ("email", "expected"),
    [("budi@example.com", "b***@example.com"), ("b@example.com", "b***@example.com")],
)
def test_a_masked_address_shows_one_letter_and_the_domain(email: str, expected: object) -> None:
    """
    Long and short ones alike, so the length is not told.
    """
    assert expected == masked_email(email)


def test_two_spellings_of_an_address_are_the_same() -> None:
    """
    Nobody gets two accounts by a capital letter.
    """
    assert same_email("Budi@Example.com") == same_email("budi@example.COM")
