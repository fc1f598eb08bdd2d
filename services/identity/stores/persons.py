"""
Persons and families in Postgres.

Called by use cases inside their transaction. Knows people by id and keyed index only.
"""

from collections.abc import Sequence

import msgspec

from kernel.postgres import Connection
from services.identity.domain.family import Family
from services.identity.stores import SQL


class NewPerson(msgspec.Struct, frozen=True, kw_only=True):
    """
    A row to be.
    """

    person_id: str
    account_id: str
    nik_index: bytes
    card_index: bytes
    """Becomes the account's when it has none; not kept with the person."""
    relation: str
    verified: bool
    warnings: tuple[str, ...]


class Owned(msgspec.Struct, frozen=True, kw_only=True):
    """
    A person who is known, and whose he is.
    """

    person_id: str
    account_id: str
    warnings: tuple[str, ...]


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """
    A row of an account's list.
    """

    person_id: str
    relation: str
    verified: bool
    warnings: tuple[str, ...]


async def lock_families(connection: Connection, account_ids: Sequence[str]) -> dict[str, Family]:
    """
    Families by account, with nobody else adding to them until the transaction ends.
    """
    await connection.execute(SQL.lock_accounts, list(account_ids))
    rows = await connection.fetch(SQL.read_families, list(account_ids))
    return {
        row["account_id"]: Family(account_id=row["account_id"], card_index=row["family_card_index"], size=row["size"])
        for row in rows
    }


async def owners(connection: Connection, nik_indexes: Sequence[bytes]) -> dict[bytes, Owned]:
    """
    Those of these people who are known.
    """
    rows = await connection.fetch(SQL.find_persons_by_nik, list(nik_indexes))
    return {
        row["nik_index"]: Owned(
            person_id=row["person_id"], account_id=row["account_id"], warnings=tuple(row["warnings"])
        )
        for row in rows
    }


async def insert(connection: Connection, people: Sequence[NewPerson]) -> set[str]:
    """
    Add persons. Returns the ids of those whose NIK nobody had; only their cards count.
    """
    rows = await connection.fetch(
        SQL.insert_persons,
        [person.person_id for person in people],
        [person.account_id for person in people],
        [person.nik_index for person in people],
        [person.relation for person in people],
        [person.verified for person in people],
        [",".join(person.warnings) for person in people],
    )
    added = {row["person_id"] for row in rows}
    cards = {person.account_id: person.card_index for person in people if person.person_id in added}
    await connection.execute(SQL.set_family_cards, list(cards), list(cards.values()))
    return added


async def of_account(connection: Connection, account_id: str) -> list[Person]:
    """
    The people of an account, in the order they came.
    """
    return [msgspec.convert(dict(row), Person) for row in await connection.fetch(SQL.list_persons, account_id)]
