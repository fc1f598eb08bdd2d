"""
The parts of a stack that need no process: secrets, environment, service table, gateway file, state folder.
"""

import base64
import stat
from pathlib import Path

import pytest

from kernel.auth.tokens import signing_key
from ops import environment, gateway, kafka, keyring, postgres, programs, services
from ops.blueprint import usual_ports
from ops.errors import StackError
from ops.state import VERSION, StateDir, running_environment
from services.notify.tickets import TicketSigner


def test_secrets_are_drawn_once_and_kept_for_their_owner_only(tmp_path: Path) -> None:
    """
    A second start must open the vault of the first.
    """
    file = tmp_path / "secrets.env"
    first = keyring.load(file, {})

    assert first == keyring.load(file, {})
    assert 0o600 == stat.S_IMODE(file.stat().st_mode)


def test_secrets_have_the_form_the_rooms_ask_for(tmp_path: Path) -> None:
    """
    Thirty-two bytes each, with a key id where keys rotate.
    """
    drawn = keyring.load(tmp_path / "secrets.env", {})
    raw = [value.rpartition(":")[2] for value in drawn.values()]

    assert {32} == {len(base64.b64decode(value, validate=True)) for value in raw}
    assert ["v1", "k1", "sandbox"] == [
        drawn[name].partition(":")[0] for name in ("VAULT_KEYS", "PASS_KEYS", "BANK_SECRETS")
    ]


def test_a_given_secret_wins_and_is_not_written_down(tmp_path: Path) -> None:
    """
    What came from outside stays outside.
    """
    file = tmp_path / "secrets.env"

    assert "k9:given" == keyring.load(file, {"PASS_KEYS": "k9:given"})["PASS_KEYS"]
    assert "k9:given" not in file.read_text()


def test_no_room_gets_another_rooms_secret(tmp_path: Path) -> None:
    """
    The vault's key is identity's alone.
    """
    drawn = keyring.load(tmp_path / "secrets.env", {"BANK_SECRETS": "secret"})
    everything = {**drawn, "VALKEY_URL": "redis://x"}

    assert {"identity"} == {
        room for room in keyring.OF_ROOM if "VAULT_KEYS" in keyring.without_others(room, everything)
    }
    assert {"VALKEY_URL": "redis://x", "BANK_SECRETS": "secret"} | {
        "AUDIT_SIGNING_KEY": drawn["AUDIT_SIGNING_KEY"]
    } == keyring.without_others("payment", everything)


def test_booking_gets_the_public_half_of_the_tickets_key(tmp_path: Path) -> None:
    """
    What notify signs can be checked at the desk, and nothing can be signed there; a given list wins.
    """
    drawn = keyring.load(tmp_path / "secrets.env", {})
    booking = keyring.without_others("booking", drawn)
    signer = TicketSigner(signing_key(drawn["TICKET_SIGNING_KEY"], variable="TEST"))
    given = keyring.without_others("booking", {**drawn, "TICKET_PUBLIC_KEYS": "other"})

    own = {name: drawn[name] for name in ("LEAF_SIGNING_KEY", "AUDIT_SIGNING_KEY")}
    assert {"TICKET_PUBLIC_KEYS": signer.public_key().x} | own == booking
    assert "other" == given["TICKET_PUBLIC_KEYS"]
    assert "TICKET_PUBLIC_KEYS" not in keyring.without_others("payment", drawn)


def test_the_environment_points_at_the_stacks_own_ports() -> None:
    """
    Every address is made of the ports that were promised.
    """
    ports = {name: index for index, name in enumerate(usual_ports(), start=2000)}
    env = environment.build({"PATH": "/bin"}, ports, {"PASS_KEYS": "k1:x"})

    assert f"redis://127.0.0.1:{ports['VALKEY_PORT']}/0" == env["VALKEY_URL"]
    assert f"http://127.0.0.1:{ports['GATEWAY_PORT']}/v1/bank/callbacks/sandbox" == env["BANK_CALLBACK_URL"]
    assert f"sandbox=http://127.0.0.1:{ports['GATEWAY_PORT']}/v1/sandbox/bank/inquiries" == env["BANK_INQUIRY_URLS"]
    assert f"http://127.0.0.1:{ports['IDENTITY_API_HTTP_PORT']}/.well-known/jwks.json" == env["JWKS_URL"]
    assert ("1", "32", "/bin") == (env["SANDBOX"], env["PARTITIONS"], env["PATH"])


def test_given_addresses_win() -> None:
    """
    A developer's own relay gets the mails, and no page of ours is promised for them.
    """
    given = {"VALKEY_URL": "redis://elsewhere:1/0", "SMTP_URL": "smtp://relay:25", "SANDBOX": "0"}
    env = environment.build(given, usual_ports(), {})

    assert given == {name: env[name] for name in given}
    assert "MAIL_LOOKUP_URL" not in env


def test_every_service_has_a_door_of_its_own() -> None:
    """
    Names, admin ports and HTTP ports are unique.
    """
    names = [service.name for service in services.SERVICES]
    ports = usual_ports()

    assert len(names) == len(set(names)) == 11
    assert len(ports) == len(set(ports.values()))
    assert {"identity", "quota", "booking", "payment", "notify"} == {
        service.room for service in services.SERVICES if service.http_variable in ports
    }


def test_a_service_runs_with_its_ports_and_secrets() -> None:
    """
    What `python -m services.quota api` finds in its environment.
    """
    env = environment.build({}, usual_ports(), dict.fromkeys(keyring.NAMES, "secret"))
    quota = next(service for service in services.SERVICES if service.name == "quota-api")
    program = services.program(quota, python="python", env=env, ports=usual_ports())

    assert ("python", "-m", "services.quota", "api") == program.command
    assert str(usual_ports()["QUOTA_API_HTTP_PORT"]) == program.env["HTTP_PORT"]
    assert program.probe == f"http://127.0.0.1:{program.env['ADMIN_PORT']}/readyz"
    assert ["PASS_KEYS"] == [name for name in keyring.NAMES if name in program.env]


def test_only_quota_api_has_several_workers_when_asked() -> None:
    """
    One by default; what is no number of workers is refused by name.
    """
    asked = {"QUOTA_API_WORKERS": "2"}
    env = environment.build(asked, usual_ports(), {})
    crews = {
        service.name: services.program(service, python="python", env=env, ports=usual_ports()).command[-2:]
        for service in services.SERVICES
        if "--workers" in services.program(service, python="python", env=env, ports=usual_ports()).command
    }

    assert {"quota-api": ("--workers", "2")} == crews
    assert ({"QUOTA_API_ADMIN_PORT": 1}, {"QUOTA_API_ADMIN_PORT": 2}) == (services.workers({}), services.workers(asked))
    for raw in ("0", "65", "many"):
        with pytest.raises(StackError, match=r"QUOTA_API_WORKERS must be 1\.\.64"):
            services.workers({"QUOTA_API_WORKERS": raw})


def test_needs_name_services_that_exist() -> None:
    """
    A misspelled need would be waited for by nobody.
    """
    names = {service.name for service in services.SERVICES}

    assert [] == [need for service in services.SERVICES for need in service.needs if need not in names]


def test_an_unknown_service_is_refused() -> None:
    """
    The message names it.
    """
    with pytest.raises(StackError, match="no service quota-apy"):
        services.chosen(["quota-apy"])


def test_only_our_placeholders_are_filled_in() -> None:
    """
    The variables of nginx keep their dollars.
    """
    rendered = gateway.render("listen ${GATEWAY_PORT}; set $x ${OTHER}; log $uri;", {"GATEWAY_PORT": "80"})

    assert "listen 80; set $x ${OTHER}; log $uri;" == rendered


def test_a_folder_of_another_version_is_refused(tmp_path: Path) -> None:
    """
    Resuming data of a shape we do not know would lose it.
    """
    state = StateDir(tmp_path)
    state.version.write_text("0\n")

    with pytest.raises(StackError, match=f"state version 0, this is version {VERSION}"):
        state.prepare()


def test_a_folder_has_one_supervisor(tmp_path: Path) -> None:
    """
    Two would fight over the same data.
    """
    state = StateDir(tmp_path)
    with state.locked(), pytest.raises(StackError, match="already runs"), StateDir(tmp_path).locked():
        pass

    assert state.running_pid() is None


def test_commands_that_need_a_stack_say_so(tmp_path: Path) -> None:
    """
    A sentence with the way out.
    """
    with pytest.raises(StackError, match="antrean up"):
        running_environment(tmp_path)


def test_a_log_tells_its_last_alarm(tmp_path: Path) -> None:
    """
    The reason, not the last polite word after it.
    """
    log = tmp_path / "x.log"
    log.write_text("starting\nBadSettings: PASS_KEYS is required and not set\nbye\n")

    assert "BadSettings: PASS_KEYS is required and not set" == programs.last_alarm(log)
    assert "its log is empty" == programs.last_alarm(tmp_path / "none.log")


def test_a_log_stays_within_its_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    What was written is kept once, the writer goes on in the same file.
    """
    monkeypatch.setattr(programs, "LOG_BYTES_MAX", 10)
    log = tmp_path / "x.log"
    log.write_text("a line too many\n")
    programs.trim_log(log)

    assert ("", "a line too many\n") == (log.read_text(), (tmp_path / "x.log.1").read_text())


def test_what_a_broker_was_given_is_never_touched(tmp_path: Path) -> None:
    """
    Somebody else's Kafka is not ours to stop.
    """
    broker = kafka.Broker(kind="given", bootstrap="127.0.0.1:1", folder=tmp_path, keeper=None)

    with pytest.raises(StackError, match="given by URL"):
        broker._own()


def test_two_folders_never_share_a_sheltered_database(tmp_path: Path) -> None:
    """
    The shelter's name follows from the folder.
    """
    assert postgres.sheltered(tmp_path / "a") != postgres.sheltered(tmp_path / "b")
