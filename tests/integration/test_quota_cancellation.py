"""
What happens when askers go away, and when no answer comes: nothing is lost, doubled or crossed.
"""

import asyncio
import random
from typing import Any

import aiohttp
import pytest

from kernel.settings import ValkeySettings
from kernel.valkey import valkey_client
from services.quota.domain.decisions import Held
from services.quota.domain.gate import Gate
from services.quota.stores.valkey import Valkey
from services.quota.use_cases.reservations import Reservations
from tests.integration.quota_door import Api, refused, served
from tests.integration.quota_room import SLOT, ask, plan, room_of

FAR = "makassar.20261130.morning.regular.online"


async def test_no_answer_in_time_is_unknown_and_the_same_key_finds_out(
    valkey: Any, aiohttp_client: Any, eventually: Any
) -> None:
    """
    While Valkey stands still the answer is 503 with the reservation's id; later the same request is a replay or a hold.
    """
    room = room_of(valkey)
    await room.holds.apply([plan(SLOT)])
    app, work = await served(room, decide_deadline_seconds=0.2)
    api = Api(await aiohttp_client(app), room, work)
    await valkey.execute_command("CLIENT", "PAUSE", 800, "WRITE")
    status, code, body = await refused(await api.reserve(persons=2))
    await work.settle()
    answer = await api.reserve(persons=2)
    held = await answer.json()

    assert (503, "outcome_unknown", held["reservation_id"]) == (status, code, body["reservation_id"])
    assert (201, [1, 2], "true") == (answer.status, held["seats"], answer.headers["Idempotency-Replayed"])
    assert 1 == len(await room.records("hold"))


async def test_askers_who_hang_up_never_get_or_give_anothers_answer(
    valkey: Any, stores: Any, aiohttp_client: Any
) -> None:
    """
    Hundreds of clients over three connections to Valkey, a third of them hang up at random moments:
    every answer that arrives is its asker's own, and whoever was cut off finds his own by asking again.
    """
    settings = ValkeySettings(url=stores.valkey_url, connections_max=3, call_timeout_seconds=5.0)
    async with valkey_client(settings) as few:
        room = room_of(few)
        await room.holds.apply([plan(SLOT, capacity=2000), plan(FAR, capacity=2000)])
        app, work = await served(room)
        api = Api(await aiohttp_client(app), room, work)
        chance = random.Random(4)  # noqa: S311 - the moments, not a secret
        tasks = []
        for number in range(300):
            where, persons = chance.choice((SLOT, FAR)), chance.randint(1, 5)
            tasks.append(
                (number, where, persons, asyncio.ensure_future(api.reserve(where, who=f"{number}x", persons=persons)))
            )
        for _, _, _, task in chance.sample(tasks, 100):
            await asyncio.sleep(chance.random() * 0.004)
            task.cancel()
        for number, where, persons, task in tasks:
            try:
                answer = await task
            except (asyncio.CancelledError, aiohttp.ClientError):
                answer = await api.reserve(where, who=f"{number}x", persons=persons)
            body = await answer.json()
            expected = (201, where, [f"per_{number}x{one}" for one in range(persons)], persons)
            assert expected == (answer.status, body["slot_id"], body["person_ids"], len(body["seats"]))
        await work.settle()
        holds = await room.records("hold")
    sold = [(hold["slot_id"], seat) for hold in holds for seat in hold["seats"]]

    assert (300, len(sold)) == (len(holds), len(set(sold)))


async def test_a_call_cancelled_at_any_await_never_crosses_replies(stores: Any, valkey: Any) -> None:
    """
    Below the shield too: cancelled calls, scripts and pipelines leave no reply behind for the next one.
    """
    chance = random.Random(7)  # noqa: S311 - the moments, not a secret
    settings = ValkeySettings(url=stores.valkey_url, connections_max=2, call_timeout_seconds=5.0)
    async with valkey_client(settings) as few:
        store = Valkey(few, timeout_seconds=5.0, calls_max=2)

        async def echo(number: int) -> tuple[int, list[int]]:
            if number % 3:
                return number, [int(await store.call("ECHO", number))]
            return number, [int(one) for one in await store.many([("ECHO", number), ("ECHO", number)])]

        tasks = [asyncio.ensure_future(echo(number)) for number in range(1500)]
        for task in chance.sample(tasks, 500):
            for _ in range(chance.randint(0, 3)):
                await asyncio.sleep(0)
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)

    answered = [result for result in results if isinstance(result, tuple)]
    assert all({number} == set(echoes) for number, echoes in answered)
    assert len(answered) >= 1000
    assert all(isinstance(result, tuple | asyncio.CancelledError) for result in results)


async def test_a_decision_outlives_its_asker_and_the_drain_waits_for_it(valkey: Any) -> None:
    """
    Cancelling the asker cancels nothing that has begun.
    """
    room = room_of(valkey)
    await room.holds.apply([plan(SLOT)])
    decider = room.batching()
    counter = Reservations(decider, Gate(), room.catalogue(), room.free)
    asked = ask()
    asker = asyncio.ensure_future(counter.reserve(asked))
    await asyncio.sleep(0)
    asker.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asker
    await decider.settle()
    decision = await counter.reserve(asked)

    assert isinstance(decision, Held)
    assert decision.replayed


async def test_whoever_waits_for_a_connection_is_not_overtaken(valkey: Any) -> None:
    """
    With one connection and many callers that come again at once, answers come in the order of asking.
    """
    store = Valkey(valkey, timeout_seconds=5.0, calls_max=1)
    order: list[int] = []

    async def ask_thrice(number: int) -> None:
        for _ in range(3):
            await store.call("PING")
            order.append(number)

    await asyncio.gather(*(ask_thrice(number) for number in range(20)))

    assert list(range(20)) * 3 == order
