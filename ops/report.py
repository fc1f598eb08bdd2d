"""
What a running stack tells the outside: the status file, and the words around it.

Written by the stack whenever a program starts or ends, read by `status`, `logs`,
`doctor` and a second `up`. Holds addresses and process ids, never secrets.
"""

import dataclasses
import json
import os
from collections.abc import Mapping
from typing import Any, Final

from ops.blueprint import Blueprint
from ops.programs import Program
from ops.state import StateDir, write_atomically
from ops.supervisor import Supervisor

METRICS_OF: Final = "metrics"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """
    One program as the status file tells it.
    """

    name: str
    what: str
    probe: str
    port: int
    pid: int | None
    restarts: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """
    The status file.
    """

    supervisor_pid: int
    began: float
    ready: bool
    kafka: str
    urls: Mapping[str, str]
    programs: tuple[Entry, ...]

    @classmethod
    def of(cls, drawn: Blueprint, supervisor: Supervisor, *, began: float, ready: bool) -> "Report":
        """
        The stack as it is now.
        """
        return cls(
            supervisor_pid=os.getpid(),
            began=began,
            ready=ready,
            kafka=drawn.kafka,
            urls=_urls(drawn),
            programs=tuple(_entry(program, supervisor) for program in drawn.programs),
        )

    @classmethod
    def read(cls, state: StateDir) -> "Report | None":
        """
        What was last written, None before the first start.
        """
        raw: dict[str, Any] = state.read_status()
        if not raw:
            return None
        return cls(**{**raw, "programs": tuple(Entry(**entry) for entry in raw["programs"])})

    def write(self, state: StateDir) -> None:
        """
        Replace the status file.
        """
        write_atomically(state.status, json.dumps(dataclasses.asdict(self), indent=2))

    def welcome(self, state: StateDir) -> str:
        """
        Where to look and what to try.
        """
        lines = [f"  {name:<10} {url}" for name, url in self.urls.items()]
        if state.logins.exists():
            lines += ["", "Demo logins:", *(f"  {line}" for line in state.logins.read_text().splitlines())]
        if "page" in self.urls:
            lines += ["", "Try:", "  antrean seed", "  antrean window open --in 30s"]
            if state.logins.exists():
                name, password = state.logins.read_text().split()[:2]
                lines.append(
                    f"""  curl {self.urls["API"]}tokens -d '{{"username": "{name}", "password": "{password}"}}'"""
                )
            lines += [f"  curl {self.urls['API']}offices", "  antrean status, logs, doctor; antrean down ends it"]
        return "\n".join(lines)


def _urls(drawn: Blueprint) -> dict[str, str]:
    urls: dict[str, str] = {}
    if drawn.gateway:
        public = drawn.env["PUBLIC_URL"]
        urls |= {"page": f"{public}/", "API": f"{public}/v1/", "OpenAPI": f"{public}/openapi.json"}
    if "MAIL_LOOKUP_URL" in drawn.env:
        urls["mails"] = f"{drawn.env['MAIL_LOOKUP_URL']}/"
    urls |= {name: drawn.env[variable] for name, variable in _STORES.items()}
    if drawn.services:
        urls[METRICS_OF] = drawn.services[0].probe.replace("/readyz", "/metrics") + " and every admin port of `status`"
    return urls


_STORES: Final = {"Valkey": "VALKEY_URL", "Postgres": "DATABASE_URL", "Kafka": "KAFKA_BOOTSTRAP"}


def _entry(program: Program, supervisor: Supervisor) -> Entry:
    keeper = supervisor.keepers.get(program.name)
    return Entry(
        name=program.name,
        what=program.what,
        probe=program.probe,
        port=program.port,
        pid=keeper.pid if keeper else None,
        restarts=keeper.restarts if keeper else 0,
    )
