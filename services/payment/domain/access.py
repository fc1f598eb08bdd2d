"""
Access to a bank's calls as SNAP BI gives it: a token asked for with our RSA key, good for minutes.

Called by the adapter that asks for tokens and by the sandbox's bank that gives them. Pure: signing is theirs.
"""

import re
from collections.abc import Callable
from typing import Final, Literal

import msgspec

GRANT: Final = "client_credentials"
GIVEN: Final = ("2007300", "Successful")
NOT_GIVEN: Final = ("4017300", "Unauthorized. Signature")
TOKEN_NOT_GOOD: Final = ("4012601", "Invalid Token (B2B)")
"""Codes of SNAP's service 73, access token, and of service 26 under a token that is none or is over."""
MARGIN_MS: Final = 30_000
"""A token is not used in its last moments: it would be over when it arrives."""
GOOD_SECONDS_MAX: Final = 86_400
TOKEN_CHARACTERS_MAX: Final = 2048
_TOKEN: Final = re.compile(r"[\x21-\x7e]+")
Signer = Callable[[bytes], bytes]
"""Signs a text with SHA256withRSA."""


class TokenAsked(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """
    What a bank is asked for.
    """

    grant_type: Literal["client_credentials"] = "client_credentials"


class TokenAnswer(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    rename={
        "code": "responseCode",
        "message": "responseMessage",
        "token": "accessToken",
        "kind": "tokenType",
        "good_seconds": "expiresIn",
    },
):
    """
    What a bank gives: a token and for how long it is good, or neither.
    """

    code: str
    message: str
    token: str = ""
    kind: str = ""
    good_seconds: int | str = 0
    """Banks write it as a number or as a text of digits."""


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """
    A token and when it is used no more.
    """

    text: str
    use_until_ms: int


def asked_text(client_id: str, timestamp: str) -> bytes:
    """
    What is signed to ask for a token.
    """
    return f"{client_id}|{timestamp}".encode()


def token_of(answer: TokenAnswer, *, now_ms: int) -> Token | None:
    """
    The token of an answer, or None where there is none that can be used.
    """
    spelled = str(answer.good_seconds)
    if answer.code != GIVEN[0] or not re.fullmatch("[0-9]{1,6}", spelled):
        return None
    if len(answer.token) > TOKEN_CHARACTERS_MAX or not _TOKEN.fullmatch(answer.token):
        return None
    good_ms = min(int(spelled), GOOD_SECONDS_MAX) * 1000
    # One that is short-lived is used for half of its time at least, or nobody would ever use it.
    return Token(text=answer.token, use_until_ms=now_ms + max(good_ms - MARGIN_MS, good_ms // 2))
