"""
Accounts, activation links and log-in attempts in Postgres.

Called by use cases inside their transaction. Knows rows, decides nothing.
"""

import hashlib
from collections.abc import Sequence

import msgspec

from kernel.postgres import Connection
from services.identity.stores import SQL

PENDING = "pending_activation"
ACTIVE = "active"


class NewAccount(msgspec.Struct, frozen=True, kw_only=True):
    """
    A row to be.
    """

    account_id: str
    username: str
    password_hash: str
    locale: str
    email_index: bytes


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """
    A row as it is.
    """

    account_id: str
    username: str
    password_hash: str
    state: str
    roles: tuple[str, ...]


class Attempts(msgspec.Struct, frozen=True, kw_only=True):
    """
    How often somebody tried to log in with a username, and how long that counts.
    """

    count: int
    seconds_left: int


async def now_ms(connection: Connection) -> int:
    """
    The transaction's time.
    """
    return int(await connection.fetchval(SQL.read_now_ms))


async def insert(connection: Connection, accounts: Sequence[NewAccount], *, state: str) -> set[str]:
    """
    Create accounts. Returns the ids of those that did not exist.
    """
    rows = await connection.fetch(
        SQL.insert_accounts,
        [account.account_id for account in accounts],
        [account.username for account in accounts],
        [account.password_hash for account in accounts],
        [account.locale for account in accounts],
        [account.email_index for account in accounts],
        state,
    )
    return {row["account_id"] for row in rows}


async def active_emails(connection: Connection, email_indexes: Sequence[bytes]) -> set[bytes]:
    """
    Which of these addresses an active account has.
    """
    rows = await connection.fetch(SQL.find_active_emails, list(email_indexes))
    return {row["email_index"] for row in rows}


async def insert_activations(connection: Connection, tokens: dict[str, str], *, ttl_seconds: int) -> None:
    """
    Remember links, account id by token; only the tokens' hashes are kept.
    """
    hashes = [token_hash(token) for token in tokens]
    await connection.execute(SQL.insert_activations, hashes, list(tokens.values()), float(ttl_seconds))


async def lock_activation(connection: Connection, token: str) -> str | None:
    """
    Whose link this is, with nobody else activating his address meanwhile; None for no link of ours.
    """
    row = await connection.fetchrow(SQL.read_activation, token_hash(token))
    if row is None:
        return None
    await connection.execute(SQL.lock_email_siblings, row["email_index"])
    return str(row["account_id"])


async def activate(connection: Connection, account_id: str, token: str) -> str | None:
    """
    Activate a locked account. Returns its locale, or None if the link or the address is no longer good.
    """
    locale: str | None = await connection.fetchval(SQL.activate_account, account_id, token_hash(token))
    return locale


async def by_id(connection: Connection, account_id: str) -> Account | None:
    """
    An account by id.
    """
    row = await connection.fetchrow(SQL.read_account, account_id)
    return None if row is None else msgspec.convert(dict(row), Account)


async def by_username(connection: Connection, username: str) -> Account | None:
    """
    An account by username.
    """
    row = await connection.fetchrow(SQL.read_account_by_username, username)
    return None if row is None else msgspec.convert(dict(row), Account)


async def grant(connection: Connection, username: str, roles: Sequence[str]) -> Account | None:
    """
    Add roles to an active account. Returns it as it is now, or None if there is none of that name.
    """
    row = await connection.fetchrow(SQL.grant_roles, username, list(roles))
    return None if row is None else msgspec.convert(dict(row), Account)


async def revoke(connection: Connection, username: str, roles: Sequence[str]) -> Account | None:
    """
    Take roles from an active account. Returns it as it is now, or None if there is none of that name.
    """
    row = await connection.fetchrow(SQL.revoke_roles, username, list(roles))
    return None if row is None else msgspec.convert(dict(row), Account)


async def with_roles(connection: Connection) -> list[Account]:
    """
    Accounts of staff, by name.
    """
    return [msgspec.convert(dict(row), Account) for row in await connection.fetch(SQL.read_staff)]


async def add_roles(connection: Connection, account_ids: Sequence[str], roles: Sequence[str]) -> None:
    """
    Add roles to many accounts; what they have besides stays.
    """
    await connection.execute(SQL.add_roles, list(account_ids), list(roles))


async def count_attempt(connection: Connection, username_index: bytes, *, window_seconds: int) -> Attempts:
    """
    Count an attempt and say how many there are in its window.
    """
    row = await connection.fetchrow(SQL.count_attempt, username_index, float(window_seconds))
    assert row is not None  # noqa: S101 - an upsert that returns has a row
    return Attempts(count=row["attempts"], seconds_left=max(1, row["seconds_left"]))


async def forgive_attempt(connection: Connection, username_index: bytes) -> None:
    """
    Take an attempt back that was never judged.
    """
    await connection.execute(SQL.forgive_attempt, username_index)


async def clear_attempts(connection: Connection, username_index: bytes) -> None:
    """
    Start over after a success.
    """
    await connection.execute(SQL.clear_attempts, username_index)


async def erase_pending(connection: Connection, *, older_than_seconds: int, rows_max: int) -> int:
    """
    Erase accounts never activated. Returns how many.
    """
    return int(await connection.fetchval(SQL.erase_pending, float(older_than_seconds), rows_max))


async def forget_attempts(connection: Connection, *, older_than_seconds: int, rows_max: int) -> None:
    """
    Forget windows long over.
    """
    await connection.execute(SQL.forget_attempts, float(older_than_seconds), rows_max)


def token_hash(token: str) -> bytes:
    """
    What is kept of a link. Its 32 random bytes cannot be searched, so the hash needs no key.
    """
    return hashlib.sha256(token.encode()).digest()
