"""
How long a request has waited, as far as the gateway's note can be believed.
"""

import pytest

from kernel.http.asked import waited_ms

NOW_MS = 1_796_018_400_000


@pytest.mark.parametrize(
    ("noted", "expected_ms"),
    [
        ("t=1796018399.250", 750),
        ("1796018399.250", 750),
        ("t=1796018400.000", 0),
        ("t=1796018401.000", 0),
        ("t=1796018300.000", 0),
        ("t=", 0),
        ("t=nan", 0),
        ("t=inf", 0),
        ("t=-1", 0),
        ("t=1e400", 0),
        ("yesterday", 0),
        (None, 0),
    ],
)
def test_the_time_since_the_gateway_is_told_or_is_nothing(noted: str | None, expected_ms: int) -> None:
    """
    A missing, broken, future or hour-old note refuses nobody.
    """
    assert expected_ms == waited_ms({} if noted is None else {"X-Request-Start": noted}, NOW_MS)
