"""
Log in with username and password.

Called by the route. An attempt is counted before it is judged, so parallel guesses count
too; an unknown username costs the same time and gets the same answer as a wrong password.
Whether an account is active is told only to who knows its password.
"""

import enum

import msgspec

from kernel.postgres import Database
from services.identity.stores import accounts, persons
from services.identity.stores.passwords import Busy, Passwords
from services.identity.stores.vault import Index, Vault


class LoggedIn(msgspec.Struct, frozen=True, kw_only=True):
    """
    Who it is, and whom he may act for.
    """

    account_id: str
    person_ids: tuple[str, ...]
    roles: tuple[str, ...]


class Limited(msgspec.Struct, frozen=True):
    """
    Too many attempts with this username.
    """

    retry_after_seconds: int


class LogInRefused(enum.Enum):
    """
    Why nobody is logged in.
    """

    WRONG_CREDENTIALS = "wrong_credentials"
    NOT_ACTIVE = "not_active"


Outcome = LoggedIn | Limited | LogInRefused | Busy


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """
    Attempts per username and window.
    """

    attempts_max: int
    window_seconds: int


async def log_in(
    database: Database, *, username: str, password: str, vault: Vault, passwords: Passwords, limits: Limits
) -> Outcome:
    """
    Judge an attempt. No connection is held while the password is hashed.
    """
    username_index = vault.index(Index.USERNAME, username)
    async with database.transaction() as connection:
        attempts = await accounts.count_attempt(connection, username_index, window_seconds=limits.window_seconds)
        account = await accounts.by_username(connection, username)
    if attempts.count > limits.attempts_max:
        return Limited(attempts.seconds_left)
    right = await passwords.verify(account.password_hash if account else None, password)
    if isinstance(right, Busy):
        async with database.connection() as connection:
            await accounts.forgive_attempt(connection, username_index)
        return right
    if not right or account is None:
        return LogInRefused.WRONG_CREDENTIALS
    async with database.transaction() as connection:
        await accounts.clear_attempts(connection, username_index)
        people = await persons.of_account(connection, account.account_id)
    if account.state != accounts.ACTIVE:
        return LogInRefused.NOT_ACTIVE
    return LoggedIn(
        account_id=account.account_id, person_ids=tuple(person.person_id for person in people), roles=account.roles
    )
