"""
The Lua loader: a script is its contract, and what breaks the contract does not load.
"""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from redis.exceptions import NoScriptError

from kernel.lua import Script, load_scripts

TAKE = """--[[
  Take a place.

  KEYS[1] pool  hash  free
  KEYS[2] hold  hash  seats

  ARGV[1] seats

  Returns {code, free}
     1  HELD
     0  ALREADY_HELD
    -1  SOLD_OUT
]]
-- @include "ledger"
-- @include "announce"
return {1, ledger(KEYS[1])}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "includes").mkdir()
    (tmp_path / "includes" / "ledger.lua").write_text('-- @include "numbers"\nlocal function ledger(key) end\n')
    (tmp_path / "includes" / "announce.lua").write_text('-- @include "numbers"\nlocal function announce() end\n')
    (tmp_path / "includes" / "numbers.lua").write_text("local ONE = 1\n")
    (tmp_path / "take_place-2.lua").write_text(TAKE)
    return tmp_path


def test_a_script_knows_its_keys_and_its_codes(folder: Path) -> None:
    """
    What the header promises is what the adapter maps.
    """
    script = load_scripts(folder)["take_place"]

    assert 2 == script.keys_count
    assert {"HELD": 1, "ALREADY_HELD": 0, "SOLD_OUT": -1} == script.codes


def test_includes_are_pulled_in_once_each_before_their_users(folder: Path) -> None:
    """
    Two includes may share a third: its text stands once, above both.
    """
    text = load_scripts(folder)["take_place"].text

    assert 1 == text.count("local ONE = 1")
    assert text.index("local ONE") < text.index("function ledger") < text.index("function announce")
    assert "@include" not in text


def test_an_include_cycle_is_named(folder: Path) -> None:
    """
    The whole way round is said, so that one link can be cut.
    """
    (folder / "includes" / "numbers.lua").write_text('-- @include "ledger"\n')

    with pytest.raises(ValueError, match="include cycle: take_place-2 -> ledger -> numbers -> ledger"):
        load_scripts(folder)


def test_a_missing_include_is_named(folder: Path) -> None:
    """
    A typo is found at wiring time, not at the first call.
    """
    (folder / "includes" / "announce.lua").unlink()

    with pytest.raises(ValueError, match=r"no include .*announce\.lua"):
        load_scripts(folder)


@pytest.mark.parametrize(
    ("name", "text", "fault"),
    [
        ("take.lua", TAKE, "name must be verb-N.lua"),
        ("Take-2.lua", TAKE, "name must be verb-N.lua"),
        ("take-1.lua", TAKE, r"header names KEYS \[1, 2\], file name says 1"),
        ("take-3.lua", TAKE, r"header names KEYS \[1, 2\], file name says 3"),
        ("take-0.lua", "return 1", "without a contract header"),
        ("take-0.lua", "--[[ never closed", "header is not closed"),
        ("take_place-3.lua", TAKE.replace("  ARGV[1]", "  KEYS[3] third\n  ARGV[1]"), "take_place is there twice"),
    ],
)
def test_a_file_that_breaks_the_contract_does_not_load(folder: Path, name: str, text: str, fault: str) -> None:
    """
    Name, header and key count are checked against each other.
    """
    (folder / name).write_text(text)

    with pytest.raises(ValueError, match=fault):
        load_scripts(folder)


class Node:
    """
    A node that has forgotten its scripts, as after a restart.
    """

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def execute(self, verb: str, script: str, *args: Any) -> Any:
        """
        Knows no script, and runs what it is sent.
        """
        self.asked.append(f"{verb} {script}")
        if verb == "EVALSHA":
            raise NoScriptError
        return list(args)


def _run(script: Script, node: Node, keys: list[str]) -> Any:
    return asyncio.run(script.run(node.execute, keys, [7]))


def test_a_node_that_forgot_the_script_is_told_it_again(folder: Path) -> None:
    """
    NOSCRIPT means that nothing ran, so running it now is no second try.
    """
    script, node = load_scripts(folder)["take_place"], Node()

    assert [2, "a", "b", 7] == _run(script, node, ["a", "b"])
    assert [f"EVALSHA {script.sha}", f"EVAL {script.text}"] == node.asked


def test_a_wrong_number_of_keys_never_reaches_the_node(folder: Path) -> None:
    """
    On a cluster a key too few would be a key nobody checks.
    """
    script, node = load_scripts(folder)["take_place"], Node()

    with pytest.raises(ValueError, match="take_place takes 2 keys, got 1"):
        _run(script, node, ["a"])
    assert [] == node.asked
