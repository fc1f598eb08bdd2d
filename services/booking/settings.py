"""
Booking's settings: what its two processes and its commands read from the environment.

Loaded once by `app.py` and `__main__.py`.
"""

import dataclasses

from kernel.audit.settings import AuditSettings
from kernel.auth.tokens import signing_key
from kernel.settings import HttpSettings, KafkaSettings, PostgresSettings, variable
from services.booking.tickets import public_keys


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class MoveSettings:
    """
    How bookings are moved.
    """

    reschedules_max: int = variable("RESCHEDULES_MAX", default=1, at_least=0, at_most=10)
    """So often a holder may choose another time for a booking; the office's own moves do not count."""
    wait_seconds: float = variable("MOVE_WAIT_SECONDS", default=3.0, at_least=0.1, at_most=8)
    """So long a call waits for quota's answer before it says where to look; less than HTTP_DEADLINE_SECONDS."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CounterSettings:
    """
    What officers may give away at an office's counter, and how long their call waits for quota.
    """

    assisted_places_a_day: int = variable("ASSISTED_PLACES_A_DAY", default=10, at_least=0, at_most=10_000)
    """Per office and day of the visit: these places are taken from everybody's."""
    priority_places_a_day: int = variable("PRIORITY_PLACES_A_DAY", default=50, at_least=0, at_most=10_000)
    """Per office and day of the visit, besides what the channel has."""
    pay_seconds: int = variable("COUNTER_PAY_SECONDS", default=7200, at_least=60, at_most=7 * 86_400)
    """Walk-ins have until the end of their day; nobody has longer."""
    wait_seconds: float = variable("COUNTER_WAIT_SECONDS", default=3.0, at_least=0, at_most=8)
    """An answer comes within tens of milliseconds; who waits in vain is told where to look."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ApiSettings:
    """
    The process people ask.
    """

    http: HttpSettings
    postgres: PostgresSettings
    moves: MoveSettings
    counter: CounterSettings
    jwks_url: str = variable("JWKS_URL")
    """Where identity publishes the keys that check tokens."""
    ticket_public_keys: str = variable("TICKET_PUBLIC_KEYS", default="")
    """The `x` of every key at notify's `/v1/ticket-keys`, commas between. Empty: tickets cannot be read at the desk."""

    leaf_signing_key: str = variable("LEAF_SIGNING_KEY", secret=True)
    """Base64 of a 32-byte Ed25519 seed: signs what a desk keeps for hours without a network."""

    def __post_init__(self) -> None:
        """
        Refuse what is no key.
        """
        signing_key(self.leaf_signing_key, variable="LEAF_SIGNING_KEY")
        public_keys(self.ticket_public_keys)


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
    waitlist_hold_seconds: int = variable("WAITLIST_HOLD_SECONDS", default=1800, at_least=60, at_most=86_400)
    """So long an offer to the waitlist can be paid; then it passes on. Long enough to read a mail."""
    no_show_block_days: int = variable("NO_SHOW_BLOCK_DAYS", default=30, at_least=0, at_most=3650)
    """So many days after the day of the visit the people of a no-show may reserve again."""
    no_show_grace_seconds: float = variable("NO_SHOW_GRACE_SECONDS", default=3600.0, at_least=0, at_most=604_800)
    """A day is over so long after its last session: families still being called are no no-shows."""

    booklets_short_days: int = variable("BOOKLETS_SHORT_DAYS", default=3, at_least=0, at_most=60)
    """Somebody is called for confirmed visits of today and so many days more: so long a delivery takes."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CommandSettings:
    """
    The commands: they end when they are done.
    """

    postgres: PostgresSettings


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SandboxSettings:
    """
    The commands that bend time. Refused where real people are.
    """

    postgres: PostgresSettings
    sandbox: bool = variable("SANDBOX", default=False)
    no_show_block_days: int = variable("NO_SHOW_BLOCK_DAYS", default=30, at_least=0, at_most=3650)

    def __post_init__(self) -> None:
        """
        Refuse to end real people's days.
        """
        if not self.sandbox:
            raise ValueError("SANDBOX must be 1 for end-day: it ends a day that has not come")
