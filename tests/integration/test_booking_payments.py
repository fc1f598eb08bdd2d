"""
Payments, invoices, expiry and cancelling in every order: each booking ends in one way, and it is told once.
"""

import itertools
from collections.abc import AsyncIterator

import asyncpg
import pytest

from contracts.events import BookingConfirmed, BookingPaidNoSeat
from kernel.errors import Permanent
from kernel.postgres import Database
from services.booking.domain.lifecycle import FIRST, TRANSITIONS, State
from services.booking.use_cases.cancelling import cancel
from services.booking.use_cases.expiring import sweep
from tests.integration.booking_room import AMOUNT_RUPIAH, Room, booking_id, booking_room

STEPS = ("invoice", "pay", "expire", "cancel")
ORDERS = [order for size in range(1, 5) for order in itertools.permutations(STEPS, size)]

BEGUN_EXPIRED = """
    INSERT INTO booking
    SELECT (jsonb_populate_record(b, '{"booking_id": "x", "state": "expired"}')).* FROM booking AS b
"""
BEGUN_AS = """
    INSERT INTO booking (booking_id, account_id, slot_id, seats, person_ids, state, pay_by, held_at, partition, epoch,
        seq, billing_code, virtual_account, amount_rupiah, ntpn, paid_at, reason)
    VALUES ($1, 'a', 's', '{1}', '{p}', $2, now(), now(), 0, 1, 1, 'b', 'v', 1, 'n', now(), 'r')
"""


@pytest.fixture
async def room(database: str) -> AsyncIterator[Room]:
    async with booking_room(database) as opened:
        yield opened


async def _overdue(db: Database, name: str) -> None:
    async with db.connection() as connection:
        await connection.execute(
            "UPDATE booking SET pay_by = now() - interval '1 second' WHERE booking_id = $1", booking_id(name)
        )


async def _take(room: Room, step: str, name: str) -> None:
    if step == "invoice":
        await room.hear_payment(room.invoice(name))
    elif step == "pay":
        await room.hear_payment(room.paid(name, late=True))
    elif step == "expire":
        await _overdue(room.db, name)
        await sweep(room.db, room.visits)
    else:
        async with room.db.transaction() as connection:
            await cancel(connection, booking_id(name), account_id="acc_1", reason="other")


def _expected(order: tuple[str, ...]) -> str:
    """
    What the rules say, told independently of the code: what happens first to an unpaid booking decides.
    """
    decisive = [step for step in order if step != "invoice"]
    if not decisive:
        return "awaiting_payment"
    if decisive[0] == "pay":
        return "cancelled" if "cancel" in decisive else "confirmed"
    ended = {"expire": "expired", "cancel": "cancelled"}[decisive[0]]
    return "paid_no_seat" if "pay" in decisive else ended


async def test_every_order_of_events_ends_in_one_way_and_tells_it_once(room: Room) -> None:
    """
    All 64 orders of up to four events, and each event delivered again afterwards.
    """
    ends: dict[tuple[str, ...], str | None] = {}
    for number, order in enumerate(ORDERS):
        name = f"order-{number}"
        await room.record(room.held(name, seats=(number + 1,), slot_id=room.slot_id))
        for step in (*order, *(step for step in order if step in {"invoice", "pay"})):
            await _take(room, step, name)
        ends[order] = await room.state(name)
        told = await room.told(name)
        assert len(set(told)) == len(told), f"{order} told {told}"
        assert f"booking.{ends[order]}.v1" == told[-1], f"{order} told {told}"

    assert {order: _expected(order) for order in ORDERS} == ends


async def test_after_the_end_of_a_booking_its_places_and_people_are_free(room: Room) -> None:
    """
    Only a state that keeps them has active rows.
    """
    await room.record(room.held("kept", seats=(1, 2)), room.held("ended", seats=(3, 4)))
    await room.hear_payment(room.paid("kept"))
    await _take(room, "expire", "ended")

    assert [2, 2] == [
        await room.count("SELECT count(*) FROM booking_seat"),
        await room.count("SELECT count(*) FROM booking_person"),
    ]


async def test_an_invoice_and_its_payment_in_one_batch_are_two_steps(room: Room) -> None:
    """
    A consumer that lags sees both at once.
    """
    await room.record(room.held("one"))
    await room.hear_payment(room.invoice("one"), room.paid("one"))

    confirmed = await room.event("one", BookingConfirmed)
    assert isinstance(confirmed, BookingConfirmed)
    assert ["booking.held.v1", "booking.awaiting_payment.v1", "booking.confirmed.v1"] == await room.told("one")
    assert ("0000000000000001", AMOUNT_RUPIAH, 3) == (
        confirmed.ntpn,
        confirmed.amount_rupiah,
        confirmed.booking.version,
    )


async def test_a_late_payment_for_a_displaced_booking_is_listed(room: Room) -> None:
    """
    The money is named with the booking it was for.
    """
    await room.record(room.held("first"), room.held("late"))
    await room.hear_payment(room.paid("late", late=True))

    listed = await room.event("late", BookingPaidNoSeat)
    assert isinstance(listed, BookingPaidNoSeat)
    assert "paid_no_seat" == await room.state("late")
    assert AMOUNT_RUPIAH == listed.amount_rupiah


async def test_a_second_payment_does_not_move_a_confirmed_booking(room: Room) -> None:
    """
    It is logged and counted; the payment room lists it.
    """
    await room.record(room.held("one"))
    await room.hear_payment(room.paid("one"), room.paid("one", ntpn="0000000000000002"))

    assert "confirmed" == await room.state("one")
    assert ["booking.held.v1", "booking.confirmed.v1"] == await room.told("one")


async def test_news_about_an_unknown_booking_is_refused_for_good(room: Room) -> None:
    """
    It goes to the dead topic with its reason instead of being swallowed; nothing is noted as taken.
    """
    with pytest.raises(Permanent, match="unknown booking"):
        await room.hear_payment(room.paid("nobody"))

    assert 0 == await room.count("SELECT count(*) FROM inbox")


async def test_postgres_allows_exactly_the_steps_of_the_domain(room: Room) -> None:
    """
    One table, written down twice; this holds the two together.
    """
    pairs = list(itertools.product(State, State))
    async with room.db.connection() as connection:
        allowed = {
            (before, after)
            for before, after in pairs
            if await connection.fetchval("SELECT booking_may_become($1, $2)", before.value, after.value)
        }

    assert {(before, after) for before in State for after in TRANSITIONS[before]} == allowed


async def test_postgres_refuses_every_other_step_whoever_asks(room: Room) -> None:
    """
    The trigger stops a hand-written UPDATE too, and a version that does not follow.
    """
    await room.record(room.held("one"))
    async with room.db.connection() as connection:
        for statement in (
            "UPDATE booking SET state = 'served', version = version + 1",
            "UPDATE booking SET state = 'expired'",
            "UPDATE booking SET version = version + 2",
            "UPDATE booking SET state = 'confirmed', version = version + 1",
            "UPDATE booking SET state = 'nonsense', version = version + 1",
            BEGUN_EXPIRED,
        ):
            with pytest.raises(asyncpg.CheckViolationError):
                await connection.execute(statement)

    assert "held" == await room.state("one")


async def test_every_state_may_be_begun_only_as_the_domain_says(room: Room) -> None:
    """
    A life begins held or displaced.
    """
    await room.record(room.held("one"))
    begun = set()
    async with room.db.connection() as connection:
        for state in State:
            try:
                async with connection.transaction():
                    await connection.execute(BEGUN_AS, f"begun-{state}", state.value)
            except asyncpg.CheckViolationError:
                continue
            begun.add(state)

    assert set(FIRST) == begun
