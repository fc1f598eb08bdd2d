"""
Lua as first-class source: a file is a contract, includes are resolved, the key count is in the name.

`reserve-3.lua` takes three keys. Its header lists KEYS, ARGV and, under `Returns`,
the codes; `-- @include "name"` pulls in `includes/name.lua` once. Called by stores
at wiring time, and by the test that ties header, enum and key count together.
Running a script is `Script.run`: EVALSHA, and on NOSCRIPT (a restarted or failed-over
node) once more with the whole text.
"""

import dataclasses
import hashlib
import re
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from redis.exceptions import NoScriptError

Execute = Callable[..., Awaitable[Any]]
"""Takes a command word by word, and answers with its reply."""

_INCLUDE = re.compile(r'^-- @include "([a-z_]+)"$', re.MULTILINE)
_NAME = re.compile(r"^(?P<verb>[a-z_]+)-(?P<keys>\d+)\.lua$")
_CODE = re.compile(r"^\s+(-?\d+)\s{2,}([A-Z][A-Z_]+)", re.MULTILINE)


@dataclasses.dataclass(frozen=True, slots=True)
class Script:
    """
    A loaded script.
    """

    name: str
    keys_count: int
    text: str
    codes: dict[str, int]
    """What the header says it returns, by name."""
    sha: str

    def evalsha(self, keys: Sequence[str], args: Sequence[str | int | bytes]) -> tuple[str | int | bytes, ...]:
        """
        The call as a command. Raises `ValueError` when the number of keys is not the contract's.
        """
        if len(keys) != self.keys_count:
            raise ValueError(f"{self.name} takes {self.keys_count} keys, got {len(keys)}")
        return "EVALSHA", self.sha, len(keys), *keys, *args

    async def run(self, execute: Execute, keys: Sequence[str], args: Sequence[str | int | bytes]) -> Any:
        """
        Call the script, whatever way commands go.
        """
        command = self.evalsha(keys, args)
        try:
            return await execute(*command)
        except NoScriptError:
            # Nothing ran, so running it now is not a second try.
            return await execute("EVAL", self.text, *command[2:])


def load_scripts(folder: Path) -> dict[str, Script]:
    """
    Every `verb-N.lua` of a folder by verb. Raises `ValueError` for a missing header, include or a cycle.
    """
    scripts = {}
    for path in sorted(folder.glob("*.lua")):
        match = _NAME.match(path.name)
        if match is None:
            raise ValueError(f"{path}: name must be verb-N.lua, N the number of keys")
        if match["verb"] in scripts:
            raise ValueError(f"{path}: {match['verb']} is there twice")
        scripts[match["verb"]] = _load(path, verb=match["verb"], keys_count=int(match["keys"]))
    return scripts


def _load(path: Path, *, verb: str, keys_count: int) -> Script:
    source = path.read_text(encoding="utf-8")
    if not source.startswith("--[["):
        raise ValueError(f"{path}: opens without a contract header")
    header, closed, _ = source.partition("]]")
    if not closed:
        raise ValueError(f"{path}: header is not closed")
    keys_named = {int(n) for n in re.findall(r"^\s+KEYS\[(\d+)\]", header, re.MULTILINE)}
    if keys_named != set(range(1, keys_count + 1)):
        raise ValueError(f"{path}: header names KEYS {sorted(keys_named)}, file name says {keys_count}")
    text = _include(source, path.parent / "includes", seen=(path.stem,), done=set())
    codes = {name: int(code) for code, name in _CODE.findall(header)}
    # SHA-1 is how Valkey names a script, not a security measure.
    sha = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
    return Script(name=verb, keys_count=keys_count, text=text, codes=codes, sha=sha)


def _include(source: str, folder: Path, *, seen: tuple[str, ...], done: set[str]) -> str:
    def replace(match: re.Match[str]) -> str:
        name = match[1]
        if name in seen:
            raise ValueError(f"include cycle: {' -> '.join((*seen, name))}")
        if name in done:
            return ""
        done.add(name)
        path = folder / f"{name}.lua"
        if not path.is_file():
            raise ValueError(f"{seen[-1]}: no include {path}")
        return _include(path.read_text(encoding="utf-8"), folder, seen=(*seen, name), done=done)

    return _INCLUDE.sub(replace, source)
