"""
House rules for rooms: the same furniture, one writer per topic, keys spelled once.
"""

import ast
import importlib
import re
from pathlib import Path

import pytest

from contracts import events
from contracts.events import EVENTS
from kernel.lua import load_scripts
from tests.house.conftest import ROOT, Module

ROOMS = ("quota", "booking", "payment", "notify", "identity")
HEADINGS = (
    "Owns",
    "Announces",
    "Reacts to",
    "Keys or tables",
    "Settings",
    "Metrics",
    "What happens when it dies",
)
FURNITURE = ("__init__.py", "__main__.py", "app.py", "settings.py", "metrics.py", "README.md")
VALKEY_KEY = re.compile(r"""["'f]\{?\{[qc](?:[0-9{}:]|\{)[^"']*\}:[a-z]""")
EVENT_NAMES = {event.__name__: event for event in EVENTS}


@pytest.mark.parametrize("room", ROOMS)
def test_every_room_has_the_furniture_of_the_house(room: str) -> None:
    """
    Who knows one room knows where to look in every other.
    """
    missing = [name for name in FURNITURE if not (ROOT / "services" / room / name).is_file()]

    assert [] == missing, f"services/{room} lacks what every room has"


@pytest.mark.parametrize("room", ROOMS)
def test_every_rooms_readme_has_the_same_headings(room: str) -> None:
    """
    A page per room, in the order a stranger asks.
    """
    text = (ROOT / "services" / room / "README.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## (.+?)\s*$", text, re.MULTILINE)

    assert list(HEADINGS) == [heading for heading in headings if heading in HEADINGS], (
        f"services/{room}/README.md answers these questions under these headings, in this order"
    )


def test_an_event_is_made_only_by_the_writer_of_its_topic(modules: list[Module]) -> None:
    """
    Two writers of one topic would be two truths about one thing.
    """
    strays = [
        f"{module.name}:{node.lineno}: {node.func.id}"
        for module in modules
        if module.name.startswith("services/")
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in EVENT_NAMES
        and EVENT_NAMES[node.func.id].TOPIC.writer != module.name.split("/")[1]
    ]

    assert [] == strays, "only the topic's one writer says its events"


def test_every_seal_names_the_room_it_stands_in(modules: list[Module]) -> None:
    """
    ce_source is what an operator asks first when an event is wrong.
    """
    strays = []
    for module in modules:
        if not module.name.startswith("services/"):
            continue
        room = module.name.split("/")[1]
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "seal":
                source = next((word.value for word in node.keywords if word.arg == "source"), None)
                if _value(source, module) != room:
                    strays.append(f"{module.name}:{node.lineno}")

    assert [] == strays, "seal(source=…) is the room's own name, as a literal or a constant"


def _value(node: ast.expr | None, module: Module) -> object:
    if isinstance(node, ast.Name):
        name = module.name.removesuffix(".py").replace("/", ".").removesuffix(".__init__")
        return getattr(importlib.import_module(name), node.id, None)
    return node.value if isinstance(node, ast.Constant) else None


def test_every_event_is_said_by_somebody(modules: list[Module]) -> None:
    """
    A contract nobody fulfils misleads every reader.
    """
    said = {
        node.id if isinstance(node, ast.Name) else node.attr
        for module in modules
        if module.name.startswith("services/")
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Name | ast.Attribute)
    }

    assert [] == [name for name in EVENT_NAMES if name not in said], "an event that no room names is not an event"
    assert all(hasattr(events, name) for name in EVENT_NAMES)


def test_valkey_keys_are_spelled_in_one_file_only(modules: list[Module]) -> None:
    """
    A key spelled twice is two keys the day one of them changes.
    """
    strays = [
        f"{module.name}:{number}"
        for module in modules
        if module.name.startswith(("services/", "kernel/", "ops/")) and module.path.name != "keys.py"
        for number, line in enumerate(module.text.splitlines(), start=1)
        if VALKEY_KEY.search(line)
    ]

    assert [] == strays, "spell keys in keys.py, where their hash tag is true or false"


def test_lua_takes_its_keys_and_spells_none(files: list[Path]) -> None:
    """
    On a cluster a script may only touch the keys it was given.
    """
    literal_key = re.compile(r"""redis\.p?call\(\s*["'][A-Z]+["']\s*,\s*["'][^"']*:""")
    strays = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in files
        if path.suffix == ".lua"
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if literal_key.search(line)
    ]

    assert [] == strays, "pass the key in KEYS"


def test_every_lua_folder_keeps_the_contract(files: list[Path]) -> None:
    """
    Name, header, key count and includes fit together, in every script.
    """
    folders = {path.parent for path in files if path.suffix == ".lua" and path.parent.name == "lua"}

    assert {folder.parent.name for folder in folders} == {"quota"}, "Valkey decides in quota alone"
    assert all(load_scripts(folder) for folder in folders)
