"""
Register accounts: the holder's data goes to the vault, the link goes out by mail.

Called by the route with one ask and by `provision` with hundreds. Writes in the caller's
transaction. Whether an e-mail address already has an account is not to be seen from outside:
the answer is the same, only no link is made, and the username stays taken until the account is
erased as never activated.
"""

import secrets
from collections.abc import Sequence

import msgspec

from contracts.envelope import seal
from contracts.events import AccountActivated, AccountRegistered
from kernel import outbox
from kernel.kafka.message import Message
from kernel.log import get_logger
from kernel.postgres import Connection
from services.identity import metrics
from services.identity.domain.credentials import same_email
from services.identity.stores import accounts
from services.identity.stores.vault import Field, Index, Secret, Vault

SOURCE = "identity"
TOKEN_BYTES = 32
log = get_logger(__name__)


class Register(msgspec.Struct, frozen=True, kw_only=True):
    """
    Somebody's wish for an account, checked and with its password hashed.
    """

    account_id: str
    username: str
    password_hash: str
    nik: str
    phone: str
    """E.164."""
    email: str
    address: str
    locale: str


async def register(
    connection: Connection, asks: Sequence[Register], *, vault: Vault, activation_ttl_seconds: int
) -> set[str]:
    """
    Create accounts that wait for their link. Returns the ids of those created; the others' usernames are taken.
    """
    created = await _create(connection, asks, vault, state=accounts.PENDING)
    owned = await accounts.active_emails(connection, [_email_index(vault, ask) for ask in created])
    reachable = [ask for ask in created if _email_index(vault, ask) not in owned]
    tokens = {secrets.token_urlsafe(TOKEN_BYTES): ask.account_id for ask in reachable}
    await accounts.insert_activations(connection, tokens, ttl_seconds=activation_ttl_seconds)
    at_ms = await accounts.now_ms(connection)
    messages = [
        _registered(ask, token=token, at_ms=at_ms, activate_by_ms=at_ms + activation_ttl_seconds * 1000)
        for ask, token in zip(reachable, tokens, strict=True)
    ]
    await outbox.append(connection, messages)
    metrics.accounts_pending.inc(len(created))
    for ask in created:
        log.info("account_registered", account_id=ask.account_id)
    return {ask.account_id for ask in created}


async def register_active(connection: Connection, asks: Sequence[Register], *, vault: Vault) -> set[str]:
    """
    Create accounts that need no link, for sandboxes. Returns the ids of those created.
    """
    created = await _create(connection, asks, vault, state=accounts.ACTIVE)
    at_ms = await accounts.now_ms(connection)
    messages = [activated(ask.account_id, email=ask.email, locale=ask.locale, at_ms=at_ms) for ask in created]
    await outbox.append(connection, messages)
    metrics.accounts_active.inc(len(created))
    return {ask.account_id for ask in created}


def activated(account_id: str, *, email: str, locale: str, at_ms: int) -> Message:
    """
    The announcement that an account can be used.
    """
    return seal(
        AccountActivated(account_id=account_id, email=email, locale=locale, at_ms=at_ms),
        event_id=f"identity.{account_id}.activated",
        key=account_id,
        source=SOURCE,
    )


async def _create(connection: Connection, asks: Sequence[Register], vault: Vault, *, state: str) -> list[Register]:
    rows = [
        accounts.NewAccount(
            account_id=ask.account_id,
            username=ask.username,
            password_hash=ask.password_hash,
            locale=ask.locale,
            email_index=_email_index(vault, ask),
        )
        for ask in asks
    ]
    ids = await accounts.insert(connection, rows, state=state)
    created = [ask for ask in asks if ask.account_id in ids]
    await vault.put(connection, [secret for ask in created for secret in _secrets(ask)])
    return created


def _secrets(ask: Register) -> list[Secret]:
    values = {
        Field.HOLDER_NIK: ask.nik,
        Field.EMAIL: ask.email,
        Field.PHONE: ask.phone,
        Field.ADDRESS: ask.address,
    }
    return [Secret(owner_id=ask.account_id, field=field, value=value) for field, value in values.items()]


def _email_index(vault: Vault, ask: Register) -> bytes:
    return vault.index(Index.EMAIL, same_email(ask.email))


def _registered(ask: Register, *, token: str, at_ms: int, activate_by_ms: int) -> Message:
    event = AccountRegistered(
        account_id=ask.account_id,
        email=ask.email,
        locale=ask.locale,
        activation_token=token,
        activate_by_ms=activate_by_ms,
        at_ms=at_ms,
    )
    return seal(event, event_id=f"identity.{ask.account_id}.registered", key=ask.account_id, source=SOURCE)
