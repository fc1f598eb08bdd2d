"""
The turnstile lets so many through per turn of the loop, in the order they came.
"""

import asyncio

from kernel.http.turnstile import PIECES_WHILE_FULL, Turnstile


class Visitor:
    """
    Comes to the turnstile once.
    """

    def __init__(self, name: int, inside: list[int], *, gone: bool = False) -> None:
        self.name = name
        self._inside = inside
        self._gone = gone

    def go_on(self) -> bool:
        """
        In, unless gone.
        """
        if not self._gone:
            self._inside.append(self.name)
        return not self._gone


def come(turnstile: Turnstile, visitor: Visitor) -> None:
    if turnstile.lets_through():
        visitor.go_on()
    else:
        turnstile.queue(visitor)


async def test_a_crowd_is_read_over_several_turns_in_its_order() -> None:
    """
    Two in each turn, and nobody overtakes.
    """
    inside: list[int] = []
    turnstile = Turnstile(asyncio.get_running_loop(), lambda: False, per_turn=2)

    seen = []
    for number in range(5):
        come(turnstile, Visitor(number, inside))
    for number in range(5, 9):
        seen.append(len(inside))
        await asyncio.sleep(0)
        come(turnstile, Visitor(number, inside))
    while len(inside) < 9:
        seen.append(len(inside))
        await asyncio.sleep(0)

    assert list(range(9)) == inside
    assert [2, 4, 6, 8] == seen


async def test_one_by_one_nobody_waits() -> None:
    """
    A new turn has all its places again, and an idle turnstile leaves the loop alone.
    """
    inside: list[int] = []
    loop = asyncio.get_running_loop()
    turnstile = Turnstile(loop, lambda: False, per_turn=1)

    for number in range(5):
        come(turnstile, Visitor(number, inside))
        assert number + 1 == len(inside)
        await asyncio.sleep(0)


async def test_who_has_gone_takes_no_place() -> None:
    """
    Those behind go on in their stead.
    """
    inside: list[int] = []
    turnstile = Turnstile(asyncio.get_running_loop(), lambda: False, per_turn=2)

    for number in range(8):
        come(turnstile, Visitor(number, inside, gone=number in {2, 3, 4, 5}))
    await asyncio.sleep(0)

    assert [0, 1, 6, 7] == inside


async def test_a_full_room_reads_few_until_it_is_full_no_more() -> None:
    """
    Those few are refused; the rest wait for the room.
    """
    inside: list[int] = []
    full = [True]
    turnstile = Turnstile(asyncio.get_running_loop(), lambda: full[0], per_turn=100)

    for number in range(300):
        come(turnstile, Visitor(number, inside))
    await asyncio.sleep(0)
    while_full = len(inside)
    full[0] = False
    await asyncio.sleep(0)

    assert 100 + PIECES_WHILE_FULL == while_full
    assert 200 + PIECES_WHILE_FULL == len(inside)


async def test_an_opened_turnstile_lets_everybody_through_at_once() -> None:
    """
    What has arrived is answered before the house closes.
    """
    inside: list[int] = []
    turnstile = Turnstile(asyncio.get_running_loop(), lambda: True, per_turn=1)

    for number in range(20):
        come(turnstile, Visitor(number, inside))
    turnstile.open()

    assert list(range(20)) == inside
