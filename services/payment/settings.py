"""
What payment's processes are told by the environment.

Read once by `app.py` and `__main__.py`. Never a global.
"""

import dataclasses
from urllib.parse import urlsplit

from kernel.audit.settings import AuditSettings
from kernel.settings import HttpSettings, KafkaSettings, PostgresSettings, variable
from services.payment import bank_keys
from services.payment.domain.access import Signer
from services.payment.domain.snap import Keys, Verifier

SANDBOX = "sandbox"
PARTNER_CHARACTERS_MAX = 36


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class BankSettings:
    """
    The banks that may report payments, how they sign, and where they are asked.
    """

    secrets: str = variable("BANK_SECRETS", secret=True)
    """
    `name:secret[,name:secret]`, shared with each bank, at least 16 characters each. A bank named again has another
    one that is good too: the first signs our inquiries. One that is taken out is refused from the next start on.
    """
    public_keys: str = variable("BANK_PUBLIC_KEYS", default="")
    """`name:key[,name:key]`, RSA keys in base64 DER. A bank named here is believed under SHA256withRSA alone."""
    inquiry_urls: str = variable("BANK_INQUIRY_URLS")
    """`name=address[,name=address]`: where each bank is asked. Every bank has one: a push alone moves nothing."""
    inquiry_timeout_seconds: float = variable("BANK_INQUIRY_TIMEOUT_SECONDS", default=1.5, at_least=0.1, at_most=5)
    """Longer is unknown, and asked again later. Below what a bank waits for the answer to its report."""
    partner_id: str = variable("BANK_PARTNER_ID", default="antrean")
    """Who we are to the banks."""
    token_urls: str = variable("BANK_TOKEN_URLS", default="")
    """
    `name=address[,name=address]`: banks that are called with an access token, and where they give it. To any other
    we are BANK_PARTNER_ID.
    """
    client_id: str = variable("BANK_CLIENT_ID", default="antrean")
    """Who we are where tokens are given: X-CLIENT-KEY."""
    client_key: str = variable("BANK_CLIENT_KEY", default="", secret=True)
    """Our RSA private key, base64 of PKCS 8 DER. Banks that give tokens have its public half."""
    callback_url: str = variable("BANK_CALLBACK_URL", default="")
    """The gateway's address of the sandbox bank's callback. Needed where SANDBOX=1."""
    callback_timeout_seconds: float = variable("BANK_CALLBACK_TIMEOUT_SECONDS", default=2.5, at_least=0.1, at_most=10)
    """For one try of the sandbox's bank; three tries fit into one request's deadline."""

    def __post_init__(self) -> None:
        """
        Refuse keys that are missing, short or no keys, and addresses that are none.
        """
        secrets, addresses = bank_keys.secrets_of(self.secrets), bank_keys.addresses_of(self.inquiry_urls)
        if not secrets:
            raise ValueError("BANK_SECRETS must name a bank")
        if strangers := set(bank_keys.public_keys_of(self.public_keys)) - set(secrets):
            raise ValueError(f"BANK_PUBLIC_KEYS names {sorted(strangers)}, which BANK_SECRETS does not")
        if set(addresses) != set(secrets):
            raise ValueError(f"BANK_INQUIRY_URLS must name the banks of BANK_SECRETS: {sorted(secrets)}")
        if not 0 < len(self.partner_id) <= PARTNER_CHARACTERS_MAX or not self.partner_id.isascii():
            raise ValueError("BANK_PARTNER_ID must have 1..36 characters of ASCII")
        self._check_tokens(set(secrets))
        if self.callback_url and not urlsplit(self.callback_url).hostname:
            raise ValueError(f"BANK_CALLBACK_URL must be an address, got {self.callback_url!r}")

    def _check_tokens(self, banks: set[str]) -> None:
        if strangers := set(self.token_addresses_by_bank()) - banks:
            raise ValueError(f"BANK_TOKEN_URLS names {sorted(strangers)}, which BANK_SECRETS does not")
        if self.token_urls and not self.client_key:
            raise ValueError("BANK_CLIENT_KEY is required where BANK_TOKEN_URLS names a bank")
        if self.client_key:
            bank_keys.client_key_of(self.client_key)
        if not 0 < len(self.client_id) <= PARTNER_CHARACTERS_MAX or not self.client_id.isascii():
            raise ValueError("BANK_CLIENT_ID must have 1..36 characters of ASCII")

    def keys_by_bank(self) -> dict[str, Keys]:
        """
        What each bank signs with.
        """
        public_keys = bank_keys.public_keys_of(self.public_keys)
        return {
            name: Keys(secrets=secrets, public_keys=public_keys.get(name, ()))
            for name, secrets in bank_keys.secrets_of(self.secrets).items()
        }

    def addresses_by_bank(self) -> dict[str, str]:
        """
        Where each bank is asked.
        """
        return bank_keys.addresses_of(self.inquiry_urls)

    def token_addresses_by_bank(self) -> dict[str, str]:
        """
        Where each bank that wants one gives its access token.
        """
        return bank_keys.addresses_of(self.token_urls, "BANK_TOKEN_URLS")

    def client_signer(self) -> Signer:
        """
        Signs as we do to be given a token. Raises `ValueError` without a key.
        """
        return bank_keys.signer_of(bank_keys.client_key_of(self.client_key))

    def client_verifier(self) -> Verifier:
        """
        Checks what `client_signer` signs: what a bank does with the public half of our key.
        """
        return bank_keys.verifier_of(bank_keys.client_key_of(self.client_key).public_key())


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
        if self.sandbox and SANDBOX not in self.bank.keys_by_bank():
            raise ValueError("BANK_SECRETS must name the bank `sandbox` where SANDBOX=1")
        if self.sandbox and self.bank.keys_by_bank()[SANDBOX].public_keys:
            raise ValueError("BANK_PUBLIC_KEYS cannot name `sandbox`: its bank signs with its secret")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings:
    """
    The process that follows bookings, tells of payments and asks banks again.
    """

    postgres: PostgresSettings
    kafka: KafkaSettings
    bank: BankSettings
    audit: AuditSettings


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TaskSettings:
    """
    One-shot commands: migrate, seed, export.
    """

    postgres: PostgresSettings
