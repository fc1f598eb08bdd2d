"""
Wishes of booking among everything else that happens, against the plain model of places, on both kinds of deciders.
"""

import dataclasses
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, rule, run_state_machine_as_test

from contracts.events import PlacesWanted
from services.quota.domain.decisions import Ask, HoldState
from services.quota.domain.wishes import Answer, Became
from services.quota.stores.claims import Claim
from services.quota.stores.scripts import ReleaseCode
from tests.integration.quota_room import wish
from tests.integration.test_quota_ledger import OTHER_SLOT, SLOT, LedgerMachine, ModelHold

NOWHERE = "makassar.20261130.morning.regular.online"
"""Of another partition, and never planned: a wish is passed over there."""
ORDERS = ((SLOT,), (OTHER_SLOT,), (SLOT, OTHER_SLOT), (OTHER_SLOT, SLOT), (NOWHERE, SLOT), (SLOT, NOWHERE, OTHER_SLOT))
PAY_BY_MS = 7
BROKEN_OFF = ("not", "after the claim", "after the places")


@dataclasses.dataclass
class Told:
    """
    A wish, and the hold it has become if it has.
    """

    wanted: PlacesWanted
    hold: ModelHold | None


class WishesMachine(LedgerMachine):
    """
    Booking wishes, moves, and says both again, sometimes after a crash half way.
    """

    told_wishes = Bundle("told_wishes")

    def _decide(self, wanted: PlacesWanted, broken_off: str = "not") -> Answer:
        wishes = self.room.wishes
        if broken_off != "not":
            (refusal,) = self.run(wishes.claim([wanted]))
            if broken_off == "after the places":
                assert isinstance(refusal, str)
                self.run(wishes.take([(wanted, refusal)]))
        (answer,) = self.run(wishes.decide([wanted]))
        assert isinstance(answer, Answer)
        return answer

    def _expected(self, wanted: PlacesWanted, *, refusal: str = "") -> tuple[str, tuple[int, ...], str]:
        """
        Which slot, which numbers; or why none.
        """
        count, why = len(wanted.person_ids), refusal
        for slot_id in wanted.slot_ids if not refusal else ():
            model = self.slots.get(slot_id)
            why = "unknown_slot" if model is None else "sold_out"
            if model is None or model.free < count:
                continue
            open_now = {*model.returned, *range(model.given + 1, model.capacity + 1)}
            asked_for = (
                slot_id == wanted.slot_ids[0] and len(wanted.seats) == count and open_now.issuperset(wanted.seats)
            )
            return slot_id, tuple(sorted(wanted.seats)) if asked_for else model.choose(count), ""
        return "", (), why

    def _judge(self, wanted: PlacesWanted, broken_off: str, *, refusal: str = "") -> ModelHold | None:
        slot_id, seats, why = self._expected(wanted, refusal=refusal)
        answer = self._decide(wanted, broken_off)
        again = broken_off == "after the places"
        if not slot_id:
            self.told.append("places_refused")
            assert (Became.REFUSED_BEFORE if again else Became.REFUSED) is answer.became
            assert answer.why == ("" if again else why)
            return None
        asked = Ask(
            reservation_id=wanted.booking_id,
            account_id=wanted.account_id,
            slot_id=slot_id,
            person_ids=wanted.person_ids,
            key=wanted.booking_id,
        )
        model = self.slots[slot_id]
        model.given = max(model.given, *seats)
        model.in_use.update(dict.fromkeys(seats, HoldState.HELD))
        self.told.append("held")
        assert (Became.HELD_BEFORE if again else Became.HELD, slot_id) == (answer.became, answer.slot_id)
        shown = self.run(self.room.holds.of_account(wanted.account_id, wanted.booking_id))
        assert shown is not None
        assert (seats, PAY_BY_MS, HoldState.HELD) == (shown.seats, shown.pay_by_ms, shown.state)
        return ModelHold(asked, seats, PAY_BY_MS)

    @rule(
        target=told_wishes,
        order=st.sampled_from(ORDERS),
        persons=st.integers(1, 4),
        seats=st.sets(st.integers(1, 12), max_size=4),
        is_late=st.sampled_from([False, False, False, True]),
        broken_off=st.sampled_from(BROKEN_OFF),
    )
    def wish_for_a_family(
        self,
        order: tuple[str, ...],
        persons: int,
        seats: set[int],
        is_late: bool,  # noqa: FBT001 - drawn
        broken_off: str,
    ) -> Told:
        """The office seats somebody."""
        wanted = wish(*order, persons=persons, seats=tuple(seats), pay_by_ms=PAY_BY_MS)
        if is_late:
            wanted = wish(*order, persons=persons, pay_by_ms=PAY_BY_MS, good_until_ms=1)
        return Told(wanted, self._judge(wanted, broken_off, refusal="too_late" if is_late else ""))

    @rule(
        target=told_wishes,
        told=told_wishes,
        order=st.sampled_from(ORDERS),
        broken_off=st.sampled_from(BROKEN_OFF),
    )
    def move(self, told: Told, order: tuple[str, ...], broken_off: str) -> Told:
        """A confirmed family is moved: its old places go back only when it has others."""
        old = told.hold
        if old is None or old.state is not HoldState.CONFIRMED:
            return told
        wanted = wish(
            *order,
            account_id=old.ask.account_id,
            person_ids=old.ask.person_ids,
            replaces=old.ask.reservation_id,
            why="reschedule",
            pay_by_ms=PAY_BY_MS,
        )
        moved = self._judge(wanted, broken_off)
        if moved is None:
            self.reserve_a_second_time(hold=old)
        else:
            self._reschedule(old)
            self.reserve_a_second_time(hold=moved)
        return Told(wanted, moved)

    def _reschedule(self, hold: ModelHold) -> None:
        asked = hold.ask
        call = self.room.holds.release_call(
            asked.slot_id, asked.reservation_id, reason="rescheduled", confirmed_only=True
        )
        (code,) = self.run(self.room.holds.resolve([call]))
        self.run(self.room.claims.give_back([Claim(asked.account_id, asked.reservation_id, asked.slot_id)], ended=True))
        hold.state = HoldState.RELEASED
        for seat in hold.seats:
            del self.slots[asked.slot_id].in_use[seat]
        self.told.append("released")
        assert ReleaseCode.RELEASED is code

    @rule(target=told_wishes, told=told_wishes, order=st.sampled_from(ORDERS))
    def wish_beside(self, told: Told, order: tuple[str, ...]) -> Told:
        """An account that has a reservation is not given a second one."""
        if told.hold is None or told.hold.state is HoldState.RELEASED:
            return told
        wanted = wish(*order, account_id=told.hold.ask.account_id, pay_by_ms=PAY_BY_MS)
        return Told(wanted, self._judge(wanted, "not", refusal="account_already_reserved"))

    @rule(told=told_wishes)
    def tell_a_wish_again(self, told: Told) -> None:
        """Whatever has become of it, it takes nothing and says nothing."""
        answer = self._decide(told.wanted)
        if told.hold is None:
            assert Became.REFUSED_BEFORE is answer.became
        else:
            ended = told.hold.state is HoldState.RELEASED
            assert (Became.ENDED if ended else Became.HELD_BEFORE) is answer.became

    @rule(told=told_wishes)
    def confirm_a_wish(self, told: Told) -> None:
        """Booking says paid."""
        self.confirm(hold=told.hold)

    @rule(told=told_wishes, reason=st.sampled_from(["expired", "cancelled"]))
    def release_a_wish(self, told: Told, reason: str) -> None:
        """Booking says over."""
        self.release(hold=told.hold, reason=reason)

    @rule(told=told_wishes)
    def repeat_a_wish_at_the_door(self, told: Told) -> None:
        """Whoever knows its id and has its account hears the same from the hot path."""
        self.repeat(hold=told.hold)


@pytest.mark.parametrize("decides", ["whole", "stepped", "batching"])
def test_wishes_keep_the_books_of_the_model(stores: Any, decides: str) -> None:
    """
    Books, numbers, stream and accounts are the model's, whatever is wished for, moved, broken off and told again.
    """
    assert _plays(stores.valkey_url, decides=decides, examples_max=60)


def test_wishes_keep_the_books_of_the_model_on_a_cluster(valkey_cluster: Any) -> None:
    """
    The same where accounts and places are on different servers.
    """
    assert _plays(valkey_cluster.url, decides="batching", examples_max=15)


def _plays(url: str, *, decides: str, examples_max: int) -> bool:
    machine = type("Machine", (WishesMachine,), {"url": url, "decides": decides})
    assert issubclass(machine, WishesMachine)
    few = settings(
        max_examples=examples_max, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
    )
    run_state_machine_as_test(machine, settings=few)
    return True
