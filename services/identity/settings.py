"""
What identity's processes read from the environment: keys, lifetimes and limits.

Loaded once by `app.py`. A key of the wrong size stops the boot naming its variable,
and no key is ever shown.
"""

import base64
import binascii
import dataclasses

from kernel.audit.settings import AuditSettings
from kernel.auth.passes import PassKeys
from kernel.auth.tokens import signing_key
from kernel.settings import HttpSettings, KafkaSettings, PostgresSettings, variable

_KEY_BYTES = 32


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class VaultSettings:
    """
    The keys under which people's data lies.
    """

    keys: str = variable("VAULT_KEYS", secret=True)
    """`v2:<base64 32 bytes>,v1:…`: the first seals, all open. After a rotation: `rewrap`, then drop the old one."""
    index_key: str = variable("NIK_INDEX_KEY", secret=True)
    """Base64 of 32 bytes. Finds a NIK without opening the vault; changing it means a rebuild of the index."""

    def __post_init__(self) -> None:
        """
        Refuse keys of the wrong shape.
        """
        self.keys_by_version()
        self.index_key_bytes()

    def keys_by_version(self) -> dict[str, bytes]:
        """
        AES-256 keys by version, the current one first. Same notation, same check as for passes.
        """
        return PassKeys.parse(self.keys, variable="VAULT_KEYS").keys

    def index_key_bytes(self) -> bytes:
        """
        The key of the blind indexes. Raises `ValueError` naming the variable.
        """
        try:
            key = base64.b64decode(self.index_key, validate=True)
        except binascii.Error:
            key = b""
        if len(key) != _KEY_BYTES:
            raise ValueError("NIK_INDEX_KEY must be base64 of 32 bytes")
        return key


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CredentialSettings:
    """
    What tokens and passes are made with, and how long they are good.
    """

    jwt_signing_key: str = variable("JWT_SIGNING_KEY", secret=True)
    """Base64 of a 32-byte Ed25519 seed."""
    pass_keys: str = variable("PASS_KEYS", secret=True)
    """`k2:<base64 32 bytes>,k1:…`: the first signs. Quota holds the same list."""
    token_ttl_seconds: int = variable("TOKEN_TTL_SECONDS", default=3600, at_least=60, at_most=86400)
    """A stolen token works this long."""
    pass_ttl_seconds: int = variable("PASS_TTL_SECONDS", default=7200, at_least=60, at_most=86400)
    """Long enough to be fetched well before an opening and to outlast the rush."""

    def __post_init__(self) -> None:
        """
        Refuse keys of the wrong shape.
        """
        signing_key(self.jwt_signing_key, variable="JWT_SIGNING_KEY")
        PassKeys.parse(self.pass_keys, variable="PASS_KEYS")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class AccountSettings:
    """
    Rules of accounts that offices have changed before and will change again.
    """

    activation_ttl_seconds: int = variable("ACTIVATION_TTL_SECONDS", default=86400, at_least=60, at_most=604800)
    """How long the link in the mail works."""
    persons_max: int = variable("PERSONS_PER_ACCOUNT_MAX", default=5, at_least=1, at_most=10)
    """People of one family card per account."""
    login_attempts_max: int = variable("LOGIN_ATTEMPTS_MAX", default=10, at_least=1, at_most=1000)
    """Attempts per username and window; a success starts over."""
    login_window_seconds: int = variable("LOGIN_WINDOW_SECONDS", default=900, at_least=1, at_most=86400)
    pending_keep_seconds: int = variable("PENDING_ACCOUNT_KEEP_SECONDS", default=604800, at_least=3600)
    """Accounts never activated are erased after this, and their usernames are free again."""
    registry_timeout_seconds: float = variable("REGISTRY_TIMEOUT_SECONDS", default=3.0, at_least=0.1, at_most=9)
    """No answer by then leaves a person unverified; nobody is refused for it."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PasswordSettings:
    """
    How much of the machine password hashing may take.
    """

    workers: int = variable("PASSWORD_WORKERS", default=2, at_least=1, at_most=64)
    """Threads that hash; one fills one core."""
    waiting_max: int = variable("PASSWORD_WAITING_MAX", default=64, at_least=0, at_most=10000)
    """More than this waiting are told to come back: 64 at 35 ms on 2 threads are 1.1 s."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class VisitSettings:
    """
    What is kept of who was awaited where.
    """

    keep_days: int = variable("VISITS_KEEP_DAYS", default=3, at_least=1, at_most=90)
    """Names can be read on the day alone; the rest is for an event that comes late, and for whoever looks into it."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ApiSettings:
    """
    The api process.
    """

    http: HttpSettings
    postgres: PostgresSettings
    vault: VaultSettings
    credentials: CredentialSettings
    accounts: AccountSettings
    passwords: PasswordSettings
    sandbox: bool = variable("SANDBOX", default=False)
    """Whether the population registry is played; without it and without a registry, nobody is verified."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings:
    """
    The worker process.
    """

    postgres: PostgresSettings
    kafka: KafkaSettings
    accounts: AccountSettings
    visits: VisitSettings
    audit: AuditSettings


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ProvisionSettings:
    """
    The bulk creation of sandbox accounts.
    """

    postgres: PostgresSettings
    vault: VaultSettings
    credentials: CredentialSettings
    accounts: AccountSettings
    sandbox: bool = variable("SANDBOX", default=False)

    def __post_init__(self) -> None:
        """
        Refuse to invent people where real ones live.
        """
        if not self.sandbox:
            raise ValueError("SANDBOX must be 1 for provision: it creates people who do not exist")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RewrapSettings:
    """
    The re-encryption after a key rotation.
    """

    postgres: PostgresSettings
    vault: VaultSettings
