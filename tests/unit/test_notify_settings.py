"""
A notify process that cannot work does not start, and says which variable is wrong.
"""

import pytest

from kernel.settings import BadSettings, load
from services.notify.settings import WorkerSettings
from tests.unit.notify_letters import MAIL_FROM, PUBLIC_URL, SEED

GOOD = {
    "DATABASE_URL": "postgresql://127.0.0.1/antrean",
    "KAFKA_BOOTSTRAP": "127.0.0.1:9092",
    "SMTP_URL": "smtp://127.0.0.1:2525",
    "MAIL_FROM": MAIL_FROM,
    "PUBLIC_URL": PUBLIC_URL,
    "TICKET_SIGNING_KEY": SEED,
}


def test_a_worker_needs_no_lookup() -> None:
    """
    Many relays cannot be asked; the empty address says so.
    """
    assert not load(WorkerSettings, GOOD).mail.lookup_url


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SMTP_URL", "http://127.0.0.1"),
        ("SMTP_URL", "127.0.0.1:25"),
        ("MAIL_FROM", "Antrean"),
        ("PUBLIC_URL", "antrean"),
        ("MAIL_LOOKUP_URL", "sink"),
        ("MAIL_LEASE_SECONDS", "3"),
        ("TICKET_SIGNING_KEY", "c2hvcnQ="),
    ],
)
def test_a_wrong_variable_is_named(name: str, value: str) -> None:
    """
    The boot stops with the name; a key stays unsaid.
    """
    with pytest.raises(BadSettings, match=name) as refused:
        load(WorkerSettings, {**GOOD, name: value})

    assert "c2hvcnQ=" not in str(refused.value)
