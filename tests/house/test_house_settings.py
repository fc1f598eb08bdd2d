"""
House rules for settings: every variable is documented, and every documented one is read.
"""

import dataclasses
import importlib
import pkgutil
import re
from pathlib import Path

import services
from kernel import settings as kernel_settings
from kernel.settings import variables
from tests.house.conftest import ROOT, Module

LINE = re.compile(r"^#? ?([A-Z][A-Z0-9_]+)=", re.MULTILINE)
SUBSTITUTED = re.compile(r"\$\{([A-Z][A-Z0-9_]+)[:?}-]")
READ = re.compile(r"""["']([A-Z][A-Z0-9]*_[A-Z0-9_]+)["']""")


def _declared() -> dict[str, str]:
    """
    Every environment variable any settings class of ours reads, and who reads it.
    """
    found = {}
    names = [module.name for module in pkgutil.walk_packages(services.__path__, "services.")]
    modules = [kernel_settings, *(importlib.import_module(n) for n in names if n.endswith(".settings"))]
    for module in modules:
        for thing in vars(module).values():
            if isinstance(thing, type) and dataclasses.is_dataclass(thing) and thing is not kernel_settings.Variable:
                found |= {variable.name: f"{module.__name__}.{thing.__name__}" for variable in variables(thing)}
    return found


def _documented() -> set[str]:
    return set(LINE.findall((ROOT / ".env.example").read_text(encoding="utf-8")))


def test_every_variable_a_process_reads_is_in_the_example() -> None:
    """
    Who sets a process up reads one file.
    """
    missing = {name: reader for name, reader in _declared().items() if name not in _documented()}

    assert {} == missing, "give it a line and a sentence in .env.example"


def test_every_variable_of_the_compose_files_is_in_the_example(files: list[Path]) -> None:
    """
    `docker compose` asks for nothing that the example does not name.
    """
    compose = [path for path in files if path.suffix == ".yml" and "compose" in path.as_posix()]
    asked = {name for path in compose for name in SUBSTITUTED.findall(path.read_text(encoding="utf-8"))}

    assert asked
    assert [] == sorted(asked - _documented()), "give it a line and a sentence in .env.example"


def test_every_variable_of_the_example_is_read_by_somebody(files: list[Path], modules: list[Module]) -> None:
    """
    A variable nobody reads is a promise nobody keeps.
    """
    read = set(_declared())
    read |= {name for module in modules if module.name.startswith("ops/") for name in READ.findall(module.text)}
    for path in files:
        if path.name == "Makefile" or (path.suffix == ".yml" and "compose" in path.as_posix()):
            read |= set(re.findall(r"[A-Z][A-Z0-9_]+", path.read_text(encoding="utf-8")))

    assert [] == sorted(_documented() - read), "nobody reads it: strike it from .env.example"


def test_every_setting_is_documented_where_it_is_declared(modules: list[Module]) -> None:
    """
    A name and a number do not say why the number is good: the class has a docstring, limits have reasons.
    """
    undocumented = [
        f"{module.name}: {thing}"
        for module in modules
        if module.path.name == "settings.py"
        for thing in re.findall(r'^class (\w+)[^\n]*:\n(?!    """)', module.text, re.MULTILINE)
    ]

    assert [] == undocumented, "say in the class what these settings are for"
