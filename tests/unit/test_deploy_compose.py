"""
The containers, read as compose reads them: complete, waiting for each other rightly, knowing only their own secrets.
"""

import importlib
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from kernel.settings import load
from ops.keyring import NAMES as SECRETS
from ops.keyring import OF_ROOM
from ops.services import MIGRATING_ROOMS, SERVICES

ROOT = Path(__file__).resolve().parents[2]
BLANK = re.compile(r"\$\{(\w+)(?::([-?])([^${}]*))?\}")
ENDED_WELL = "service_completed_successfully"
HEALTHY = "service_healthy"


def layers() -> Iterator[dict[str, Any]]:
    """
    The root file and what it includes.
    """
    root = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    yield root
    for layer in root["include"]:
        yield yaml.safe_load((ROOT / layer["path"]).read_text())


SERVED: dict[str, dict[str, Any]] = {
    name: service for layer in layers() for name, service in layer.get("services", {}).items()
}
VOLUMES = {name for layer in layers() for name in layer.get("volumes") or ()}
PROCESSES = {service.name: service for service in SERVICES}


def once(service: dict[str, Any]) -> bool:
    return "no" == service.get("restart")


def filled(text: str, values: dict[str, str]) -> str:
    """
    Blanks filled from the inside out, as compose does; a required one without a value raises `KeyError`.
    """

    def value(blank: re.Match[str]) -> str:
        name, kind, default = blank.groups()
        return values.get(name) or (default if kind == "-" else values[name])

    while BLANK.search(text):
        text = BLANK.sub(value, text)
    return text


@pytest.fixture(scope="module")
def drawn() -> dict[str, str]:
    """
    A `.env` as `deploy/docker/new-env.sh` prints it.
    """
    done = subprocess.run(
        ["sh", ROOT / "deploy/docker/new-env.sh"], capture_output=True, text=True, timeout=10, check=True
    )
    return dict(line.split("=", 1) for line in done.stdout.splitlines())


def environment(name: str, values: dict[str, str]) -> dict[str, str]:
    return {key: filled(str(value), values) for key, value in SERVED[name].get("environment", {}).items()}


def test_every_process_of_the_local_stack_is_a_container() -> None:
    """
    What runs on a laptop runs in containers, under the same names.
    """
    commands = {name: SERVED[name]["command"] for name in PROCESSES}
    migrations = {room: SERVED[f"{room}-migrate"]["command"] for room in MIGRATING_ROOMS}

    assert {name: [f"services.{one.room}", one.role] for name, one in PROCESSES.items()} == commands
    assert {room: [f"services.{room}", "migrate"] for room in MIGRATING_ROOMS} == migrations


def test_every_container_has_an_image_limits_and_a_way_to_tell_how_it_is() -> None:
    """
    One that cannot be asked cannot be waited for; one without a limit takes its neighbours along.
    """
    for name, service in SERVED.items():
        assert service.get("image"), name
        assert once(service) or service["healthcheck"]["test"], name
        assert {"cpus", "memory"} == set(service["deploy"]["resources"]["limits"]), name
        assert once(service) or "unless-stopped" == service.get("restart", "unless-stopped"), name


def test_waiting_is_for_somebody_who_can_arrive() -> None:
    """
    Healthy is for what stays, completed for what ends, and nobody waits in a circle.
    """
    waits = {name: service.get("depends_on", {}) for name, service in SERVED.items()}
    for name, others in waits.items():
        for other, how in others.items():
            assert (name, other, ENDED_WELL if once(SERVED[other]) else HEALTHY) == (name, other, how["condition"])

    standing = dict(waits)
    while ready := [name for name, others in standing.items() if not set(others) & set(standing)]:
        for name in ready:
            del standing[name]
    assert {} == standing


def test_everything_that_ends_is_waited_for() -> None:
    """
    `up --wait` takes a container that ends for a failure unless somebody waits for its end.
    """
    awaited = {other for service in SERVED.values() for other in service.get("depends_on", {})}

    assert set() == {name for name, service in SERVED.items() if once(service)} - awaited


def test_every_variable_is_documented() -> None:
    """
    `.env.example` is the one list of what can be set.
    """
    used = {name for layer in layers() for name, _, _ in BLANK.findall(yaml.safe_dump(layer, width=10_000))}
    documented = set(re.findall(r"^#?\s*([A-Z][A-Z0-9_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))

    assert set() == used - documented


def test_what_new_env_prints_is_enough(drawn: dict[str, str]) -> None:
    """
    Every required variable is drawn.
    """
    required = {
        name
        for layer in layers()
        for name, kind, _ in BLANK.findall(yaml.safe_dump(layer, width=10_000))
        if kind == "?"
    }

    assert {*SECRETS, "POSTGRES_PASSWORD"} == required
    assert set() == required - drawn.keys()


def test_a_room_gets_its_own_secrets_only() -> None:
    """
    The vault's key opens every NIK: it goes to identity and nowhere else.
    """
    given = {name: set(SERVED[name]["environment"]) & set(SECRETS) for name in PROCESSES}

    assert {name: set(OF_ROOM[service.room]) for name, service in PROCESSES.items()} == given


@pytest.mark.parametrize("name", sorted(PROCESSES))
def test_a_container_boots_with_what_it_is_given(name: str, drawn: dict[str, str]) -> None:
    """
    The room's own settings accept the environment, none missing and none malformed.
    """
    service = PROCESSES[name]
    module = importlib.import_module(f"services.{service.room}.settings")
    settings = getattr(module, f"{service.role.capitalize()}Settings", None) or module.BackstageSettings

    assert isinstance(load(settings, environment(name, drawn)), settings)


def test_ports_are_taken_once() -> None:
    """
    Two services on one port are one service and an error.
    """
    ports = Counter(
        filled(port, {}).rsplit(":", 2)[-2] for service in SERVED.values() for port in service.get("ports", ())
    )

    assert [] == [port for port, times in ports.items() if times > 1]


def test_only_the_gateway_is_open_to_others() -> None:
    """
    Mails, metrics and dashboards are for this machine.
    """
    opened = {name: service["ports"] for name, service in SERVED.items() if "ports" in service}
    outward = [name for name, ports in opened.items() if not all(port.startswith("127.0.0.1:") for port in ports)]

    assert ["gateway"] == outward


def test_what_is_mounted_exists() -> None:
    """
    Docker makes a folder of a missing file and says nothing.
    """
    sources = [mount.split(":")[0] for service in SERVED.values() for mount in service.get("volumes", ())]
    named = {source for source in sources if not source.startswith(".")}

    assert VOLUMES == named
    assert [] == [source for source in sources if source.startswith(".") and not (ROOT / source).exists()]
