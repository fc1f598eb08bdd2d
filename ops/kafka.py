"""
The stack's broker, whichever kind it is, and what tests may do to it.

Called by the stack to build the program, and by tests that take the broker away.
A given broker (by URL) is used as it is and never touched.
"""

import asyncio
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal

from ops import librdkafka, topics
from ops.errors import StackError
from ops.programs import Program
from ops.state import PROJECT
from ops.supervisor import Keeper

Kind = Literal["embedded", "real", "given"]
MOVE_DEADLINE_SECONDS: Final = 15.0
READY_DEADLINE_SECONDS: Final = 60.0
POLL_SECONDS: Final = 0.02


def embedded(folder: Path, *, port: int, python: str, env: Mapping[str, str]) -> Program:
    """
    The mock broker on `port`.
    """
    librdkafka.library_path()
    _state_file(folder).unlink(missing_ok=True)
    return Program(
        name="kafka",
        what="tells: every event (embedded broker)",
        command=(python, "-m", "ops.broker", "--port", str(port), "--state", str(_state_file(folder))),
        env=env,
        probe=f"kafka://127.0.0.1:{port}",
        port=port,
        cwd=PROJECT,
    )


def _state_file(folder: Path) -> Path:
    return folder / "last-move"


class Broker:
    """
    The running broker in a test's hands: it can vanish, come back and forget.
    """

    def __init__(self, *, kind: Kind, bootstrap: str, folder: Path, keeper: Keeper | None) -> None:
        self.kind = kind
        self.bootstrap = bootstrap
        self._folder = folder
        self._keeper = keeper

    async def vanish(self) -> None:
        """
        Be gone for every client until `come_back`. What it holds is kept.
        """
        if self.kind == "embedded":
            await self._move(signal.SIGUSR1)
        else:
            self._own().hold()
        await self._until(reachable=False)

    async def come_back(self) -> None:
        """
        Be there again, with everything it had acknowledged.
        """
        if self.kind == "embedded":
            await self._move(signal.SIGUSR2)
        else:
            self._own().release()
        await self._until(reachable=True)
        if self.kind == "real":
            await topics.ensure(self.bootstrap)

    async def forget(self) -> None:
        """
        Hold empty topics and no messages. For a test that must not read what others wrote.
        """
        if self.kind == "embedded":
            await self._move(signal.SIGHUP)
            await self._until(reachable=True)
        else:
            self._own()
            await topics.empty(self.bootstrap)

    async def _move(self, number: signal.Signals) -> None:
        before = self._moves()
        self._own().signal(number)
        end = time.monotonic() + MOVE_DEADLINE_SECONDS
        while self._moves() == before:
            if time.monotonic() > end:
                raise StackError(f"the embedded broker did not follow {number.name}")
            await asyncio.sleep(POLL_SECONDS)

    def _moves(self) -> str:
        file = _state_file(self._folder)
        return file.read_text() if file.exists() else ""

    def _own(self) -> Keeper:
        if self._keeper is None:
            raise StackError("this broker was given by URL: the stack does not stop or empty what it did not start")
        return self._keeper

    async def _until(self, *, reachable: bool) -> None:
        port = int(self.bootstrap.rsplit(":", 1)[1])
        end = time.monotonic() + READY_DEADLINE_SECONDS
        while await _accepts(port) != reachable:
            if time.monotonic() > end:
                raise StackError(f"the broker is {'not ' if reachable else 'still '}reachable at {self.bootstrap}")
            await asyncio.sleep(POLL_SECONDS)


async def _accepts(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True
