"""
What payment's processes are told by the environment.

Read once by `app.py` and `__main__.py`. Never a global.
"""

import dataclasses
from urllib.parse import urlsplit

from kernel.settings import HttpSettings, KafkaSettings, PostgresSettings, variable

SECRET_CHARACTERS_MIN = 16


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class BankSettings:
    """
    The banks that may report payments, and where the sandbox's bank reports to.
    """

    secrets: str = variable("BANK_SECRETS", secret=True)
    """`name:secret[,name:secret]`, a shared secret per bank, at least 16 characters each."""
    callback_url: str = variable("BANK_CALLBACK_URL", default="")
    """The gateway's address of the sandbox bank's callback. Needed where SANDBOX=1."""
    callback_timeout_seconds: float = variable("BANK_CALLBACK_TIMEOUT_SECONDS", default=2.5, at_least=0.1, at_most=10)
    """For one try of the sandbox's bank; three tries fit into one request's deadline."""

    def __post_init__(self) -> None:
        """
        Refuse secrets that are missing or short, and an address that is none.
        """
        for part in self.secrets.split(","):
            name, _, secret = part.strip().partition(":")
            if not name.isidentifier() or len(secret) < SECRET_CHARACTERS_MIN:
                raise ValueError("BANK_SECRETS must be name:secret[,name:secret] with secrets of 16 characters or more")
        if self.callback_url and not urlsplit(self.callback_url).hostname:
            raise ValueError(f"BANK_CALLBACK_URL must be an address, got {self.callback_url!r}")

    def by_bank(self) -> dict[str, str]:
        """
        Secret by bank.
        """
        pairs = (part.strip().partition(":") for part in self.secrets.split(","))
        return {name: secret for name, _, secret in pairs}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ApiSettings:
    """
    The process that answers citizens and banks.
    """

    http: HttpSettings
    postgres: PostgresSettings
    bank: BankSettings
    jwks_url: str = variable("JWKS_URL")
    """Identity's published keys."""
    sandbox: bool = variable("SANDBOX", default=False)
    """Whether the sandbox's bank can be asked to pay."""

    def __post_init__(self) -> None:
        """
        Refuse a sandbox whose bank does not know where to report.
        """
        if self.sandbox and not self.bank.callback_url:
            raise ValueError("BANK_CALLBACK_URL is required where SANDBOX=1")
        if self.sandbox and "sandbox" not in self.bank.by_bank():
            raise ValueError("BANK_SECRETS must name the bank `sandbox` where SANDBOX=1")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings:
    """
    The process that follows bookings and tells of payments.
    """

    postgres: PostgresSettings
    kafka: KafkaSettings


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TaskSettings:
    """
    One-shot commands: migrate, seed, export.
    """

    postgres: PostgresSettings
