"""
Who is told what, whatever becomes of the others in the same pass: passes here answer what they are told to.

Fast, and none of them asks Valkey for anything: the planted bugs of `tests/mutations` are caught by them.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from kernel.errors import Permanent, Retryable
from services.quota.domain.decisions import Ask, Decision, Held, HoldState, Outcome, Refusal, Refused
from services.quota.domain.gate import Gate
from services.quota.stores.batching import CROWD
from services.quota.stores.steps import SoldOut
from tests.integration.quota_room import Room, ask, room_of

FULL = "bandung.20261130.midday.regular.online"


@pytest.fixture
async def room(valkey: Any) -> Room:
    """
    No slots: nothing is decided.
    """
    return room_of(valkey)


class _Scripted:
    """
    Passes that answer what they are told to, and note what they were asked.
    """

    def __init__(self, *outcomes: Outcome, sold_out: Sequence[SoldOut] = ()) -> None:
        self.outcomes, self.sold_out = list(outcomes), list(sold_out)
        self.asked: list[int] = []
        self.begun, self.go_on = asyncio.Event(), asyncio.Event()

    async def decide(self, asks: Sequence[Ask]) -> tuple[list[Outcome], list[SoldOut]]:
        """What was told, once it may go on."""
        self.asked.append(len(asks))
        self.begun.set()
        await self.go_on.wait()
        return [self.outcomes.pop(0) for _ in asks], self.sold_out


def _held(number: int) -> Held:
    return Held(seats=(number,), pay_by_ms=1, state=HoldState.HELD, replayed=False)


async def _turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_everybody_gets_his_own_answer_and_trouble_is_its_askers_alone(room: Room) -> None:
    """
    Places, a fault and a refusal each reach whom they concern, in whatever company they were asked for.
    """
    told: list[Outcome] = [_held(1), _held(2), Permanent("his alone"), Refused(why=Refusal.SOLD_OUT), _held(3)]
    scripted = _Scripted(*told)
    scripted.go_on.set()
    decider = room.batching(lanes=1, passes=scripted)

    answers = await asyncio.gather(*(decider.decide(ask()) for _ in told), return_exceptions=True)

    assert [repr(one) for one in told] == [repr(one) for one in answers]
    assert 0 == decider.underway


async def test_who_asks_twice_at_once_is_asked_for_one_after_the_other(room: Room) -> None:
    """
    Three asks of one account are three passes, and nobody is forgotten.
    """
    scripted = _Scripted(_held(1), _held(2), _held(3))
    scripted.go_on.set()
    decider = room.batching(passes=scripted, wait_max_seconds=0.5)

    async with asyncio.timeout(3):
        answers = await asyncio.gather(*(decider.decide(ask(account_id="acc_1")) for _ in range(3)))

    assert [(1,), (2,), (3,)] == [one.seats for one in answers if isinstance(one, Held)]
    assert [1, 1, 1] == scripted.asked


async def test_an_asker_who_leaves_takes_nobodys_answer_along(room: Room) -> None:
    """
    He lets go while the pass is out: his neighbours hear theirs.
    """
    scripted = _Scripted(_held(1), _held(2), _held(3))
    decider = room.batching(lanes=1, passes=scripted)
    leaver, *others = [decider.decide(ask()) for _ in range(3)]
    await scripted.begun.wait()
    leaver.cancel()
    scripted.go_on.set()
    _, forgotten = await asyncio.wait(others, timeout=2)

    assert set() == forgotten
    assert [_held(2), _held(3)] == [one.result() for one in others]


async def test_two_crowds_that_come_back_together_leave_both_lanes_free(room: Room) -> None:
    """
    Nothing is under way after their answers, and the next two crowds are out together as well.
    """
    crowd = 20
    scripted = _Scripted(*[_held(number) for number in range(4 * crowd)])
    decider = room.batching(passes=scripted, batch_max=crowd)
    for both in ([crowd] * 2, [crowd] * 4):
        scripted.go_on.clear()
        answers = [decider.decide(ask()) for _ in range(2 * crowd)]
        await _turns(3)
        assert both == scripted.asked
        scripted.go_on.set()
        await asyncio.gather(*answers)
        async with asyncio.timeout(1):
            await decider.settle()


class _InTurn(_Scripted):
    """
    Passes that come back one by one.
    """

    def __init__(self, *outcomes: Outcome) -> None:
        super().__init__(*outcomes)
        self.back: list[asyncio.Event] = []

    async def decide(self, asks: Sequence[Ask]) -> tuple[list[Outcome], list[SoldOut]]:
        """Told when its own event is set."""
        self.asked.append(len(asks))
        self.back.append(asyncio.Event())
        await self.back[-1].wait()
        return [self.outcomes.pop(0) for _ in asks], []


async def test_no_fewer_leave_at_once_than_are_out(room: Room) -> None:
    """
    Beside a pass that is half as large again as a crowd one less than it waits for the turn to be over.
    """
    some = CROWD + CROWD // 2
    in_turn = _InTurn(*[_held(number) for number in range(2 * CROWD + 2 * some)])
    decider = room.batching(passes=in_turn)
    answers = [decider.decide(ask()) for _ in range(2 * CROWD)]
    await _turns(3)
    answers += [decider.decide(ask()) for _ in range(some)]
    for back in (0, 1):
        in_turn.back[back].set()
        await _turns(6)
    assert [CROWD, CROWD, some] == in_turn.asked

    answers += [decider.decide(ask()) for _ in range(some - 1)]
    assert [CROWD, CROWD, some] == in_turn.asked
    answers.append(decider.decide(ask()))
    await _turns(3)
    assert [CROWD, CROWD, some, some] == in_turn.asked

    for back in in_turn.back:
        back.set()
    assert len(answers) == len({one.seats for one in await asyncio.gather(*answers) if isinstance(one, Held)})


async def test_whatever_goes_wrong_in_telling_one_the_others_hear_theirs(room: Room) -> None:
    """
    He who cannot hear is told once, and nobody else is told anything but his own.
    """
    scripted = _Scripted(_held(1), _held(2))
    scripted.go_on.set()
    decider = room.batching(lanes=1, passes=scripted)
    told: list[Outcome] = []

    def deaf(outcome: Outcome) -> None:
        told.append(outcome)
        raise LookupError

    decider.ask(ask(), deaf)
    other = await decider.decide(ask())
    await decider.settle()

    assert ([_held(1)], _held(2)) == (told, other)


async def test_who_asks_again_when_he_is_told_is_in_the_next_pass(room: Room) -> None:
    """
    As on a connection where the next request has come already.
    """
    scripted = _Scripted(_held(1), _held(2), _held(3))
    scripted.go_on.set()
    decider = room.batching(lanes=1, passes=scripted)
    again: list[asyncio.Future[Decision]] = []

    decider.ask(ask(account_id="acc_1"), lambda _: again.append(decider.decide(ask(account_id="acc_1"))))
    other = await decider.decide(ask())

    async with asyncio.timeout(2):
        assert (_held(2), _held(3)) == (other, await again[0])
    assert [2, 1] == scripted.asked


async def test_who_asks_again_on_hearing_that_nobody_knows_keeps_nobody_from_hearing_it(room: Room) -> None:
    """
    While the store is silent.
    """
    scripted = _Scripted(*[_held(number) for number in range(4)])
    decider = room.batching(batch_max=1, lanes=1, passes=scripted, wait_max_seconds=0.05)
    told: list[Outcome] = []
    asked_again: list[asyncio.Future[Decision]] = []
    all_told = asyncio.Event()

    def hears(outcome: Outcome) -> None:
        told.append(outcome)
        asked_again.append(decider.decide(ask()))
        if len(told) == 3:
            all_told.set()

    for _ in range(3):
        decider.ask(ask(), hears)
    async with asyncio.timeout(2):
        await all_told.wait()
    assert [Retryable] * 3 == [type(one) for one in told]
    scripted.go_on.set()
    await asyncio.gather(*asked_again, return_exceptions=True)


async def test_the_gate_stays_shut_for_as_long_as_was_said(room: Room) -> None:
    """
    From the sending of the question on: no worker refuses by itself for longer.
    """
    gate, asked = Gate(), ask(FULL)
    scripted = _Scripted(Refused(why=Refusal.SOLD_OUT), sold_out=[SoldOut(FULL, 0, 0.5, "")])
    scripted.go_on.set()
    loop = asyncio.get_running_loop()

    await room.batching(passes=scripted, gate=gate).decide(asked)

    assert gate.refuses(ask(FULL), loop.time())
    assert not gate.refuses(ask(FULL), loop.time() + 0.5)
