"""
What each of quota's processes is configured by. Read once by `app.py`; a bad value stops the boot.
"""

import dataclasses
from typing import Final

from kernel.auth.passes import PassKeys
from kernel.settings import HttpSettings, KafkaSettings, ValkeySettings, variable

FSYNC: Final = "fsync"
MEMORY: Final = "memory"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class DurabilitySettings:
    """
    What Valkey must promise.
    """

    durability: str = variable("VALKEY_DURABILITY", default=FSYNC)
    """`fsync`: every acknowledged place is fsynced, verified at boot. `memory`: for load tests only."""
    replicas_min: int = variable("VALKEY_REPLICAS_MIN", default=0, at_least=0, at_most=5)
    """So many replicas have heard of a place before it is acknowledged; while there are fewer, none is."""

    def __post_init__(self) -> None:
        """
        Refuse a word that is neither.
        """
        if self.durability not in {FSYNC, MEMORY}:
            raise ValueError(f"VALKEY_DURABILITY must be {FSYNC} or {MEMORY}, got {self.durability!r}")


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
    decisions_underway_min: int = variable("QUOTA_DECISIONS_UNDERWAY_MIN", default=256, at_least=1, at_most=100000)
    """So many are always let in: `batch_max` x `batch_lanes`, so that a slow Valkey is still used whole."""
    decision_target_seconds: float = variable("QUOTA_DECISION_TARGET_SECONDS", default=0.2, at_least=0.01, at_most=5)
    """Decisions that take longer shrink the limit: so many are let in as can be decided within this."""
    batch_max: int = variable("QUOTA_BATCH_MAX", default=128, at_least=1, at_most=500)
    """So many asks go to Valkey in one write. More would keep others' calls waiting there."""
    batch_lanes: int = variable("QUOTA_BATCH_LANES", default=2, at_least=1, at_most=16)
    """So many calls may be under way at once: a slow one is overtaken."""
    stream_listeners_max: int = variable("QUOTA_STREAM_LISTENERS_MAX", default=2000, at_least=0, at_most=100000)
    """More open streams of availability than this are turned away. Each costs up to about 100 KB."""
    stream_listeners_per_office_max: int = variable(
        "QUOTA_STREAM_LISTENERS_PER_OFFICE_MAX", default=500, at_least=0, at_most=100000
    )
    stream_write_seconds: float = variable("QUOTA_STREAM_WRITE_SECONDS", default=5.0, at_least=0.1, at_most=60)
    """A listener that has not taken what it is sent by then loses its stream."""

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
    The worker.
    """

    valkey: ValkeySettings
    kafka: KafkaSettings
    keeping: DurabilitySettings


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RelaySettings:
    """
    The relay.
    """

    valkey: ValkeySettings
    kafka: KafkaSettings
    keeping: DurabilitySettings
    lease_seconds: float = variable("QUOTA_RELAY_LEASE_SECONDS", default=3.0, at_least=0.2, at_most=60)
    """Renewed three times in it. So long a relay that has died keeps its partitions untold."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ReturnSettings:
    """
    How long a place that came back waits until it is offered again, where its office publishes no times.
    """

    delay_seconds_min: float = variable("RETURN_DELAY_SECONDS_MIN", default=60.0, at_least=0, at_most=86400)
    delay_seconds_max: float = variable("RETURN_DELAY_SECONDS_MAX", default=1800.0, at_least=0, at_most=86400)
    """The wider the range, the less a hint of the moment it came back is worth."""

    def __post_init__(self) -> None:
        """
        Refuse a range that is none.
        """
        if self.delay_seconds_min > self.delay_seconds_max:
            raise ValueError(
                f"RETURN_DELAY_SECONDS_MIN must be at most RETURN_DELAY_SECONDS_MAX, got {self.delay_seconds_min} "
                f"and {self.delay_seconds_max}"
            )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings:
    """
    The worker: what is behind the stage, and when places come back.
    """

    backstage: BackstageSettings
    returns: ReturnSettings


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RebuildSettings:
    """
    The commands that stop and restore.
    """

    valkey: ValkeySettings
    kafka: KafkaSettings
