"""
Activate an account by the link from the mail.

Called by the route. The token is its own idempotency key: opened twice, the link says the
same. An address belongs to whoever activates with it first.
"""

import enum

import msgspec

from kernel import outbox
from kernel.log import get_logger
from kernel.postgres import Connection
from services.identity import metrics
from services.identity.stores import accounts
from services.identity.stores.vault import Field, Vault
from services.identity.use_cases.register import activated

log = get_logger(__name__)


class Active(msgspec.Struct, frozen=True):
    """
    The account can be used, now or already before.
    """

    account_id: str


class LinkRefused(enum.Enum):
    """
    Why a link activates nothing.
    """

    UNKNOWN = "unknown"
    EXPIRED = "expired"


async def activate(connection: Connection, token: str, *, vault: Vault) -> Active | LinkRefused:
    """
    Activate in the caller's transaction, or say why not.
    """
    account_id = await accounts.lock_activation(connection, token)
    if account_id is None:
        return LinkRefused.UNKNOWN
    locale = await accounts.activate(connection, account_id, token)
    if locale is None:
        account = await accounts.by_id(connection, account_id)
        already = account is not None and account.state == accounts.ACTIVE
        return Active(account_id) if already else LinkRefused.EXPIRED
    opened = await vault.read(connection, [account_id], [Field.EMAIL])
    at_ms = await accounts.now_ms(connection)
    message = activated(account_id, email=opened[account_id, Field.EMAIL], locale=locale, at_ms=at_ms)
    await outbox.append(connection, [message])
    metrics.accounts_active.inc()
    log.info("account_activated", account_id=account_id)
    return Active(account_id)
