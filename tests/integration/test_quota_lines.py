"""
A line to Valkey that breaks or falls silent in the middle of a batch: unknown is said to whom it concerns, once.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from kernel.errors import Retryable
from kernel.settings import ValkeySettings
from kernel.valkey import valkey_client
from services.quota.domain.decisions import Held, Refusal, Refused
from services.quota.stores.valkey import Valkey
from services.quota.use_cases.looking_after import Sweep
from tests.integration.quota_line import Line, line_to
from tests.integration.quota_room import SLOT, Room, ask, plan, room_of

FAR = "makassar.20261130.morning.regular.online"
FULL = "bandung.20261130.midday.regular.online"


@pytest.fixture
async def room(valkey: Any) -> Room:
    """
    Two slots with places and one without.
    """
    opened = room_of(valkey)
    await opened.holds.apply([plan(SLOT), plan(FAR), plan(FULL, capacity=0)])
    return opened


@pytest.fixture
async def line(stores: Any) -> AsyncIterator[Line]:
    """
    A line that can be cut.
    """
    async with line_to(stores.valkey_url) as opened:
        yield opened


@pytest.mark.parametrize("verb", ["decide", "claim", "reserve"])
@pytest.mark.parametrize(("reaches", "comes_back"), [(False, 0.0), (True, 0.0), (True, 0.5)])
async def test_a_line_cut_in_the_middle_of_a_batch_is_unknown_and_asking_again_finds_one_effect(
    room: Room, line: Line, verb: str, *, reaches: bool, comes_back: float
) -> None:
    """
    Exactly those whose outcome is not known hear so, whether Valkey got the write, and whatever of its reply was read.
    """
    asks, blocked = [ask(persons=1) for _ in range(5)], ask()
    await room.block(blocked, **{blocked.person_ids[0]: f"block:{9**15}"})
    refusal = Refused(why=Refusal.NO_SHOW_BLOCK, who=blocked.person_ids[0], at_ms=9**15)
    async with valkey_client(ValkeySettings(url=line.url, call_timeout_seconds=5.0)) as client:
        far_room = Room(Valkey(client, timeout_seconds=5.0))
        decider = far_room.batching(lanes=1, passes=far_room.whole if verb == "decide" else far_room.stepped)
        await decider.decide(ask(FAR))
        line.break_at(verb, reaches=reaches, comes_back=comes_back)
        cut = await asyncio.gather(*(decider.decide(one) for one in (*asks, blocked)), return_exceptions=True)
        again = await asyncio.gather(*(decider.decide(one) for one in (*asks, blocked)))

    assert [Retryable] * 5 == [type(one) for one in cut[:5]]
    assert (refusal if verb == "reserve" else Retryable) == (cut[5] if verb == "reserve" else type(cut[5]))
    assert refusal == again[5]
    had_been = verb != "claim" and reaches
    assert [(1,), (2,), (3,), (4,), (5,)] == [one.seats for one in again if isinstance(one, Held)]
    assert [had_been] * 5 == [one.replayed for one in again if isinstance(one, Held)]
    assert 6 == len(await room.records("hold"))


async def test_a_refusal_is_told_when_its_claim_is_back_or_nobody_knows_and_the_sweep_does_the_rest(
    room: Room, line: Line
) -> None:
    """
    Who hears "sold out" may ask elsewhere at once. Sold out it is whatever becomes of the claim, which is swept later.
    """
    asked = ask(FULL)
    async with valkey_client(ValkeySettings(url=line.url, call_timeout_seconds=5.0)) as client:
        far_room = Room(Valkey(client, timeout_seconds=0.3))
        decider = far_room.batching(passes=far_room.stepped)
        line.break_at("unclaim", reaches=False, silent=True)
        asker = asyncio.ensure_future(decider.decide(asked))
        await line.broken.wait()
        told_before = asker.done()
        decision = await asker
        left = [record["claimed_for"] for record in await room.records("claim")]
        await Sweep(room.claims).turn(older_than_ms=0)
        swept = [record["claimed_for"] for record in await room.records("claim")]

    assert not told_before
    assert (Refused(why=Refusal.SOLD_OUT), [asked.reservation_id], []) == (decision, left, swept)


async def test_a_pass_without_an_answer_is_overtaken_and_holds_up_nobody_else_for_long(room: Room, line: Line) -> None:
    """
    One connection falls silent: others are decided meanwhile, its accounts' next asks after the deadline of a call.
    """
    stuck_ask, other_ask = ask(account_id="acc_1"), ask(account_id="acc_2")
    again = ask(FAR, account_id="acc_1", key="key-00000002")
    async with valkey_client(ValkeySettings(url=line.url, call_timeout_seconds=5.0)) as client:
        decider = Room(Valkey(client, timeout_seconds=0.3)).batching(lanes=2)
        line.break_at("decide", reaches=False, silent=True)
        stuck, beside = (decider.decide(one) for one in (stuck_ask, other_ask))
        await line.broken.wait()
        behind = decider.decide(again)
        others = await asyncio.gather(*(decider.decide(ask()) for _ in range(3)))
        meanwhile = [one.done() for one in (stuck, beside, behind)]
        ends = await asyncio.gather(stuck, beside, behind, return_exceptions=True)

    assert [Held] * 3 == [type(one) for one in others]
    assert [False, False, False] == meanwhile
    assert [True, True] == [isinstance(one, Retryable) for one in ends[:2]]
    assert isinstance(ends[2], Held)
