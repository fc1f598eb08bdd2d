"""
What an account may see of itself: who it is, and its own people.

Called by routes with the account of the caller's token. The NIK leaves masked. Who reads
other people's names is in `read_names`.
"""

import msgspec

from kernel.postgres import Connection
from services.identity.domain.credentials import masked_email
from services.identity.domain.nik import masked
from services.identity.stores import accounts, persons
from services.identity.stores.vault import Field, Vault


class Me(msgspec.Struct, frozen=True, kw_only=True):
    """
    An account as its holder sees it.
    """

    account_id: str
    username: str
    state: str
    email: str
    """Masked."""


class OwnPerson(msgspec.Struct, frozen=True, kw_only=True):
    """
    A person as his account's holder sees him.
    """

    person_id: str
    relation: str
    name: str
    nik: str
    """Masked."""
    verified: bool
    warnings: tuple[str, ...]


async def me(connection: Connection, account_id: str, *, vault: Vault) -> Me | None:
    """
    The account, or None if it is gone.
    """
    account = await accounts.by_id(connection, account_id)
    if account is None:
        return None
    opened = await vault.read(connection, [account_id], [Field.EMAIL])
    return Me(
        account_id=account_id,
        username=account.username,
        state=account.state,
        email=masked_email(opened[account_id, Field.EMAIL]),
    )


async def own_persons(connection: Connection, account_id: str, *, vault: Vault) -> list[OwnPerson]:
    """
    The account's people with their names.
    """
    people = await persons.of_account(connection, account_id)
    ids = [person.person_id for person in people]
    opened = await vault.read(connection, ids, [Field.NIK, Field.FULL_NAME])
    return [
        OwnPerson(
            person_id=person.person_id,
            relation=person.relation,
            name=opened[person.person_id, Field.FULL_NAME],
            nik=masked(opened[person.person_id, Field.NIK]),
            verified=person.verified,
            warnings=person.warnings,
        )
        for person in people
    ]


async def person_ids(connection: Connection, account_id: str) -> tuple[str, ...] | None:
    """
    Whom an account may act for now; None unless it exists and is active.
    """
    account = await accounts.by_id(connection, account_id)
    if account is None or account.state != accounts.ACTIVE:
        return None
    return tuple(person.person_id for person in await persons.of_account(connection, account_id))
