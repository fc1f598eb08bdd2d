"""
What comes in and goes out over HTTP, with every limit.

Used by routes and, through them, by the OpenAPI document. Never shown by repr or log.
"""

import datetime as dt
from typing import Annotated, Literal

import msgspec

from services.identity.use_cases.look_up import OwnPerson

# `$` alone also matches before a last line feed; the lookahead closes that door in every dialect.
_END = r"$(?!\n)"

Username = Annotated[str, msgspec.Meta(pattern=rf"^[a-z0-9._-]{{3,32}}{_END}", description="3-32 of a-z 0-9 . _ -")]
NewPassword = Annotated[str, msgspec.Meta(min_length=10, max_length=128)]
Digits16 = Annotated[str, msgspec.Meta(pattern=rf"^[0-9]{{16}}{_END}", max_length=16, description="16 digits")]
Phone = Annotated[str, msgspec.Meta(min_length=5, max_length=30, description="National (+62) or international form")]
Email = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+"
        rf"[A-Za-z][A-Za-z0-9-]{{0,61}}[A-Za-z0-9]{_END}",
        max_length=254,
    ),
]
# No control characters: names and addresses end up on paper.
Line = r"^[^\x00-\x1f\x7f]*[^\x00-\x20\x7f][^\x00-\x1f\x7f]*"
Address = Annotated[str, msgspec.Meta(pattern=Line + _END, max_length=200)]
FullName = Annotated[str, msgspec.Meta(pattern=Line + _END, max_length=100)]
Relation = Literal["self", "spouse", "child", "parent", "sibling", "other"]


class CreateAccount(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    A wish for an account.
    """

    username: Username
    password: NewPassword
    nik: Digits16
    phone: Phone
    email: Email
    address: Address
    locale: Literal["id", "en"] = "id"


class AccountState(msgspec.Struct, frozen=True, kw_only=True):
    """
    An account and what it is now.
    """

    account_id: str
    state: Literal["pending_activation", "active"]


class ActivateAccount(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    The token of the link in the mail.
    """

    token: Annotated[str, msgspec.Meta(min_length=1, max_length=128)]


class CreateToken(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    Username and password.
    """

    username: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    password: Annotated[str, msgspec.Meta(min_length=1, max_length=128)]


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """
    An Ed25519-signed JWT.
    """

    access_token: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 - the name of a scheme
    expires_in: int
    """Seconds."""
    account_id: str


class Pass(msgspec.Struct, frozen=True, kw_only=True, rename={"pass_": "pass"}):
    """
    A pass for the opening: good for reserving, for these people, until then.
    """

    pass_: str
    expires_at: str
    """RFC 3339, UTC."""
    expires_at_ms: int
    person_ids: tuple[str, ...]


class CreatePerson(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    Somebody of the account's family.
    """

    nik: Digits16
    family_card_number: Digits16
    full_name: FullName
    birth_date: dt.date | None = None
    relation: Relation


class PersonAdded(msgspec.Struct, frozen=True, kw_only=True):
    """
    The person's id everywhere else, and what an officer will look at.
    """

    person_id: str
    warnings: tuple[str, ...]


class Persons(msgspec.Struct, frozen=True, kw_only=True):
    """
    The account's people.
    """

    persons: tuple[OwnPerson, ...]


class Jwks(msgspec.Struct, frozen=True, kw_only=True):
    """
    The public keys that check tokens (RFC 7517).
    """

    keys: tuple[dict[str, str | list[str]], ...]
