"""
Add people to accounts: one card per account, one account per NIK, up to a limit.

Called by the route with one ask and by `provision` with hundreds. Locks the families,
decides, writes; the unique NIK index is the arbiter between accounts that ask at once.
"""

import datetime as dt
from collections.abc import Sequence

import msgspec

from kernel.deadline import within
from kernel.errors import Retryable
from kernel.ids import fresh
from kernel.log import get_logger
from kernel.postgres import Connection
from services.identity import metrics
from services.identity.domain import nik
from services.identity.domain.family import Refusal
from services.identity.stores import persons
from services.identity.stores.persons import NewPerson, Owned
from services.identity.stores.registry import PopulationRegistry
from services.identity.stores.vault import Field, Index, Secret, Vault

log = get_logger(__name__)


class AddPerson(msgspec.Struct, frozen=True, kw_only=True):
    """
    Somebody to be added. `verified` is the registry's word, asked before.
    """

    account_id: str
    nik: nik.Nik
    family_card_number: str
    full_name: str
    birth_date: dt.date | None
    relation: str
    verified: bool


class Added(msgspec.Struct, frozen=True, kw_only=True):
    """
    A new person of the account.
    """

    person_id: str
    warnings: tuple[str, ...]


class AlreadyYours(msgspec.Struct, frozen=True, kw_only=True):
    """
    The account has had this person before; nothing was changed.
    """

    person_id: str
    warnings: tuple[str, ...]


Outcome = Added | AlreadyYours | Refusal


async def verified_by(
    registry: PopulationRegistry,
    *,
    digits: str,
    full_name: str,
    birth_date: dt.date | None,
    within_seconds: float,
) -> bool:
    """
    Whether the registry confirms a person. No answer leaves him unverified: nobody is refused for it.
    """
    try:
        asked = registry.confirms(digits, full_name, birth_date)
        return await within(within_seconds, asked, what="the population registry")
    except Retryable as error:
        metrics.registry_unanswered.inc()
        log.warning("registry_unanswered", error=type(error).__name__)
        return False


async def add_persons(
    connection: Connection, asks: Sequence[AddPerson], *, vault: Vault, persons_max: int
) -> list[Outcome]:
    """
    Add people in the caller's transaction. Returns an outcome per ask, in order.
    """
    indexes = [vault.index(Index.NIK, ask.nik.digits) for ask in asks]
    families = await persons.lock_families(connection, sorted({ask.account_id for ask in asks}))
    known = await persons.owners(connection, indexes)
    outcomes: list[Outcome | NewPerson] = []
    for ask, nik_index in zip(asks, indexes, strict=True):
        card_index = vault.index(Index.FAMILY_CARD, ask.family_card_number)
        family = families[ask.account_id]
        if nik_index in known:
            outcomes.append(_known(ask, known[nik_index]))
        elif refusal := family.refusal(card_index, size_max=persons_max):
            outcomes.append(refusal)
        else:
            families[ask.account_id] = family.joined_by(card_index)
            outcomes.append(_new(ask, nik_index, card_index))
    settled = await _insert(connection, list(zip(asks, outcomes, strict=True)), vault)
    for outcome in settled:
        metrics.persons.labels(_label(outcome)).inc()
    return settled


async def _insert(
    connection: Connection, decided: Sequence[tuple[AddPerson, Outcome | NewPerson]], vault: Vault
) -> list[Outcome]:
    new = [(ask, outcome) for ask, outcome in decided if isinstance(outcome, NewPerson)]
    if not new:
        return [outcome for _, outcome in decided if not isinstance(outcome, NewPerson)]
    added = await persons.insert(connection, [person for _, person in new])
    await vault.put(
        connection,
        [secret for ask, person in new if person.person_id in added for secret in _secrets(ask, person.person_id)],
    )
    lost = [person.nik_index for _, person in new if person.person_id not in added]
    owners = await persons.owners(connection, lost) if lost else {}
    settled: list[Outcome] = []
    for ask, outcome in decided:
        if not isinstance(outcome, NewPerson):
            settled.append(outcome)
        elif outcome.person_id in added:
            settled.append(Added(person_id=outcome.person_id, warnings=outcome.warnings))
        else:
            settled.append(_known(ask, owners[outcome.nik_index]))
    return settled


def _new(ask: AddPerson, nik_index: bytes, card_index: bytes) -> NewPerson:
    return NewPerson(
        person_id=fresh("per"),
        account_id=ask.account_id,
        nik_index=nik_index,
        card_index=card_index,
        relation=ask.relation,
        verified=ask.verified,
        warnings=nik.warnings(ask.nik, ask.birth_date),
    )


def _known(ask: AddPerson, owned: Owned) -> AlreadyYours | Refusal:
    if owned.account_id == ask.account_id:
        return AlreadyYours(person_id=owned.person_id, warnings=owned.warnings)
    return Refusal.BELONGS_ELSEWHERE


def _secrets(ask: AddPerson, person_id: str) -> list[Secret]:
    values = {
        Field.NIK: ask.nik.digits,
        Field.FAMILY_CARD: ask.family_card_number,
        Field.FULL_NAME: ask.full_name,
    }
    if ask.birth_date is not None:
        values[Field.BIRTH_DATE] = ask.birth_date.isoformat()
    return [Secret(owner_id=person_id, field=field, value=value) for field, value in values.items()]


def _label(outcome: Outcome) -> str:
    if isinstance(outcome, Refusal):
        return outcome.value
    return "added" if isinstance(outcome, Added) else "already_yours"
