"""
What a stack consists of, worked out before anything starts.

Called once by the stack: chooses ports, draws secrets, and turns the order (which
services, which Kafka, what is given by URL) into programs in the waves they start in.
Prepares folders on the way; starts no program that stays.
"""

import dataclasses
import json
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from ops import environment, gateway, kafka, keyring, ports, postgres, real_kafka, services, valkey
from ops.errors import StackError
from ops.programs import Program
from ops.state import PROJECT, StateDir, read_json, write_atomically

REMARKS_MAX: Final = 6


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """
    What the caller asked for.
    """

    environ: Mapping[str, str]
    services: bool | Iterable[str]
    kafka: str | None
    """embedded, real, host:port, or None: KAFKA_BOOTSTRAP if set, else embedded."""
    free_ports: bool


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Drawn:
    env: Mapping[str, str]
    ports: Mapping[str, int]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Blueprint:
    """
    The stack as it will stand.
    """

    env: Mapping[str, str]
    ports: Mapping[str, int]
    kafka: kafka.Kind
    stores: tuple[Program, ...]
    migrations: tuple[Program, ...]
    services: tuple[Program, ...]
    gateway: tuple[Program, ...]

    @property
    def programs(self) -> tuple[Program, ...]:
        """All that stay running, in the order they start."""
        return (*self.stores, *self.services, *self.gateway)


def draw(state: StateDir, order: Order, say: Callable[[str], None], promises: ports.Promises) -> Blueprint:
    """
    Work the order out on this machine, now.
    """
    kind, environ = _broker(order)
    chosen = services.chosen(order.services)
    plan = _ports(state, order, environ, promises)
    promised = plan.ports
    say_remarks(plan.remarks, say)
    env = environment.build(environ, promised, keyring.load(state.secrets, environ))
    write_atomically(state.environment, json.dumps(env), mode=0o600)
    rooms = {service.room for service in chosen}
    return Blueprint(
        env=env,
        ports=promised,
        kafka=kind,
        stores=tuple(_stores(state, order, kind, _Drawn(env=env, ports=promised), say)),
        migrations=tuple(
            services.migration(room, python=sys.executable, env=env)
            for room in services.MIGRATING_ROOMS
            if room in rooms
        ),
        services=tuple(services.program(service, python=sys.executable, env=env, ports=promised) for service in chosen),
        gateway=(_gateway(state, env, promised),) if chosen else (),
    )


def usual_ports() -> dict[str, int]:
    """
    The default of every port a stack can need, by variable.
    """
    return {**ports.STORES, **services.usual_ports()}


def _broker(order: Order) -> tuple[kafka.Kind, dict[str, str]]:
    environ = dict(order.environ)
    asked = order.kafka or environ.get("KAFKA_BOOTSTRAP") or "embedded"
    if asked in {"embedded", "real"}:
        environ.pop("KAFKA_BOOTSTRAP", None)
        return ("real" if asked == "real" else "embedded"), environ
    if ":" not in asked:
        raise StackError(f"Kafka must be embedded, real or host:port, got {asked!r}")
    return "given", {**environ, "KAFKA_BOOTSTRAP": asked}


def say_remarks(remarks: list[str], say: Callable[[str], None]) -> None:
    """
    A line for each, unless another stack runs here and nearly every port is another one.
    """
    if len(remarks) > REMARKS_MAX:
        say(f"  {len(remarks)} usual ports are taken, using others: `antrean status` shows them")
        return
    for remark in remarks:
        say(f"  {remark}")


def _ports(state: StateDir, order: Order, environ: Mapping[str, str], promises: ports.Promises) -> ports.Plan:
    usual: dict[str, int | None] = dict(usual_ports())
    if order.free_ports:
        usual = dict.fromkeys(usual)
    saved = {name: int(port) for name, port in read_json(state.ports).items()}
    plan = ports.choose(usual, environ, saved, free=promises.take, widths=services.workers(environ))
    write_atomically(state.ports, json.dumps(plan.ports, indent=2))
    return plan


def _stores(
    state: StateDir, order: Order, kind: kafka.Kind, drawn: _Drawn, say: Callable[[str], None]
) -> Iterable[Program]:
    promised = drawn.ports
    if not order.environ.get("VALKEY_URL"):
        yield valkey.program(state.data("valkey"), port=promised["VALKEY_PORT"])
    if not order.environ.get("DATABASE_URL"):
        place = postgres.settle(state.data("postgres"), say=lambda line: say(f"  {line}"))
        yield postgres.program(place, port=promised["POSTGRES_PORT"])
    # The embedded helpers are ours and need no secret.
    plain = {name: value for name, value in drawn.env.items() if name not in keyring.NAMES}
    if kind == "embedded":
        yield kafka.embedded(state.data("kafka"), port=promised["KAFKA_PORT"], python=sys.executable, env=plain)
    elif kind == "real":
        yield real_kafka.program(
            state.data("apache-kafka"),
            port=promised["KAFKA_PORT"],
            controller_port=promised["KAFKA_CONTROLLER_PORT"],
        )
    if not order.environ.get("SMTP_URL"):
        yield _mail(state, promised, plain)


def _mail(state: StateDir, promised: Mapping[str, int], env: Mapping[str, str]) -> Program:
    smtp_port, http_port = promised["SMTP_PORT"], promised["MAIL_PORT"]
    options = ("--folder", str(state.data("mail")), "--smtp-port", str(smtp_port), "--http-port", str(http_port))
    return Program(
        name="mail",
        what="keeps every mail for reading",
        command=(sys.executable, "-m", "ops.mailsink", *options),
        env=env,
        probe=f"http://127.0.0.1:{http_port}/messages?limit=0",
        port=http_port,
        cwd=PROJECT,
    )


_UPSTREAMS: Final = ("IDENTITY_API", "QUOTA_API", "BOOKING_API", "PAYMENT_API", "NOTIFY_API")


def _gateway(state: StateDir, env: Mapping[str, str], promised: Mapping[str, int]) -> Program:
    return gateway.program(
        state.data("gateway"),
        port=promised["GATEWAY_PORT"],
        upstreams={name: f"127.0.0.1:{promised[f'{name}_HTTP_PORT']}" for name in _UPSTREAMS},
        env={"PATH": env.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C"},
    )
