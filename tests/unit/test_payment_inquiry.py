"""
What a bank says when it is asked is held against what it reported, field by field.
"""

import msgspec
import pytest

from services.payment.domain.inquiry import (
    ASK_PAUSE_SECONDS_MAX,
    ASKS_MAX,
    Nothing,
    Paid,
    Said,
    compare,
    pause_seconds,
)

PAID = Paid(
    billing_code="812345678901234",
    amount_value="350000.00",
    currency="IDR",
    ntpn="ABCDEFGH12345678",
    journal_number="1",
    paid_at_ms=1_795_000_000_000,
)


def test_the_same_payment_is_the_same() -> None:
    """
    Down to the second: a bank that cuts off the milliseconds says the same.
    """
    assert Said.SAME == compare(PAID, PAID)
    assert Said.SAME == compare(PAID, msgspec.structs.replace(PAID, paid_at_ms=PAID.paid_at_ms - 999))


@pytest.mark.parametrize(
    "change",
    [
        {"billing_code": "812345678901235"},
        {"amount_value": "350000.01"},
        {"currency": "USD"},
        {"ntpn": "ABCDEFGH12345679"},
        {"journal_number": "2"},
        {"paid_at_ms": PAID.paid_at_ms - 1000},
        {"paid_at_ms": PAID.paid_at_ms + 1000},
    ],
)
def test_any_other_field_is_another_payment(change: dict[str, str | int]) -> None:
    """
    The moment too: it decides whether the money came in time.
    """
    assert Said.OTHER == compare(PAID, msgspec.structs.replace(PAID, **change))


@pytest.mark.parametrize("answer", list(Nothing))
def test_nothing_is_unknown_and_not_no(answer: Nothing) -> None:
    """
    A bank can be behind its own notifications.
    """
    assert Said.UNKNOWN == compare(PAID, answer)


def test_a_bank_is_asked_ever_more_seldom_and_for_as_long_as_a_citizen_may_take_to_pay() -> None:
    """
    Bounded both ways: no hammering, and no doubt for ever.
    """
    pauses = [pause_seconds(asked) for asked in range(1, ASKS_MAX)]

    assert sorted(pauses) == pauses
    assert (2, ASK_PAUSE_SECONDS_MAX) == (pauses[0], pauses[-1])
    assert 3600 <= sum(pauses) <= 3 * 3600
