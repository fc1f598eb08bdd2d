"""
Booking's settings: what its two processes and its commands read from the environment.

Loaded once by `app.py` and `__main__.py`.
"""

import dataclasses

from kernel.settings import HttpSettings, KafkaSettings, PostgresSettings, variable
from services.booking.domain.seals import CheckingKeys, SealingKey


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ApiSettings:
    """
    The process people ask.
    """

    http: HttpSettings
    postgres: PostgresSettings
    jwks_url: str = variable("JWKS_URL")
    """Where identity publishes the keys that check tokens."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class AuditSettings:
    """
    The keys of the audit log's heads.
    """

    signing_key: str = variable("AUDIT_SIGNING_KEY", secret=True)
    """Base64 of a 32-byte Ed25519 seed."""
    retired_keys: str = variable("AUDIT_RETIRED_KEYS", default="")
    """Public keys heads were signed with before, base64 by commas: what an old key has signed stays signed."""

    def __post_init__(self) -> None:
        """
        Refuse what is no key.
        """
        self.checking_keys()

    def key(self) -> SealingKey:
        """
        The key that signs. Raises `ValueError` naming the variable.
        """
        try:
            return SealingKey(self.signing_key)
        except ValueError as error:
            raise ValueError(f"AUDIT_SIGNING_KEY: {error}") from None

    def checking_keys(self) -> CheckingKeys:
        """
        Every key that a head may be signed with. Raises `ValueError` naming the variable.
        """
        key = self.key()
        try:
            return CheckingKeys([key.public, *filter(None, self.retired_keys.split(","))])
        except ValueError as error:
            raise ValueError(f"AUDIT_RETIRED_KEYS: {error}") from None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings:
    """
    The process that records, expires and tells.
    """

    postgres: PostgresSettings
    audit: AuditSettings
    kafka: KafkaSettings
    partitions: int = variable("PARTITIONS", default=32, at_least=1, at_most=1024)
    """Quota's: of each it is said how far it is recorded, also when nothing is."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CommandSettings:
    """
    The commands: they end when they are done.
    """

    postgres: PostgresSettings


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class AuditLogSettings:
    """
    The commands of the audit log: they need the keys as well.
    """

    postgres: PostgresSettings
    audit: AuditSettings
