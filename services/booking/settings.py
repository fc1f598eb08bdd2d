"""
Booking's settings: what its two processes and its commands read from the environment.

Loaded once by `app.py` and `__main__.py`.
"""

import dataclasses

from kernel.settings import HttpSettings, KafkaSettings, PostgresSettings, variable


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
class WorkerSettings:
    """
    The process that records, expires and tells.
    """

    postgres: PostgresSettings
    kafka: KafkaSettings
    partitions: int = variable("PARTITIONS", default=32, at_least=1, at_most=1024)
    """Quota's: of each it is said how far it is recorded, also when nothing is."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CommandSettings:
    """
    The commands: they end when they are done.
    """

    postgres: PostgresSettings
