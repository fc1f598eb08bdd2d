"""
A room's own commands, run with a stack's environment.

Called by `seed`, `window`, the releases and the audit: what belongs to a room is done by
that room's process, through its use cases, never by reaching into its tables.
"""

import asyncio
import sys
from collections.abc import Mapping
from typing import Final

from ops import keyring
from ops.errors import StackError
from ops.state import PROJECT

DEADLINE_SECONDS: Final = 120.0
STDERR_CHARACTERS_MAX: Final = 2000


async def command(
    room: str, *arguments: str, env: Mapping[str, str], deadline_seconds: float = DEADLINE_SECONDS
) -> str:
    """
    Run `python -m services.<room> …` to its end and return what it printed. Raises `StackError` with its last words.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        f"services.{room}",
        *arguments,
        cwd=PROJECT,
        env=keyring.without_others(room, env),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(deadline_seconds):
            out, err = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise StackError(f"{room} {' '.join(arguments)} did not end within {deadline_seconds:g} s") from None
    if process.returncode != 0:
        words = (err or out).decode(errors="replace")[-STDERR_CHARACTERS_MAX:].strip()
        raise StackError(f"{room} {' '.join(arguments)} failed: {words}")
    return out.decode(errors="replace")
