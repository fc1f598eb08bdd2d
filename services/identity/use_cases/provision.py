"""
Create sandbox accounts in bulk, through the same use cases as people's.

Called by `python -m services.identity provision`. One password hash serves all of a run;
the same seed finds the same accounts and people again. Refused outside sandboxes by
settings, before anything is opened.
"""

import itertools
from collections.abc import AsyncIterator, Sequence

import msgspec

from kernel.auth.passes import PassKeys
from kernel.auth.tokens import TokenSigner
from kernel.clock import NowMs
from kernel.ids import derived
from kernel.postgres import Connection, Database
from services.identity.domain import nik
from services.identity.domain.family import Refusal
from services.identity.domain.sandbox import Household, households
from services.identity.stores import accounts, persons
from services.identity.stores.vault import Vault
from services.identity.use_cases.add_persons import AddPerson, add_persons
from services.identity.use_cases.register import Register, register_active

BATCH_ACCOUNTS_MAX = 200


class ProvisionRefused(Exception):
    """
    The people of this seed cannot be had: somebody else owns one of their NIKs or usernames.
    """


class Crowd(msgspec.Struct, frozen=True, kw_only=True):
    """
    How many accounts, of which size of family, out of which seed.
    """

    accounts: int
    smallest: int
    largest: int
    seed: int
    roles: tuple[str, ...] = ()
    """Of staff; every account of the crowd has them."""


class Issuing(msgspec.Struct, frozen=True, kw_only=True):
    """
    What the new accounts' credentials are made with.
    """

    signer: TokenSigner
    pass_keys: PassKeys
    token_ttl_seconds: int
    pass_ttl_seconds: int
    now_ms: NowMs


class Provisioned(msgspec.Struct, frozen=True, kw_only=True, rename={"pass_": "pass"}):
    """
    An account ready to reserve: one line of the file.
    """

    account_id: str
    username: str
    person_ids: tuple[str, ...]
    access_token: str
    pass_: str


async def provision(
    database: Database, crowd: Crowd, *, vault: Vault, issuing: Issuing, password_hash: str, persons_max: int
) -> AsyncIterator[list[Provisioned]]:
    """
    Yields the accounts in batches, each committed before it is yielded.
    """
    stream = households(seed=crowd.seed, smallest=crowd.smallest, largest=crowd.largest)
    remaining = crowd.accounts
    while remaining > 0:
        batch = list(itertools.islice(stream, min(BATCH_ACCOUNTS_MAX, remaining)))
        remaining -= len(batch)
        async with database.transaction() as connection:
            people = await _create(connection, batch, vault, password_hash=password_hash, persons_max=persons_max)
            await accounts.add_roles(connection, [_account_id(house) for house in batch], crowd.roles)
        yield [_issued(house, people[_account_id(house)], issuing, crowd.roles) for house in batch]


async def _create(
    connection: Connection, batch: Sequence[Household], vault: Vault, *, password_hash: str, persons_max: int
) -> dict[str, tuple[str, ...]]:
    registrations = [_registration(house, password_hash) for house in batch]
    await register_active(connection, registrations, vault=vault)
    account_ids = [ask.account_id for ask in registrations]
    strangers = set(account_ids) - (await persons.lock_families(connection, account_ids)).keys()
    if strangers:
        raise ProvisionRefused(f"{len(strangers)} usernames belong to others; take another --seed")
    asks = [ask for house in batch for ask in _family(house)]
    people: dict[str, list[str]] = {}
    for ask, outcome in zip(
        asks, await add_persons(connection, asks, vault=vault, persons_max=persons_max), strict=True
    ):
        if isinstance(outcome, Refusal):
            raise ProvisionRefused(f"{ask.account_id}: {outcome.value}; take another --seed")
        people.setdefault(ask.account_id, []).append(outcome.person_id)
    return {account_id: tuple(ids) for account_id, ids in people.items()}


def _account_id(house: Household) -> str:
    return derived("acc", "provision", house.username)


def _registration(house: Household, password_hash: str) -> Register:
    return Register(
        account_id=_account_id(house),
        username=house.username,
        password_hash=password_hash,
        nik=house.members[0].nik,
        phone=house.phone,
        email=house.email,
        address=house.address,
        locale="id",
    )


def _family(house: Household) -> list[AddPerson]:
    asks = []
    for member in house.members:
        parsed = nik.parse(member.nik)
        assert parsed is not None  # noqa: S101 - the generator composes them
        asks.append(
            AddPerson(
                account_id=_account_id(house),
                nik=parsed,
                family_card_number=house.family_card_number,
                full_name=member.full_name,
                birth_date=member.birth_date,
                relation=member.relation,
                verified=True,
            )
        )
    return asks


def _issued(house: Household, person_ids: tuple[str, ...], issuing: Issuing, roles: tuple[str, ...]) -> Provisioned:
    account_id, now_ms = _account_id(house), issuing.now_ms()
    return Provisioned(
        account_id=account_id,
        username=house.username,
        person_ids=person_ids,
        access_token=issuing.signer.issue(
            account_id=account_id,
            person_ids=person_ids,
            roles=roles,
            now_ms=now_ms,
            ttl_seconds=issuing.token_ttl_seconds,
        ),
        pass_=issuing.pass_keys.issue(
            account_id=account_id,
            person_ids=person_ids,
            expires_at_ms=now_ms + issuing.pass_ttl_seconds * 1000,
        ),
    )
