"""
The table of service processes: which there are, and what each waits for.

Read by the stack, by `status` and by whoever wants to kill one of them by name.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Final

from kernel.crew import WORKERS_MAX
from ops import keyring
from ops.errors import StackError
from ops.programs import Program


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """
    One process of one room.
    """

    room: str
    role: str
    what: str
    needs: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """As `status`, `logs` and the demo call it."""
        return f"{self.room}-{self.role}"

    @property
    def http_variable(self) -> str:
        """The variable that sets its HTTP port; only an api has one."""
        return f"{self.name.upper().replace('-', '_')}_HTTP_PORT"

    @property
    def admin_variable(self) -> str:
        """The variable that sets its admin port."""
        return f"{self.name.upper().replace('-', '_')}_ADMIN_PORT"


# Whoever checks tokens fetches identity's public keys while booting.
_KEYS: Final = ("identity-api",)

SERVICES: Final = (
    Service(room="identity", role="api", what="accounts, families, tokens"),
    Service(room="identity", role="worker", what="announces accounts, hears of visits"),
    Service(room="quota", role="api", what="takes reservations", needs=_KEYS),
    Service(room="quota", role="worker", what="loads slots, gives places back"),
    Service(room="quota", role="relay", what="carries decisions to Kafka"),
    Service(room="booking", role="api", what="offices and bookings", needs=_KEYS),
    Service(room="booking", role="worker", what="records, expires, announces"),
    Service(room="payment", role="api", what="invoices and bank callbacks", needs=_KEYS),
    Service(room="payment", role="worker", what="issues billing codes"),
    Service(room="notify", role="api", what="tickets", needs=_KEYS),
    Service(room="notify", role="worker", what="sends mails"),
)

MIGRATING_ROOMS: Final = ("booking", "payment", "notify", "identity")

_HTTP_FIRST: Final = 18101
_ADMIN_FIRST: Final = 18201


def chosen(which: bool | Iterable[str]) -> tuple[Service, ...]:  # noqa: FBT001  # True and False read as all and none
    """
    All services, none, or those named.
    """
    if isinstance(which, bool):
        return SERVICES if which else ()
    names = set(which)
    unknown = names - {service.name for service in SERVICES}
    if unknown:
        raise StackError(f"there is no service {', '.join(sorted(unknown))}")
    return tuple(service for service in SERVICES if service.name in names)


def usual_ports() -> dict[str, int]:
    """
    The default port of every service's doors, by variable.
    """
    ports: dict[str, int] = {}
    for index, service in enumerate(SERVICES):
        if service.role == "api":
            ports[service.http_variable] = _HTTP_FIRST + index
        ports[service.admin_variable] = _ADMIN_FIRST + index
    return ports


def workers(environ: Mapping[str, str]) -> dict[str, int]:
    """
    How many workers the services have that may have more than one, by the variable of their first admin port.
    """
    raw = environ.get("QUOTA_API_WORKERS") or "1"
    if not raw.isdecimal() or not 1 <= int(raw) <= WORKERS_MAX:
        raise StackError(f"QUOTA_API_WORKERS must be 1..{WORKERS_MAX}, got {raw!r}")
    return {"QUOTA_API_ADMIN_PORT": int(raw)}


def program(service: Service, *, python: str, env: Mapping[str, str], ports: Mapping[str, int]) -> Program:
    """
    The service as the supervisor runs it, with its own secrets and nobody else's.
    """
    admin_port = ports[service.admin_variable]
    http_port = ports.get(service.http_variable)
    own = {"ADMIN_PORT": str(admin_port), **({"HTTP_PORT": str(http_port)} if http_port else {})}
    crew = workers(env).get(service.admin_variable, 1)
    return Program(
        name=service.name,
        what=service.what,
        command=(
            *(python, "-m", f"services.{service.room}", service.role),
            *(("--workers", str(crew)) if crew > 1 else ()),
        ),
        env={**keyring.without_others(service.room, env), **own},
        probe=f"http://127.0.0.1:{admin_port}/readyz",
        port=http_port or admin_port,
        needs=service.needs,
    )


def migration(room: str, *, python: str, env: Mapping[str, str]) -> Program:
    """
    The run that brings a room's schema up to date.
    """
    return Program(
        name=f"{room}-migrate",
        what="schema",
        command=(python, "-m", f"services.{room}", "migrate"),
        env=keyring.without_others(room, env),
        probe="",
        port=0,
    )
