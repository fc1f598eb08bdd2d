"""
What each of quota's processes is configured by. Read once by `app.py`; a bad value stops the boot.
"""

import dataclasses
from typing import Final

from kernel.auth.passes import PassKeys
from kernel.settings import HttpSettings, KafkaSettings, ValkeySettings, variable

DISK: Final = "disk"
MEMORY: Final = "memory"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class DurabilitySettings:
    """
    What Valkey must promise.
    """

    durability: str = variable("VALKEY_DURABILITY", default=DISK)
    """`disk`: every acknowledged place is fsynced, verified at boot. `memory`: for load tests only."""

    def __post_init__(self) -> None:
        """
        Refuse a word that is neither.
        """
        if self.durability not in {DISK, MEMORY}:
            raise ValueError(f"VALKEY_DURABILITY must be {DISK} or {MEMORY}, got {self.durability!r}")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ApiSettings:
    """
    The hot path.
    """

    http: HttpSettings
    valkey: ValkeySettings
    keeping: DurabilitySettings
    pass_keys: str = variable("PASS_KEYS", secret=True)
    """`id:base64[,id:base64…]`, the same as identity's."""
    jwks_url: str = variable("JWKS_URL")
    sandbox: bool = variable("SANDBOX", default=False)
    decide_deadline_seconds: float = variable("QUOTA_DECIDE_DEADLINE_SECONDS", default=5.0, at_least=0.1, at_most=30)
    """An asker waits this long for a decision, then hears that its outcome is unknown. Shorter than the request's."""
    decisions_underway_max: int = variable("QUOTA_DECISIONS_UNDERWAY_MAX", default=2000, at_least=1, at_most=100000)
    """More at once than this are turned away before anything is asked of Valkey."""
    batch_max: int = variable("QUOTA_BATCH_MAX", default=128, at_least=1, at_most=500)
    """So many asks go to Valkey in one write. More would keep others' calls waiting there."""
    batch_lanes: int = variable("QUOTA_BATCH_LANES", default=2, at_least=1, at_most=16)
    """So many writes may be under way at once: a slow one holds up only the accounts of its lane."""

    def __post_init__(self) -> None:
        """
        Refuse keys that are none.
        """
        self.keys_of_passes()

    def keys_of_passes(self) -> PassKeys:
        """
        The keys, parsed.
        """
        return PassKeys.parse(self.pass_keys, variable="PASS_KEYS")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class BackstageSettings:
    """
    The worker and the relay.
    """

    valkey: ValkeySettings
    kafka: KafkaSettings
    keeping: DurabilitySettings


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RebuildSettings:
    """
    The commands that stop and restore.
    """

    valkey: ValkeySettings
    kafka: KafkaSettings
