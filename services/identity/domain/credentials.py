"""
Which usernames and passwords are taken, and how an e-mail address is written and masked.

Called by use cases and routes. Never sees a stored hash.
"""

import re
from typing import Final

# Words read as words, so they stand in lines and are split.
# ruff: noqa: SIM905
TOO_COMMON: Final = frozenset(
    "1234567890 12345678910 0123456789 1234567891 0987654321 1111111111 0000000000 qwertyuiop qwerty12345"
    " password12 password123 password1234 passwordku katasandi123 rahasia123 rahasia1234 sayang12345"
    " indonesia1 indonesia123 indonesia45 bismillah1 bismillah123 iloveyou123 admin12345 jakarta123".split()
)
"""The head of every attacker's list; the attempt limit holds the rest."""

_SIXTEEN_DIGITS: Final = re.compile(r"[0-9]{16}")


def username_refusal(username: str, *, nik: str) -> str | None:
    """
    Why `username` cannot be one, or None. Usernames stand outside the vault, so none may hold a NIK.
    """
    if nik in username or _SIXTEEN_DIGITS.search(username):
        return "must not contain a NIK or another 16 digits"
    return None


def password_refusal(password: str, *, username: str) -> str | None:
    """
    Why `password` protects nothing, or None.
    """
    folded = password.casefold()
    if folded in {username, username[::-1], username * 2}:
        return "must not be the username"
    if folded in TOO_COMMON or len(set(folded)) == 1:
        return "is one of the first that everybody tries"
    return None


def same_email(email: str) -> str:
    """
    The form in which two spellings of one address are equal.
    """
    return email.casefold()


def masked_email(email: str) -> str:
    """
    Enough to recognise one's own: b***@example.com.
    """
    local, _, domain = email.rpartition("@")
    return f"{local[:1]}***@{domain}"
