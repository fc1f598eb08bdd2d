"""
The gateway before a quota that has its hands full: the crowd is turned away at the outermost door.
"""

import asyncio
import re
from itertools import islice
from pathlib import Path

from tests.integration.test_gateway_routes import Gateway, silent_room


async def test_more_than_quota_takes_are_turned_away_by_the_gateway(tmp_path: Path) -> None:
    """
    At once, with a moment to return; whoever was let in still waits for his answer.
    """
    gateway = Gateway(tmp_path)

    def narrow(config: str) -> str:
        config, changed = re.subn(r"max_conns=\d+", "max_conns=1", config)
        assert 1 == changed
        return config

    async with silent_room(gateway, "quota"), gateway.running(narrow) as client:
        inside = [asyncio.ensure_future(client.post("/v1/reservations", data=b"{}")) for _ in range(4)]
        refused = [await answer for answer in islice(asyncio.as_completed(inside), 3)]
        waiting = [task for task in inside if not task.done()]
        for task in waiting:
            task.cancel()

    assert 1 == len(waiting)
    assert [502] * 3 == [answer.status for answer in refused]
    assert {answer.headers["Retry-After"] for answer in refused} <= {"2", "3", "4"}
