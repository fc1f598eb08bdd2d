"""
What a crew may be, worked out before any of it starts.
"""

import pytest

from kernel.crew import Order
from kernel.settings import BadSettings, HttpSettings, ProcessSettings


def _order(workers: int = 2, *, http_port: int = 18100, admin_port: int = 18200) -> Order:
    return Order(
        name="some-api",
        workers=workers,
        command=lambda number: ("worker", str(number)),
        process=ProcessSettings(admin_port=admin_port),
        http=HttpSettings(port=http_port),
    )


def test_admin_ports_count_up_and_names_follow() -> None:
    """
    Who knows the first worker's port knows every other's.
    """
    order = _order(3)

    assert [18200, 18201, 18202] == [order.admin_port_of(number) for number in (1, 2, 3)]
    assert ["some-api-1", "some-api-2"] == [order.name_of(number) for number in (1, 2)]


def test_any_free_admin_port_is_any_for_every_worker() -> None:
    """
    Port 0 has no neighbour.
    """
    assert {0} == {_order(3, admin_port=0).admin_port_of(number) for number in (1, 2, 3)}


@pytest.mark.parametrize(
    ("workers", "http_port", "admin_port", "said"),
    [
        (0, 18100, 18200, "--workers must be 1..64, got 0"),
        (65, 18100, 18200, "--workers must be 1..64, got 65"),
        (2, 0, 18200, "HTTP_PORT must be one port for all workers"),
        (3, 18100, 65534, "ADMIN_PORT is the first of 3 ports"),
        (2, 18101, 18100, "HTTP_PORT 18101 is one of the workers' admin ports 18100..18101"),
    ],
)
def test_what_no_crew_can_be_is_refused(workers: int, http_port: int, admin_port: int, said: str) -> None:
    """
    The sentence names what to mend.
    """
    with pytest.raises(BadSettings, match=said):
        _order(workers, http_port=http_port, admin_port=admin_port)


def test_the_largest_crew_is_taken() -> None:
    """
    Up to the last port there is.
    """
    assert 65535 == _order(64, admin_port=65472).admin_port_of(64)
