"""
What the door lets in.
"""

import datetime as dt

import msgspec
import pytest

from kernel.http.problem import Problem
from kernel.http.route import decode
from services.identity.routes import ROUTES
from services.identity.routes.accounts import e164
from services.identity.routes.bodies import CreateAccount, CreatePerson

ACCOUNT = {
    "username": "budi.santoso",
    "password": "kuda laut biru",
    "nik": "3273010101900001",
    "phone": "0812-3456-7890",
    "email": "budi@example.com",
    "address": "Jalan Merdeka 1, Bandung",
}
PERSON = {
    "nik": "3273010101900001",
    "family_card_number": "3273010101200001",
    "full_name": "Budi Santoso",
    "birth_date": "1990-01-01",
    "relation": "self",
}


def test_ordinary_bodies_come_in() -> None:
    """
    Indonesian is the default language, and a birth date may be left out.
    """
    account = decode(msgspec.json.encode(ACCOUNT), CreateAccount)
    person = decode(msgspec.json.encode(PERSON), CreatePerson)
    undated = decode(msgspec.json.encode({k: v for k, v in PERSON.items() if k != "birth_date"}), CreatePerson)

    assert account.locale == "id"
    assert dt.date(1990, 1, 1) == person.birth_date
    assert undated.birth_date is None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("username", "ab"),
        ("username", "a" * 33),
        ("username", "Budi"),
        ("username", "budi santoso"),
        ("username", "budi.santoso\n"),
        ("password", "too short"),
        ("password", "x" * 129),
        ("nik", "327301010190000"),
        ("nik", "32730101019000011"),
        ("nik", "3273010101900001\n"),
        ("nik", "327301010190000a"),
        ("nik", 3273010101900001),
        ("phone", ""),
        ("email", "budi"),
        ("email", "budi@example"),
        ("email", "budi@exa mple.com"),
        ("email", "budi@example.com\r\nBcc: all@example.com"),
        ("email", "budi@example.com\n"),
        ("email", f"{'b' * 65}@example.com"),
        ("address", ""),
        ("address", "   "),
        ("address", "x" * 201),
        ("address", "Jalan\x00Merdeka"),
        ("locale", "fr"),
        ("nickname", "Budi"),
    ],
)
def test_a_field_out_of_bounds_is_named(field: str, value: object) -> None:
    """
    The answer names the field and keeps the value to itself.
    """
    with pytest.raises(Problem) as refused:
        decode(msgspec.json.encode({**ACCOUNT, field: value}), CreateAccount)

    assert field == refused.value.extras["field"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("nik", "1"),
        ("family_card_number", "3273"),
        ("full_name", ""),
        ("full_name", "Budi\nSantoso"),
        ("full_name", "B" * 101),
        ("birth_date", "1990-02-31"),
        ("relation", "neighbour"),
    ],
)
def test_a_persons_field_out_of_bounds_is_named(field: str, value: object) -> None:
    """
    As for accounts.
    """
    with pytest.raises(Problem) as refused:
        decode(msgspec.json.encode({**PERSON, field: value}), CreatePerson)

    assert field == refused.value.extras["field"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0812-3456-7890", "+6281234567890"),
        ("+62 812 3456 7890", "+6281234567890"),
        ("6281234567890", "+6281234567890"),
        ("+81 90 1234 5678", "+819012345678"),
        ("call me", None),
        ("12", None),
        ("+999123456789", None),
    ],
)
def test_a_phone_number_is_one_of_indonesia_unless_it_says_otherwise(text: str, expected: object) -> None:
    """
    Stored in one form, so that the same number is the same.
    """
    assert expected == e164(text)


def test_every_call_that_adds_something_takes_an_idempotency_key() -> None:
    """
    Tokens, passes and activations change nothing twice by themselves.
    """
    keyed = {route.operation for route in ROUTES if route.idempotent}

    assert {"create_account", "create_person"} == keyed
