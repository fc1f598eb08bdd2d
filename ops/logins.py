"""
Logins to try a fresh local stack with: a few sandbox families, made once.

Called by `antrean up` when everything is ready. Identity makes the accounts; where the
sandbox is off there are none.
"""

import asyncio
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from ops import rooms
from ops.state import StateDir, write_atomically
from services.identity.app import SANDBOX_PASSWORD

FAMILIES: Final = 3
SEED: Final = 1945
"""The same people on every machine, and no others: releases draw from seeds of their own."""


class _Account(msgspec.Struct, frozen=True):
    username: str
    person_ids: tuple[str, ...]


async def ensure(state: StateDir, env: Mapping[str, str]) -> None:
    """
    Write the logins file, unless it is there or this is no sandbox. Raises `StackError`.
    """
    if state.logins.exists() or env.get("SANDBOX") != "1":
        return
    with tempfile.TemporaryDirectory(prefix="antrean-logins-") as folder:
        file = Path(folder) / "accounts.jsonl"
        who = ("--accounts", str(FAMILIES), "--families", "1-5", "--seed", str(SEED))
        await rooms.command("identity", "provision", *who, "--out", str(file), env=env)
        raw = await asyncio.to_thread(file.read_bytes)
    accounts = [msgspec.json.decode(line, type=_Account) for line in raw.splitlines()]
    lines = [
        f"{account.username:<16} {SANDBOX_PASSWORD:<28} family of {len(account.person_ids)}" for account in accounts
    ]
    write_atomically(state.logins, "\n".join(lines) + "\n", mode=0o600)
