"""
The gateway before a quota that has its hands full: the crowd is turned away at the outermost door.
"""

import asyncio
import json
import re
from itertools import islice
from pathlib import Path

from tests.integration.gateway_nginx import Gateway
from tests.integration.test_gateway_routes import silent_room


def _narrow(config: str) -> str:
    config, changed = re.subn(r"max_conns=\d+", "max_conns=1", config)
    assert 2 == changed
    return config


async def test_more_than_quota_takes_are_turned_away_by_the_gateway(tmp_path: Path) -> None:
    """
    At once, with a moment to return, in words of their own; whoever was let in still waits for his answer.
    """
    gateway = Gateway(tmp_path)

    async with silent_room(gateway, "quota"), gateway.running(_narrow) as client:
        inside = [asyncio.ensure_future(client.post("/v1/reservations", data=b"{}")) for _ in range(4)]
        refused = [await answer for answer in islice(asyncio.as_completed(inside), 3)]
        problems = [json.loads(await answer.text()) for answer in refused]
        waiting = [task for task in inside if not task.done()]
        for task in waiting:
            task.cancel()

    assert 1 == len(waiting)
    assert [(503, 503, "gateway_busy", "Terlalu banyak yang meminta saat ini")] * 3 == [
        (answer.status, said["status"], said["code"], said["title"])
        for answer, said in zip(refused, problems, strict=True)
    ]
    assert ["application/problem+json"] * 3 == [answer.content_type for answer in refused]
    assert [answer.headers["Retry-After"] for answer in refused] == [str(said["retry_after"]) for said in problems]


async def test_who_listens_takes_no_askers_place(tmp_path: Path) -> None:
    """
    One place for streams, taken: an asker is let in, another listener is not.
    """
    gateway = Gateway(tmp_path)
    stream = "/v1/offices/bandung/availability/stream"

    async with silent_room(gateway, "quota"), gateway.running(_narrow) as client:
        listening = [asyncio.ensure_future(client.get(stream)) for _ in range(2)]
        turned_away = [(await next(asyncio.as_completed(listening))).status]
        asking = [asyncio.ensure_future(client.post("/v1/reservations", data=b"{}")) for _ in range(2)]
        turned_away.append((await next(asyncio.as_completed(asking))).status)
        inside = [task for task in (*listening, *asking) if not task.done()]
        for task in inside:
            task.cancel()

    assert [503, 503] == turned_away
    assert 2 == len(inside)


async def test_of_a_crowd_turned_away_few_are_written_down(tmp_path: Path) -> None:
    """
    A line costs as much as an answer; one in a hundred tells enough.
    """
    gateway = Gateway(tmp_path)

    async with silent_room(gateway, "quota"), gateway.running(_narrow) as client:
        asking = [asyncio.ensure_future(client.post("/v1/reservations", data=b"{}")) for _ in range(2)]
        statuses = [(await next(asyncio.as_completed(asking))).status]
        while len(statuses) < 200:
            async with client.delete("/v1/reservations/rsv_1") as answer:
                statuses.append(answer.status)
        for task in asking:
            task.cancel()

    lines = (tmp_path / "failures.log").read_text().splitlines()
    assert {503} == set(statuses)
    assert len([line for line in lines if '"status":503' in line]) < 50
