"""
What notify's processes are told by the environment.

Read once by `app.py` and `__main__.py`. Never a global.
"""

import dataclasses
from email.utils import parseaddr
from urllib.parse import urlsplit

from kernel.auth.tokens import signing_key
from kernel.settings import HttpSettings, KafkaSettings, PostgresSettings, variable


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TicketSettings:
    """
    The key that makes a ticket a ticket.
    """

    signing_key: str = variable("TICKET_SIGNING_KEY", secret=True)
    """Base64 of a 32-byte Ed25519 seed."""

    def __post_init__(self) -> None:
        """
        Refuse what is no key.
        """
        signing_key(self.signing_key, variable="TICKET_SIGNING_KEY")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class MailSettings:
    """
    The relay that delivers, and how it is used.
    """

    smtp_url: str = variable("SMTP_URL", secret=True)
    """`smtp://[user:password@]host:port`, or `smtps://` for TLS from the first byte."""
    mail_from: str = variable("MAIL_FROM")
    """The sender, such as `Antrean <antrean@example.go.id>`."""
    lookup_url: str = variable("MAIL_LOOKUP_URL", default="")
    """Where the provider says whether it has a Message-ID: `GET {base}/messages?message_id=`. Empty: it cannot."""
    public_url: str = variable("PUBLIC_URL")
    """The gateway as people see it, for links in mails."""
    connections_max: int = variable("SMTP_CONNECTIONS_MAX", default=4, at_least=1, at_most=32)
    call_timeout_seconds: float = variable("SMTP_CALL_TIMEOUT_SECONDS", default=5.0, at_least=0.1, at_most=60)
    lease_seconds: float = variable("MAIL_LEASE_SECONDS", default=20.0, at_least=1, at_most=600)
    """How long a sender may keep a mail; after it the mail is in doubt and somebody else's."""
    attempts_max: int = variable("MAIL_ATTEMPTS_MAX", default=10, at_least=1, at_most=100)
    """Tries that were refused or unanswered before a mail is given up and listed as failed."""

    def __post_init__(self) -> None:
        """
        Refuse addresses that are none, and a lease that one mail could outlive.
        """
        smtp = urlsplit(self.smtp_url)
        if smtp.scheme not in {"smtp", "smtps"} or not smtp.hostname:
            raise ValueError("SMTP_URL must be smtp://host:port or smtps://host:port")
        if "@" not in parseaddr(self.mail_from)[1]:
            raise ValueError(f"MAIL_FROM must be an address, got {self.mail_from!r}")
        if urlsplit(self.public_url).hostname is None:
            raise ValueError(f"PUBLIC_URL must be an address, got {self.public_url!r}")
        if self.lookup_url and urlsplit(self.lookup_url).hostname is None:
            raise ValueError(f"MAIL_LOOKUP_URL must be an address, got {self.lookup_url!r}")
        if self.lease_seconds < 2 * self.call_timeout_seconds:
            raise ValueError("MAIL_LEASE_SECONDS must be at least twice SMTP_CALL_TIMEOUT_SECONDS")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ApiSettings:
    """
    The process that hands out tickets.
    """

    http: HttpSettings
    postgres: PostgresSettings
    ticket: TicketSettings
    jwks_url: str = variable("JWKS_URL")
    """Identity's published keys."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings:
    """
    The process that hears events and sends mails.
    """

    postgres: PostgresSettings
    kafka: KafkaSettings
    mail: MailSettings
    ticket: TicketSettings


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TaskSettings:
    """
    One-shot commands: migrate, export.
    """

    postgres: PostgresSettings
