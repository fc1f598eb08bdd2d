"""
The settings of a room's audit log: which key signs, which keys have signed.

Loaded by the rooms that keep one, and by the command that checks it.
"""

import dataclasses

from kernel.audit.chain import CheckingKeys, SealingKey
from kernel.settings import PostgresSettings, variable


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
class AuditLogSettings:
    """
    The commands of the audit log: they need the keys as well.
    """

    postgres: PostgresSettings
    audit: AuditSettings
