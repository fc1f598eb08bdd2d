"""
The real Lua on a real Valkey against a plain Python model of places, plans and holds.
"""

import asyncio
import contextlib
import dataclasses
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from kernel.settings import ValkeySettings
from services.quota.domain.decisions import Ask, Decision, GiveBack, Held, HoldState, Refusal, Refused
from services.quota.domain.facts import event_of
from services.quota.keys import Keys
from services.quota.stores.claims import Claim
from services.quota.stores.opening import open_valkey
from services.quota.stores.outbox import START
from services.quota.stores.scripts import ApplySlotCode, ConfirmCode, ReleaseCode
from services.quota.use_cases.reservations import Decides, ask_of
from tests.integration.quota_room import HOUR_MS, PARTITIONS, SLOT, OneByOne, Room, ask, plan

OTHER_SLOT = "bandung.20261201.midday.electronic.online"
SLOTS = (SLOT, OTHER_SLOT)
PARTITION = Keys(PARTITIONS).partition_of(SLOT)
PATIENCE_SECONDS = 30.0
WINDOWS = {"open": (-HOUR_MS, HOUR_MS), "coming": (HOUR_MS, 2 * HOUR_MS), "over": (-2 * HOUR_MS, -HOUR_MS)}


@dataclasses.dataclass
class ModelHold:
    """
    A hold as anybody would draw it.
    """

    ask: Ask
    seats: tuple[int, ...]
    pay_by_ms: int
    state: HoldState = HoldState.HELD
    give_back_asked: bool = False


@dataclasses.dataclass
class ModelSlot:
    """
    A slot whose counters all follow from the plan, the highest number ever given and the numbers in use.
    """

    version: int = 0
    planned: int = 0
    window: str = "open"
    closed: bool = False
    channel: str = "online"
    given: int = 0
    in_use: dict[int, HoldState] = dataclasses.field(default_factory=dict)

    @property
    def capacity(self) -> int:
        """The plan, but never fewer numbers than were given."""
        return max(self.planned, self.given)

    @property
    def free(self) -> int:
        """What the plan leaves."""
        return max(0, self.planned - len(self.in_use))

    @property
    def unused(self) -> list[int]:
        """Numbers once given that nobody has now."""
        return [seat for seat in range(1, self.given + 1) if seat not in self.in_use]

    @property
    def returned(self) -> list[int]:
        """The lowest of them, as many as the plan has room for."""
        return self.unused[: self.free - (self.capacity - self.given)]

    @property
    def withheld(self) -> list[int]:
        """The others."""
        return self.unused[len(self.returned) :]

    def choose(self, count: int) -> tuple[int, ...]:
        """
        The lowest neighbours, else the lowest.
        """
        offered = [*self.returned, *range(self.given + 1, self.capacity + 1)]
        for seat in offered:
            if all(seat + step in offered for step in range(count)):
                return tuple(range(seat, seat + count))
        return tuple(offered[:count])

    def count(self, state: HoldState) -> int:
        """Numbers in use in a state."""
        return sum(one is state for one in self.in_use.values())


class LedgerMachine(RuleBasedStateMachine):
    """
    Plans come and go, families reserve, repeat, pay, run out of time and change their minds.
    """

    holds = Bundle("holds")
    url = ""
    decides = "whole"

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.exits = contextlib.AsyncExitStack()
        # A disk that stands still for seconds beside other tests is not what is played here.
        settings = ValkeySettings(url=self.url, call_timeout_seconds=PATIENCE_SECONDS)
        self.room = Room(self.run(self.exits.enter_async_context(open_valkey(settings))))
        self.decider: Decides = {
            "whole": self.room.decider,
            "stepped": OneByOne(self.room.stepped),
            "batching": self.room.batching(),
        }[self.decides]
        self.slots = {slot_id: ModelSlot() for slot_id in SLOTS}
        self.told: list[str] = []
        self.plans_applied = 0

    async def decided(self, asked: Ask) -> Decision:
        """The answer of a decider, whatever kind of awaitable it gives."""
        return await self.decider.decide(asked)

    def run(self, work: Any) -> Any:
        """Await in a synchronous machine."""
        return self.loop.run_until_complete(work)

    @initialize()
    def start_empty(self) -> None:
        """An empty Valkey with both slots planned."""
        self.run(self.room.valkey.call("FLUSHALL"))
        for slot_id in SLOTS:
            self._apply(slot_id, version=1, capacity=6, window="open", closed=False)

    def _apply(self, slot_id: str, *, version: int, capacity: int, window: str, closed: bool) -> None:
        model = self.slots[slot_id]
        opens, closes = WINDOWS[window]
        base = plan(slot_id)
        now = base.opens_at_ms + HOUR_MS
        planned = plan(
            slot_id,
            version=version,
            capacity=capacity,
            opens_at_ms=now + opens,
            closes_at_ms=now + closes,
            closed=closed,
        )
        ((code, surplus),) = self.run(self.room.holds.apply([planned]))
        if version <= model.version:
            assert ApplySlotCode.NOT_NEWER is code
            return
        model.version, model.planned, model.window, model.closed = version, capacity, window, closed
        self.told.append("slot_applied")
        self.plans_applied += 1
        assert ApplySlotCode.APPLIED is code
        assert max(0, len(model.in_use) - capacity) == surplus

    @rule(
        slot_id=st.sampled_from(SLOTS),
        capacity=st.integers(0, 12),
        window=st.sampled_from(["open", "open", "open", "coming", "over"]),
        closed=st.sampled_from([False, False, False, True]),
    )
    def plan_anew(self, slot_id: str, capacity: int, window: str, closed: bool) -> None:  # noqa: FBT001 - drawn
        """A newer plan takes effect."""
        version = self.slots[slot_id].version + 1
        self._apply(slot_id, version=version, capacity=capacity, window=window, closed=closed)

    @rule(slot_id=st.sampled_from(SLOTS), capacity=st.integers(0, 12), back=st.integers(0, 3))
    def plan_late(self, slot_id: str, capacity: int, back: int) -> None:
        """An older plan, or the same one again, changes nothing."""
        version = self.slots[slot_id].version - back
        self._apply(slot_id, version=version, capacity=capacity, window="open", closed=False)

    @rule(target=holds, slot_id=st.sampled_from(SLOTS), persons=st.integers(1, 5))
    def reserve(self, slot_id: str, persons: int) -> ModelHold | None:
        """A new family asks."""
        asked = ask(slot_id, persons=persons)
        decision: Decision = self.run(self.decided(asked))
        refusal = self._refusal(slot_id, persons)
        if refusal is not None:
            assert isinstance(decision, Refused)
            assert refusal is decision.why
            return None
        model = self.slots[slot_id]
        assert isinstance(decision, Held)
        assert (model.choose(persons), False) == (decision.seats, decision.replayed)
        model.given = max(model.given, *decision.seats)
        model.in_use.update(dict.fromkeys(decision.seats, HoldState.HELD))
        self.told.append("held")
        return ModelHold(asked, decision.seats, decision.pay_by_ms)

    def _refusal(self, slot_id: str, persons: int) -> Refusal | None:
        model = self.slots[slot_id]
        if model.closed:
            return Refusal.SLOT_CLOSED
        if model.window != "open":
            return Refusal.WINDOW_NOT_OPEN if model.window == "coming" else Refusal.WINDOW_CLOSED
        return Refusal.SOLD_OUT if model.free < persons else None

    @rule(hold=holds)
    def repeat(self, hold: ModelHold | None) -> None:
        """The same request again takes nothing and says the same."""
        if hold is None:
            return
        decision = self.run(self.decided(hold.ask))
        if hold.state is HoldState.RELEASED:
            assert Refused(why=Refusal.ENDED) == decision
        else:
            assert Held(seats=hold.seats, pay_by_ms=hold.pay_by_ms, state=hold.state, replayed=True) == decision

    @rule(hold=holds)
    def repeat_with_another_body(self, hold: ModelHold | None) -> None:
        """The same key with other persons is refused and takes nothing."""
        if hold is None:
            return
        other = msgspec.structs.replace(hold.ask, person_ids=(*hold.ask.person_ids[1:], "per_ffffffffffffffff"))
        decision = self.run(self.decided(other))
        assert Refused(why=Refusal.KEY_REUSED) == decision

    @rule(hold=holds)
    def reserve_a_second_time(self, hold: ModelHold | None) -> None:
        """An account with a reservation gets no other, whatever the slot."""
        if hold is None or hold.state is HoldState.RELEASED:
            return
        again = ask_of(hold.ask.account_id, "another-key-1", OTHER_SLOT, hold.ask.person_ids)
        decision = self.run(self.decided(again))
        assert Refused(why=Refusal.ACCOUNT_ALREADY_RESERVED, who=hold.ask.reservation_id) == decision

    @rule(hold=holds)
    def confirm(self, hold: ModelHold | None) -> None:
        """Booking says paid."""
        if hold is None:
            return
        call = self.room.holds.confirm_call(hold.ask.slot_id, hold.ask.reservation_id)
        (code,) = self.run(self.room.holds.resolve([call]))
        if hold.state is HoldState.HELD:
            hold.state = HoldState.CONFIRMED
            self.slots[hold.ask.slot_id].in_use.update(dict.fromkeys(hold.seats, HoldState.CONFIRMED))
            self.told.append("confirmed")
            assert ConfirmCode.CONFIRMED is code
        else:
            ended = hold.state is HoldState.RELEASED
            assert (ConfirmCode.ENDED if ended else ConfirmCode.ALREADY_CONFIRMED) is code

    @rule(hold=holds, reason=st.sampled_from(["expired", "cancelled"]))
    def release(self, hold: ModelHold | None, reason: str) -> None:
        """Booking says over."""
        if hold is None:
            return
        call = self.room.holds.release_call(hold.ask.slot_id, hold.ask.reservation_id, reason=reason)
        (code,) = self.run(self.room.holds.resolve([call]))
        claim = Claim(hold.ask.account_id, hold.ask.reservation_id, hold.ask.slot_id)
        self.run(self.room.claims.give_back([claim], ended=True))
        if hold.state is HoldState.RELEASED:
            assert ReleaseCode.ALREADY_RELEASED is code
            return
        hold.state = HoldState.RELEASED
        for seat in hold.seats:
            del self.slots[hold.ask.slot_id].in_use[seat]
        self.told.append("released")
        assert ReleaseCode.RELEASED is code

    @rule(hold=holds)
    def ask_to_give_back(self, hold: ModelHold | None) -> None:
        """The holder changes his mind; that alone frees nothing."""
        if hold is None:
            return
        outcome, _ = self.run(self.room.holds.ask_give_back(hold.ask.account_id, hold.ask.reservation_id))
        if hold.give_back_asked:
            assert GiveBack.ALREADY_ASKED is outcome
        elif hold.state is HoldState.HELD:
            hold.give_back_asked = True
            self.told.append("give_back_asked")
            assert GiveBack.ASKED is outcome
        else:
            assert (GiveBack.ENDED if hold.state is HoldState.RELEASED else GiveBack.CONFIRMED) is outcome

    @invariant()
    def the_books_are_the_models(self) -> None:
        """Every counter and every number, for every slot."""
        for record in self.run(self._slots()):
            model = self.slots[record["slot_id"]]
            expected = {
                "capacity": model.capacity,
                "free": model.free,
                "held": model.count(HoldState.HELD),
                "confirmed": model.count(HoldState.CONFIRMED),
                "withheld": len(model.withheld),
                "next_seat": model.given + 1,
                "returned": model.returned,
                "withheld_seats": model.withheld,
            }
            assert expected == {name: record[name] for name in expected}
            assert record["capacity"] == sum(record[name] for name in ("free", "held", "confirmed", "withheld"))

    async def _slots(self) -> list[dict[str, Any]]:
        return [record async for record in self.room.ledger.slots()]

    @invariant()
    def the_stream_is_the_decisions(self) -> None:
        """What is told is every decision that changed something, numbered without a gap."""
        entries = self.run(self.room.outbox.after({PARTITION: START}))
        events = [event_of(one.partition, *one.position, one.fields) for one in entries]
        assert list(range(1, len(self.told) + 1)) == [event.seq for event in events]
        assert self.told == [one.fields.get(b"type", b"held").decode() for one in entries]

    def teardown(self) -> None:
        """Leave nothing open."""
        self.run(self.exits.aclose())
        self.loop.close()


@pytest.mark.parametrize("decides", ["whole", "stepped", "batching"])
def test_the_scripts_keep_the_books_of_the_model(stores: Any, decides: str) -> None:
    """
    Whatever happens in whatever order, the books, the numbers and the stream are those of the model.
    """
    assert _plays(stores.valkey_url, decides=decides, examples_max=60)


def test_the_scripts_keep_the_books_of_the_model_on_a_cluster(valkey_cluster: Any) -> None:
    """
    The same where claims and places are on different servers.
    """
    assert _plays(valkey_cluster.url, decides="batching", examples_max=15)


def _plays(url: str, *, decides: str, examples_max: int) -> bool:
    machine = type("Machine", (LedgerMachine,), {"url": url, "decides": decides})
    assert issubclass(machine, LedgerMachine)
    few = settings(
        max_examples=examples_max, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
    )

    run_state_machine_as_test(machine, settings=few)
    return True


@example(order=[9, 1, 4], keep=0, families=[2, 1])
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    order=st.permutations(range(12)),
    keep=st.integers(0, 12),
    families=st.lists(st.integers(1, 5), min_size=1, max_size=5),
)
def test_scattered_seats_go_to_neighbours_first_and_lowest_first(
    stores: Any, order: list[int], keep: int, families: list[int]
) -> None:
    """
    Twelve sold one by one, some given back in any order: families get what the model chooses.
    """
    machine = type("Machine", (LedgerMachine,), {"url": stores.valkey_url})()
    try:
        machine.start_empty()
        machine._apply(SLOT, version=2, capacity=12, window="open", closed=False)
        singles = [machine.reserve(slot_id=SLOT, persons=1) for _ in range(12)]
        for number in order[keep:]:
            machine.release(hold=singles[number], reason="expired")
        for persons in families:
            machine.reserve(slot_id=SLOT, persons=persons)
        machine.the_books_are_the_models()
        assert machine.told.count("held") >= len(singles)
    finally:
        machine.teardown()
