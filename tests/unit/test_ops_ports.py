"""
Which port a program gets, with the machine's answer given by hand.
"""

from pathlib import Path

import pytest

from ops import ports
from ops.errors import StackError


def free_but(*taken: int) -> ports.Callable[[int], bool]:
    return lambda port: port not in taken


def test_the_usual_ports_are_taken_when_free() -> None:
    """
    Nobody looks a port up twice.
    """
    plan = ports.choose({"GATEWAY_PORT": 8080, "MAIL_PORT": 18025}, {}, {}, free=free_but())

    assert ports.Plan(ports={"GATEWAY_PORT": 8080, "MAIL_PORT": 18025}, remarks=[]) == plan


def test_a_taken_usual_port_is_replaced_and_said() -> None:
    """
    A second project on the machine does not stop the start.
    """
    plan = ports.choose({"GATEWAY_PORT": 8080}, {}, {}, free=free_but(8080))

    assert 8080 != plan.ports["GATEWAY_PORT"]
    assert [f"port 8080 (GATEWAY_PORT) is taken, using {plan.ports['GATEWAY_PORT']}"] == plan.remarks


def test_a_taken_explicit_port_is_refused() -> None:
    """
    Who names a port has a reason; another one would be a surprise.
    """
    with pytest.raises(StackError, match="GATEWAY_PORT=9000 is taken"):
        ports.choose({"GATEWAY_PORT": 8080}, {"GATEWAY_PORT": "9000"}, {}, free=free_but(9000))


@pytest.mark.parametrize("raw", ["http", "0", "65536", "-1", "80.5"])
def test_a_port_that_is_none_is_refused_by_name(raw: str) -> None:
    """
    The message names the variable to mend.
    """
    with pytest.raises(StackError, match="MAIL_PORT must be a port number"):
        ports.choose({"MAIL_PORT": 18025}, {"MAIL_PORT": raw}, {})


def test_the_last_runs_port_comes_before_the_usual_one() -> None:
    """
    A resumed stack answers where it answered before.
    """
    plan = ports.choose({"GATEWAY_PORT": 8080}, {}, {"GATEWAY_PORT": 21000}, free=free_but())

    assert {"GATEWAY_PORT": 21000} == plan.ports


def test_no_port_is_given_twice() -> None:
    """
    A free port is promised to one program only, even when the last run's file says otherwise.
    """
    plan = ports.choose({"A": 1001, "B": 1002, "C": None, "D": None}, {}, {"A": 1002}, free=free_but())

    assert 4 == len(set(plan.ports.values()))


def test_a_port_with_neighbours_gets_them_and_nobody_else_does() -> None:
    """
    The workers of a crew count their admin ports up from the first.
    """
    usual = {"CREW": 1001, "NEXT": 1002, "LAST": 1003}
    wide = ports.choose(usual, {}, {}, free=free_but(), widths={"CREW": 2})
    elsewhere = ports.choose({"CREW": 1001}, {}, {}, free=free_but(1002), widths={"CREW": 2})

    assert {"CREW": 1001, "LAST": 1003} == {name: wide.ports[name] for name in ("CREW", "LAST")}
    assert 1002 != wide.ports["NEXT"]
    assert elsewhere.ports["CREW"] not in {1001, 1002}
    with pytest.raises(StackError, match="CREW=1001 is taken"):
        ports.choose({"CREW": None}, {"CREW": "1001"}, {}, free=free_but(1002), widths={"CREW": 2})


def test_free_ports_lie_below_those_of_outgoing_connections() -> None:
    """
    Or a client's connection could sit on a stopped stack's port.
    """
    plan = ports.choose(dict.fromkeys("ABCDEFGH"), {}, {}, free=free_but())

    assert all(ports.FREE_FROM <= port <= ports.FREE_TO for port in plan.ports.values())
    assert [] == plan.remarks


def test_two_stacks_that_start_together_choose_differently(tmp_path: Path) -> None:
    """
    A port is promised before its program listens, until the stack that was promised it ends.
    """
    first, second = ports.Promises(tmp_path), ports.Promises(tmp_path)
    port = ports.free_port(set())
    told = [first.take(port), second.take(port)]
    first.release()

    assert [True, False, True] == [*told, second.take(port)]
    second.release()


def test_a_machine_without_a_free_port_is_told() -> None:
    """
    The search has an end.
    """
    with pytest.raises(StackError, match="no free port"):
        ports.free_port(set(), free=lambda _: False)
