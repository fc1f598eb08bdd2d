"""
Settings: a bad environment stops the boot, and says everything that is wrong with it at once.
"""

import dataclasses

import pytest

from kernel.settings import BadSettings, KafkaSettings, ProcessSettings, load, variable, variables


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Inner:
    """
    Settings inside settings.
    """

    url: str = variable("INNER_URL", secret=True)
    tries_max: int = variable("INNER_TRIES_MAX", default=3, at_least=1, at_most=9)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Outer:
    """
    A room's settings.
    """

    inner: Inner
    wait_seconds: float = variable("WAIT_SECONDS", at_least=0.5)
    sandbox: bool = variable("SANDBOX", default=False)
    pin: int = variable("PIN", default=1000, at_least=1000, at_most=9999, secret=True)


GOOD = {"INNER_URL": "redis://127.0.0.1", "WAIT_SECONDS": "1.5"}


def _faults(**environ: str) -> list[str]:
    with pytest.raises(BadSettings) as caught:
        load(Outer, {**GOOD, **environ})
    return str(caught.value).split("; ")


def test_a_good_environment_fills_nested_settings() -> None:
    """
    What is not set takes its default; what is set takes its type.
    """
    loaded = load(Outer, {**GOOD, "SANDBOX": "1", "INNER_TRIES_MAX": "9"})

    assert Outer(inner=Inner(url="redis://127.0.0.1", tries_max=9), wait_seconds=1.5, sandbox=True, pin=1000) == loaded


def test_all_faults_are_said_at_once() -> None:
    """
    Nobody starts a process five times to learn of five faults.
    """
    faults = _faults(INNER_URL="", WAIT_SECONDS="soon", SANDBOX="maybe", INNER_TRIES_MAX="10")

    assert [
        "INNER_URL is required and not set",
        "INNER_TRIES_MAX must be 1..9, got 10",
        "WAIT_SECONDS must be a number, got 'soon'",
        "SANDBOX must be 0 or 1, got 'maybe'",
    ] == faults


@pytest.mark.parametrize(
    ("name", "value", "fault"),
    [
        ("WAIT_SECONDS", "0.4", "WAIT_SECONDS must be at least 0.5, got 0.4"),
        ("WAIT_SECONDS", "nan", "WAIT_SECONDS must be a number, got 'nan'"),
        ("WAIT_SECONDS", "inf", "WAIT_SECONDS must be a number, got 'inf'"),
        ("INNER_TRIES_MAX", "0", "INNER_TRIES_MAX must be 1..9, got 0"),
        ("INNER_TRIES_MAX", "3.5", "INNER_TRIES_MAX must be a whole number, got '3.5'"),
        ("PIN", "abc", "PIN must be a whole number"),
        ("PIN", "12345", "PIN must be 1000..9999"),
    ],
)
def test_each_fault_names_its_variable_and_never_shows_a_secret(name: str, value: str, fault: str) -> None:
    """
    The sentence is enough to correct the environment, and safe in a log.
    """
    assert [fault] == _faults(**{name: value})


def test_a_log_level_nobody_knows_is_refused() -> None:
    """
    What a dataclass checks itself is said like every other fault.
    """
    with pytest.raises(BadSettings, match="LOG_LEVEL must be debug, info, warning or error, got 'loud'"):
        load(ProcessSettings, {"ADMIN_PORT": "0", "LOG_LEVEL": "loud"})


def test_every_variable_can_be_listed() -> None:
    """
    The documents and .env.example are checked against this list.
    """
    assert ["INNER_URL", "INNER_TRIES_MAX", "WAIT_SECONDS", "SANDBOX", "PIN"] == [v.name for v in variables(Outer)]
    assert "KAFKA_BOOTSTRAP" in {v.name for v in variables(KafkaSettings)}
