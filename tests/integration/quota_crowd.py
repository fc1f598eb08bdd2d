"""
Families who ask without a pause, and ask again with the same key as long as they do not know.
"""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from contracts.events import ReservationHeld
from kernel.errors import Retryable
from services.quota.domain.decisions import Ask, Decision, Held
from services.quota.domain.facts import event_of
from services.quota.stores.outbox import START
from services.quota.use_cases.reservations import Decides
from tests.integration.quota_room import Room, ask

AT_ONCE = 12
BETWEEN_ASKS_SECONDS = 0.005
BETWEEN_TRIES_SECONDS = 0.03
PATIENCE_SECONDS = 20


class Crowd:
    """
    Asks for the slots in turn, through one decider.
    """

    def __init__(
        self, decider: Decides, slots: Sequence[str], *, whose: Callable[[str], bool] = lambda _: True
    ) -> None:
        """
        `whose`: says of an account id whether that family is in the crowd.
        """
        self._decider = decider
        self._whose = whose
        self._slots = itertools.cycle(slots)
        self._over = False
        self.heard: dict[Ask, Decision] = {}
        """What each ask was told in the end."""
        self.unknown = 0
        """How often somebody was told that it is not known."""

    async def _family(self) -> None:
        while not self._over:
            one = ask(next(self._slots), persons=2)
            if not self._whose(one.account_id):
                continue
            self.heard[one] = await self._insist(one)
            await asyncio.sleep(BETWEEN_ASKS_SECONDS)

    async def _insist(self, one: Ask) -> Decision:
        end = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                return await self._decider.decide(one)
            except Retryable as error:
                if time.monotonic() > end:
                    raise AssertionError(f"nobody knows what became of {one.reservation_id}: {error}") from error
                self.unknown += 1
                await asyncio.sleep(BETWEEN_TRIES_SECONDS)

    @asynccontextmanager
    async def asking(self) -> AsyncIterator[None]:
        """
        As long as the context is open; at its end everybody has heard.
        """
        families = [asyncio.ensure_future(self._family()) for _ in range(AT_ONCE)]
        try:
            yield
        finally:
            self._over = True
            await asyncio.gather(*families)

    def held(self, slot_id: str) -> int:
        """How many have places of a slot."""
        return sum(one.slot_id == slot_id and isinstance(told, Held) for one, told in self.heard.items())

    async def again(self) -> dict[Ask, Decision]:
        """What everybody is told who asks once more."""
        return dict(zip(self.heard, await asyncio.gather(*map(self._insist, self.heard)), strict=True))


async def assert_kept(room: Room, crowd: Crowd) -> None:
    """
    Everybody has what he was told, no number is anybody else's, and books, holds and stream say the same.
    """
    told = {one: said.seats for one, said in crowd.heard.items() if isinstance(said, Held)}
    again = {one: said.seats for one, said in (await crowd.again()).items() if isinstance(said, Held)}
    assert told == again
    numbers = [(one.slot_id, seat) for one, seats in told.items() for seat in seats]
    assert len(numbers) == len(set(numbers))
    holds = await room.records("hold")
    assert {one.reservation_id for one in told} == {hold["reservation_id"] for hold in holds}
    for slot in await room.records("slot"):
        assert slot["capacity"] == slot["free"] + slot["held"] + slot["confirmed"] + slot["withheld"]
        assert slot["held"] == sum(slot["slot_id"] == slot_id for slot_id, _ in numbers)
    assert sorted(one.reservation_id for one in told) == sorted(await _told_in_the_stream(room))


async def _told_in_the_stream(room: Room) -> list[str]:
    reservation_ids: list[str] = []
    for partition in range(room.keys.partitions):
        position, seqs = START, list[int]()
        while entries := await room.outbox.after({partition: position}):
            position = entries[-1].position
            seqs += [one.position.seq for one in entries]
            events = [event_of(one.partition, *one.position, one.fields) for one in entries]
            reservation_ids += [event.reservation_id for event in events if isinstance(event, ReservationHeld)]
        assert list(range(1, len(seqs) + 1)) == seqs
    return reservation_ids
