"""
Roles of staff: given to accounts and taken from them, by whoever runs the system.

Called by `python -m services.identity staff`. A token carries the roles its account had when it was issued: what is
taken counts from the next log-in on, at the latest when the token ends. Every change is a line in
the audit log.
"""

from collections.abc import Sequence

from kernel.audit import entries
from kernel.audit.entries import Deed
from kernel.log import get_logger
from kernel.postgres import Database
from services.identity.stores import accounts
from services.identity.stores.accounts import Account

log = get_logger(__name__)
OPERATOR = "operator"
"""Whoever may run commands on the house's machines: no account of Antrean's."""


class StaffRefused(Exception):
    """
    There is no such account, or it has not been activated.
    """


async def grant(database: Database, username: str, roles: Sequence[str], *, reason: str) -> Account:
    """
    Give roles; those the account has already stay.
    """
    async with database.transaction() as connection:
        account = _found(await accounts.grant(connection, username, roles), username)
        await entries.write(connection, _deed("grant_roles", account, roles, reason))
    return _noted("roles_granted", account, roles, reason)


async def revoke(database: Database, username: str, roles: Sequence[str], *, reason: str) -> Account:
    """
    Take roles; those the account does not have are not missed.
    """
    async with database.transaction() as connection:
        account = _found(await accounts.revoke(connection, username, roles), username)
        await entries.write(connection, _deed("revoke_roles", account, roles, reason))
    return _noted("roles_revoked", account, roles, reason)


async def staff(database: Database) -> list[Account]:
    """
    Every account with a role.
    """
    async with database.connection() as connection:
        return await accounts.with_roles(connection)


def _found(account: Account | None, username: str) -> Account:
    if account is None:
        raise StaffRefused(f"no active account is named {username!r}")
    return account


def _deed(action: str, account: Account, roles: Sequence[str], reason: str) -> Deed:
    details = {"roles": list(roles), "now": list(account.roles)}
    return Deed(actor=OPERATOR, action=action, subject=account.account_id, reason=reason, details=details)


def _noted(what: str, account: Account, roles: Sequence[str], reason: str) -> Account:
    log.info(what, account_id=account.account_id, roles=list(roles), now=list(account.roles), reason=reason)
    return account
