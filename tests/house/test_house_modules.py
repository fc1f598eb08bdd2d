"""
House rules for code: short, signed at the door, about now.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.house.conftest import ROOT, Module

LINES_MAX = 400
FUNCTION_LINES_MAX = 70
SIGN_FROM_LINES = 15

LONG_FOR_A_REASON: dict[str, str] = {}
"""`path` or `path::function` longer than the limit, and why it is better so."""

# Spelled in pieces, so that this file passes its own rule.
DIARY = re.compile(
    r"\b(?:TO"
    r"DO|FIX"
    r"ME|XX"
    r"X|HA"
    r"CK)\b"
    r"|(?<![-\w])[Ss]tub(?:s|bed)?\b"
    r"|\b(?:[Pp]hase|[Ss]print|[Mm]ilestone) [0-9]+\b"
    r"|\b(?:P[0-9]-[A-Z][0-9.]*|CP[0-9]+|PR ?#[0-9]+|(?:[Ii]ssue|[Tt]icket) ?#?[0-9]+)\b"
)
TEXT_SUFFIXES = {".py", ".lua", ".sql", ".md", ".toml", ".yml", ".yaml", ".js", ".css", ".html", ".conf", ".json", ""}


def test_every_module_has_a_sign_on_its_door(modules: list[Module]) -> None:
    """
    A reader decides at the top of a file whether he is in the right room.
    """
    unsigned = [
        module.name
        for module in modules
        if len(module.text.splitlines()) > SIGN_FROM_LINES and ast.get_docstring(module.tree) is None
    ]

    assert [] == unsigned, "say at the top what it is, who calls it and what it never does"


def test_no_file_is_longer_than_a_reader_keeps_in_mind(files: list[Path]) -> None:
    """
    A file that outgrows its page becomes a package of the same name.
    """
    long = {
        path.relative_to(ROOT).as_posix(): lines
        for path in files
        if path.suffix in {".py", ".lua", ".sql"}
        and (lines := len(path.read_text(encoding="utf-8").splitlines())) > LINES_MAX
    }

    assert {} == {name: lines for name, lines in long.items() if name not in LONG_FOR_A_REASON}, (
        f"split it: nobody holds more than {LINES_MAX} lines in mind"
    )


def _functions(module: Module) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{module.name}::{node.name}", node


def test_no_function_is_longer_than_a_screen(modules: list[Module]) -> None:
    """
    Good code is short at the function.
    """
    long = {
        name: lines
        for module in modules
        for name, node in _functions(module)
        if (lines := (node.end_lineno or node.lineno) - node.lineno + 1) > FUNCTION_LINES_MAX
    }

    assert {} == {name: lines for name, lines in long.items() if name not in LONG_FOR_A_REASON}, (
        f"a function past {FUNCTION_LINES_MAX} lines does more than one thing"
    )


def test_every_exception_to_a_length_is_still_needed(modules: list[Module]) -> None:
    """
    A list of excuses must not outlive its reasons.
    """
    known = {module.name for module in modules} | {name for module in modules for name, _ in _functions(module)}

    assert [] == [name for name in LONG_FOR_A_REASON if name not in known], "strike the excuse: it excuses nothing"


def test_nothing_is_left_for_later_and_nothing_is_a_diary(files: list[Path]) -> None:
    """
    Code speaks of now; history stands in commits and decisions.
    """
    found = [
        f"{path.relative_to(ROOT).as_posix()}:{number}: {match[0]}"
        for path in files
        if path.suffix in TEXT_SUFFIXES and path.name != "uv.lock"
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1)
        for match in DIARY.finditer(line)
    ]

    assert [] == found, "do it now or leave it out; a note to oneself is read by everybody else"


def test_every_test_is_a_sentence_and_asserts_something(modules: list[Module]) -> None:
    """
    The docstring says what is true; a test that asserts nothing says nothing.
    """
    silent = [
        name
        for module in modules
        if module.name.startswith("tests/")
        for name, node in _functions(module)
        if node.name.startswith("test_") and (ast.get_docstring(node) is None or not _asserts(node))
    ]

    assert [] == silent, "say in one sentence what holds, and assert it"


def _asserts(node: ast.AST) -> bool:
    for child in ast.walk(node):
        if isinstance(child, ast.Assert):
            return True
        if isinstance(child, ast.Call):
            called = child.func.attr if isinstance(child.func, ast.Attribute) else getattr(child.func, "id", "")
            if called in {"raises", "fail", "eventually"} or called.startswith(("assert_", "expect", "to_")):
                return True
            if called == "run_state_machine_as_test":
                return True
    return False
