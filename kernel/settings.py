"""
Settings are frozen, documented dataclasses filled from the environment; a bad one stops the boot.

Called once by a room's wiring. Rooms declare fields with `variable`, this module
reads them. Never a global, never read at import time.
"""

import dataclasses
import math
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar, cast, get_type_hints

T = TypeVar("T")
_KEY = "variable"


class BadSettings(Exception):
    """
    The environment cannot be used. The message names every variable that is wrong and why.
    """


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """
    One environment variable: its name, its limits and whether it may be shown.
    """

    name: str
    at_least: float | None = None
    at_most: float | None = None
    secret: bool = False


def variable(
    name: str,
    *,
    default: Any = dataclasses.MISSING,
    at_least: float | None = None,
    at_most: float | None = None,
    secret: bool = False,
) -> Any:
    """
    Declare a dataclass field that comes from the environment variable `name`.
    """
    meta = {_KEY: Variable(name=name, at_least=at_least, at_most=at_most, secret=secret)}
    return dataclasses.field(default=default, metadata=meta)


def load(cls: type[T], environ: Mapping[str, str]) -> T:
    """
    Fill `cls`, and the settings dataclasses inside it. Raises `BadSettings` listing all faults at once.
    """
    faults: list[str] = []
    loaded = _load(cls, environ, faults)
    if faults:
        raise BadSettings("; ".join(faults))
    return cast("T", loaded)


def variables(cls: type) -> Iterator[Variable]:
    """
    Every variable that `cls` and the settings inside it read.
    """
    hints = get_type_hints(cls)
    for field in dataclasses.fields(cls):
        if _KEY in field.metadata:
            yield field.metadata[_KEY]
        elif dataclasses.is_dataclass(hints[field.name]):
            yield from variables(hints[field.name])


def _load(cls: type, environ: Mapping[str, str], faults: list[str]) -> Any:
    hints = get_type_hints(cls)
    values: dict[str, Any] = {}
    faults_before = len(faults)
    for field in dataclasses.fields(cls):
        if _KEY in field.metadata:
            _read(field, hints[field.name], environ, values, faults)
        elif dataclasses.is_dataclass(hints[field.name]):
            values[field.name] = _load(hints[field.name], environ, faults)
    if len(faults) > faults_before:
        return None
    try:
        return cls(**values)
    except ValueError as error:
        faults.append(str(error))
        return None


def _read(
    field: dataclasses.Field[Any], kind: Any, environ: Mapping[str, str], values: dict[str, Any], faults: list[str]
) -> None:
    spec: Variable = field.metadata[_KEY]
    raw = environ.get(spec.name)
    if raw is None or raw == "":
        if field.default is dataclasses.MISSING:
            faults.append(f"{spec.name} is required and not set")
        return
    try:
        value = _convert(raw, kind)
    except ValueError as error:
        faults.append(f"{spec.name} {error}" + ("" if spec.secret else f", got {raw!r}"))
        return
    if isinstance(value, int | float) and not _inside(value, spec):
        faults.append(f"{spec.name} must be {_limits(spec)}" + ("" if spec.secret else f", got {value}"))
        return
    values[field.name] = value


def _inside(value: float, spec: Variable) -> bool:
    return (spec.at_least is None or value >= spec.at_least) and (spec.at_most is None or value <= spec.at_most)


def _limits(spec: Variable) -> str:
    if spec.at_most is None:
        return f"at least {spec.at_least}"
    return f"at most {spec.at_most}" if spec.at_least is None else f"{spec.at_least}..{spec.at_most}"


def _convert(raw: str, kind: Any) -> Any:
    if kind is bool:
        if raw.lower() in {"1", "true", "yes"}:
            return True
        if raw.lower() in {"0", "false", "no"}:
            return False
        raise ValueError("must be 0 or 1")
    if kind in {int, float}:
        try:
            number = kind(raw)
        except ValueError:
            raise ValueError("must be a number" if kind is float else "must be a whole number") from None
        if not math.isfinite(number):
            raise ValueError("must be a number")
        return number
    return raw


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class HttpSettings:
    """
    The door to the street. Behind a gateway, never on the internet itself.
    """

    host: str = variable("HTTP_HOST", default="127.0.0.1")
    port: int = variable("HTTP_PORT", at_least=0, at_most=65535)
    """0 takes a free one."""
    request_deadline_seconds: float = variable("HTTP_DEADLINE_SECONDS", default=10.0, at_least=0.1, at_most=60)
    """Work not done by then is answered 503; its outcome is unknown."""
    body_bytes_max: int = variable("HTTP_BODY_BYTES_MAX", default=65536, at_least=1024, at_most=1048576)
    header_bytes_max: int = variable("HTTP_HEADER_BYTES_MAX", default=8192, at_least=1024, at_most=65536)
    """The request line, and each header, may be this long: as long as the gateway lets them be."""
    connections_max: int = variable("HTTP_CONNECTIONS_MAX", default=4096, at_least=1, at_most=65536)
    """One more is told 503 and closed. Each takes a file descriptor and about 10 kB."""
    head_timeout_seconds: float = variable("HTTP_HEAD_TIMEOUT_SECONDS", default=5.0, at_least=0.1, at_most=60)
    """From a connection's first moment, or the first byte of a further request, to the end of its head."""
    body_timeout_seconds: float = variable("HTTP_BODY_TIMEOUT_SECONDS", default=5.0, at_least=0.1, at_most=60)
    """From the end of the head to the end of the body."""
    answer_timeout_seconds: float = variable("HTTP_ANSWER_TIMEOUT_SECONDS", default=15.0, at_least=0.1, at_most=300)
    """A client that takes nothing of its answer for so long is cut off."""
    keepalive_seconds: float = variable("HTTP_KEEPALIVE_SECONDS", default=75.0, at_least=0.1, at_most=3600)
    """
    An idle connection is closed after this. Longer than the gateway keeps one (60 s): who sends requests must let go
    first, or one day it sends a request into a connection that is being closed, and cannot know what became of it.
    """


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ProcessSettings:
    """
    What every process has: a log, an admin port and a way to end.
    """

    admin_host: str = variable("ADMIN_HOST", default="127.0.0.1")
    admin_port: int = variable("ADMIN_PORT", at_least=0, at_most=65535)
    log_level: str = variable("LOG_LEVEL", default="info")
    drain_notice_seconds: float = variable("DRAIN_NOTICE_SECONDS", default=0.2, at_least=0, at_most=60)
    """How long readiness says no before listening stops: a probe period in production."""
    drain_timeout_seconds: float = variable("DRAIN_TIMEOUT_SECONDS", default=6.0, at_least=0, at_most=60)
    """How long running requests may still take."""

    def __post_init__(self) -> None:
        """
        Refuse a level the log does not know.
        """
        if self.log_level not in {"debug", "info", "warning", "error"}:
            raise ValueError(f"LOG_LEVEL must be debug, info, warning or error, got {self.log_level!r}")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PostgresSettings:
    """
    One database, a schema per room.
    """

    url: str = variable("DATABASE_URL", secret=True)
    connections_max: int = variable("POSTGRES_CONNECTIONS_MAX", default=8, at_least=2, at_most=100)
    """Per process. Processes x this stays below the server's max_connections less 20 for people."""
    command_timeout_seconds: float = variable("POSTGRES_COMMAND_TIMEOUT_SECONDS", default=10.0, at_least=0.1)
    acquire_timeout_seconds: float = variable("POSTGRES_ACQUIRE_TIMEOUT_SECONDS", default=5.0, at_least=0.1)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class KafkaSettings:
    """
    The broker that tells.
    """

    bootstrap: str = variable("KAFKA_BOOTSTRAP")
    call_timeout_seconds: float = variable("KAFKA_CALL_TIMEOUT_SECONDS", default=10.0, at_least=0.5, at_most=120)
    """After this a producer or consumer is abandoned and made anew; what it did is unknown."""
    stall_seconds: float = variable("KAFKA_STALL_SECONDS", default=20.0, at_least=1, at_most=600)
    """A consumer with lag and no movement for this long is restarted."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ValkeySettings:
    """
    The store that decides.
    """

    url: str = variable("VALKEY_URL", secret=True)
    call_timeout_seconds: float = variable("VALKEY_CALL_TIMEOUT_SECONDS", default=2.0, at_least=0.05, at_most=30)
    connections_max: int = variable("VALKEY_CONNECTIONS_MAX", default=32, at_least=1, at_most=1000)
    partitions: int = variable("PARTITIONS", default=32, at_least=1, at_most=1024)
    """Fixed at installation: a slot's partition follows from its office."""
