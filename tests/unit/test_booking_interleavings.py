"""
The race {pay, expire, cancel, resell}: every order of what people do and of what the rooms hear of it.

A model of two rooms and the lines between them. What booking decides it asks of the real
functions of the domain; quota is a table of seats. The graph of everything that can happen is
walked whole: every reachable end is looked at, and the schedules that lead there are counted.
"""

import dataclasses
import datetime as dt
import functools
from collections.abc import Iterator

import pytest

from services.booking.domain.lifecycle import (
    KEEPS_PERSONS,
    KEEPS_PLACES,
    TRANSITIONS,
    UNPAID,
    Cancellation,
    Payment,
    State,
    cancellation_means,
    payment_means,
)
from services.booking.domain.wishes import Why, is_listed_after_refusal, may_move

SCHEDULES_MIN = 10_000
TODAY = dt.date(2026, 11, 30)
TOMORROW = TODAY + dt.timedelta(days=1)
PAYER, RIVAL, OTHER, MOVED = "payer", "rival", "other", "moved"
"""Two more people want the seat; `moved` is the booking the payer's wish becomes."""
PERSON = {PAYER: "p", MOVED: "p", RIVAL: "r", OTHER: "o"}


@dataclasses.dataclass(frozen=True)
class World:
    """
    Everything there is, at one moment. Lines are first in, first out, as a partition of Kafka is.
    """

    todo: frozenset[str]
    """What people and clocks will do yet, in any order."""
    free: frozenset[int]
    taken: tuple[tuple[str, int], ...]
    """Quota's table: who has which seat."""
    states: tuple[tuple[str, State], ...]
    seats: tuple[tuple[str, int], ...]
    """Booking's: which seat each booking was given."""
    ntpn: str | None = None
    wish: str = "none"
    told: tuple[tuple[str, str], ...] = ()
    """Booking to quota."""
    answers: tuple[tuple[str, str, int], ...] = ()
    """Quota to booking."""

    @property
    def known(self) -> dict[str, State]:
        """
        The bookings that are recorded.
        """
        return dict(self.states)

    def put(self, booking: str, state: State) -> "World":
        """
        A booking in another state; Postgres would refuse a step that is not in the table.
        """
        before = self.known.get(booking)
        assert before is None or state in TRANSITIONS[before], f"{booking}: {before} cannot become {state}"
        return dataclasses.replace(self, states=tuple(sorted({**self.known, booking: state}.items())))

    def tell(self, what: str, booking: str) -> "World":
        """
        Booking says something to quota.
        """
        return dataclasses.replace(self, told=(*self.told, (what, booking)))


def begin(*, todo: frozenset[str], seats: int) -> World:
    """
    The payer holds seat 1, told and recorded.
    """
    return World(
        todo=todo,
        free=frozenset(range(2, seats + 1)),
        taken=((PAYER, 1),),
        states=((PAYER, State.HELD),),
        seats=((PAYER, 1),),
    )


def nexts(world: World) -> Iterator[World]:
    """
    Every world that can come next: somebody acts, or somebody hears what stands first in his line.
    """
    for act in sorted(world.todo):
        yield ACTS[act](dataclasses.replace(world, todo=world.todo - {act}))
    if world.told:
        yield _quota_hears(world)
    if world.answers:
        yield _booking_hears(world)


def _invoice(world: World) -> World:
    return world.put(PAYER, State.AWAITING_PAYMENT) if world.known[PAYER] is State.HELD else world


def _expire(world: World) -> World:
    if world.known[PAYER] not in UNPAID:
        return world
    return world.put(PAYER, State.EXPIRED).tell("ended", PAYER)


def _cancel(world: World) -> World:
    meaning = cancellation_means(world.known[PAYER], today=TODAY, visit_on=TOMORROW)
    if meaning is not Cancellation.GRANTED:
        return world
    return world.put(PAYER, State.CANCELLED).tell("ended", PAYER)


def _pay(world: World, *, ntpn: str, in_time: bool) -> World:
    meaning = payment_means(world.known[PAYER], known_ntpn=world.ntpn, ntpn=ntpn, in_time=in_time)
    if meaning in {Payment.IS_REPEATED, Payment.IS_A_SECOND_ONE}:
        return world
    paid = dataclasses.replace(world, ntpn=ntpn)
    if meaning is Payment.CONFIRMS:
        return paid.put(PAYER, State.CONFIRMED)
    if meaning is Payment.HAS_NO_SEAT:
        return paid.put(PAYER, State.PAID_NO_SEAT)
    return dataclasses.replace(paid, wish="asked").tell("wanted", MOVED)


def _reserve(world: World, *, who: str) -> World:
    """
    Somebody asks quota, and gets the first free seat.
    """
    return _take(world, who, min(world.free)) if world.free else world


def _take(world: World, who: str, seat: int) -> World:
    return dataclasses.replace(
        world,
        free=world.free - {seat},
        taken=tuple(sorted((*world.taken, (who, seat)))),
        answers=(*world.answers, ("held", who, seat)),
    )


def _quota_hears(world: World) -> World:
    (what, booking), *rest = world.told
    world = dataclasses.replace(world, told=tuple(rest))
    if what == "wanted":
        if not world.free:
            return dataclasses.replace(world, answers=(*world.answers, ("refused", booking, 0)))
        own = dict(world.seats)[PAYER]
        return _take(world, booking, own if own in world.free else min(world.free))
    back = {seat for who, seat in world.taken if who == booking}
    taken = tuple(each for each in world.taken if each[0] != booking)
    return dataclasses.replace(world, free=world.free | back, taken=taken)


def _booking_hears(world: World) -> World:
    (what, booking, seat), *rest = world.answers
    world = dataclasses.replace(world, answers=tuple(rest))
    if what == "refused":
        return _without_places(world)
    world = dataclasses.replace(world, seats=(*world.seats, (booking, seat)))
    if booking != MOVED:
        return world.put(booking, State.HELD if _is_free(world, booking, seat) else State.DISPLACED)
    old = world.known[PAYER]
    if may_move(Why.RESEAT, old, ntpn=world.ntpn) and _is_free(world, booking, seat):
        moved = world.put(PAYER, State.RESCHEDULED).put(MOVED, State.HELD).put(MOVED, State.CONFIRMED)
        return dataclasses.replace(moved, wish="held").tell("ended", PAYER)
    return _without_places(world.put(MOVED, State.DISPLACED).tell("ended", MOVED))


def _without_places(world: World) -> World:
    world = dataclasses.replace(world, wish="refused")
    if is_listed_after_refusal(Why.RESEAT, world.known[PAYER]):
        return world.put(PAYER, State.PAID_NO_SEAT)
    return world


def _is_free(world: World, booking: str, seat: int) -> bool:
    """
    The unique indexes of Postgres: the seat is nobody else's, the person is not busy elsewhere.
    """
    others = {who: state for who, state in world.states if who not in {booking, PAYER}} | (
        {} if booking == MOVED else {PAYER: world.known[PAYER]}
    )
    seats = dict(world.seats)
    return not any(
        (state in KEEPS_PLACES and seats[who] == seat) or (state in KEEPS_PERSONS and PERSON[who] == PERSON[booking])
        for who, state in others.items()
    )


ACTS = {
    "invoice": _invoice,
    "expire": _expire,
    "cancel": _cancel,
    "pay": functools.partial(_pay, ntpn="n1", in_time=True),
    "pay late": functools.partial(_pay, ntpn="n1", in_time=False),
    "hear of the payment again": functools.partial(_pay, ntpn="n1", in_time=True),
    "pay twice": functools.partial(_pay, ntpn="n2", in_time=True),
    "rival reserves": functools.partial(_reserve, who=RIVAL),
    "other reserves": functools.partial(_reserve, who=OTHER),
}
RACE = frozenset({"invoice", "expire", "cancel", "rival reserves", "other reserves"})


def walk(first: World) -> tuple[int, set[World]]:
    """
    How many schedules there are from here to an end, and all the ends. Looks at every world on the way.
    """
    ends: set[World] = set()
    counted: dict[World, int] = {}

    def count(world: World) -> int:
        if world not in counted:
            _look(world)
            after = list(nexts(world))
            if not after:
                ends.add(world)
            counted[world] = sum(count(each) for each in after) if after else 1
        return counted[world]

    return count(first), ends


def _look(world: World) -> None:
    """
    What is true at every moment: no seat twice, and money is with its places, on its way to some, or listed.
    """
    seats = dict(world.seats)
    kept = [seats[who] for who, state in world.states if state in KEEPS_PLACES]
    assert len(set(kept)) == len(kept), f"a seat twice: {world}"
    if world.ntpn is not None and not _confirmed(world) and not _forfeited(world):
        seeking = world.wish == "asked" and (world.told or world.answers)
        assert seeking or world.known[PAYER] is State.PAID_NO_SEAT, f"silent money: {world}"


def _confirmed(world: World) -> bool:
    return State.CONFIRMED in {world.known[PAYER], world.known.get(MOVED)}


def _forfeited(world: World) -> bool:
    """
    Confirmed, and then given up by its holder: the fee is not given back, and nobody seeks places for it.
    """
    return world.known[PAYER] is State.CANCELLED and world.wish == "none"


@pytest.mark.parametrize("seats", [1, 2, 3])
@pytest.mark.parametrize(
    "money",
    [
        {"pay"},
        {"pay late", "pay twice"},
        {"pay", "hear of the payment again"},
        {"pay", "pay twice"},
    ],
    ids=lambda money: " and ".join(sorted(money)),
)
def test_in_every_order_money_ends_confirmed_or_listed_and_no_seat_is_had_twice(seats: int, money: set[str]) -> None:
    """
    Payment, expiry, cancelling and resale, and every delay between the rooms.
    """
    schedules, ends = walk(begin(todo=RACE | money, seats=seats))
    kinds = {_end(world) for world in ends}

    assert schedules >= SCHEDULES_MIN
    assert {"confirmed", "listed", "forfeited"} >= kinds
    assert "listed" in kinds if seats == 1 or "pay late" in money else "confirmed" in kinds
    assert all(_quota_agrees(world) for world in ends)


def _end(world: World) -> str:
    if _forfeited(world):
        return "forfeited"
    return "confirmed" if _confirmed(world) else world.known[PAYER].value.replace("paid_no_seat", "listed")


def _quota_agrees(world: World) -> bool:
    """
    When everything is heard, quota's table and booking's are the same.
    """
    seats = dict(world.seats)
    return dict(world.taken) == {who: seats[who] for who, state in world.states if state in KEEPS_PLACES}


def test_money_in_time_finds_a_seat_again_while_there_is_one() -> None:
    """
    With nobody else in the way it is always confirmed in the end, unless its payer cancelled a confirmed booking.
    """
    schedules, ends = walk(begin(todo=frozenset({"invoice", "expire", "cancel", "pay"}), seats=2))

    assert {"confirmed", "forfeited"} == {_end(world) for world in ends}
    assert schedules > 24


def test_the_walk_can_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A booking that forgets a refused wish is found out.
    """
    monkeypatch.setitem(globals(), "is_listed_after_refusal", lambda *_: False)

    with pytest.raises(AssertionError, match="silent money"):
        walk(begin(todo=RACE | {"pay"}, seats=1))
