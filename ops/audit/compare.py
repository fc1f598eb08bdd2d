"""
The judge: every store against itself, then against each other. Pure.

Called by `ops.audit.run` and by the tests that corrupt one store at a time. Every rule is
one generator of findings; a rule that cannot find anything is no rule.
"""

import collections
from collections.abc import Iterator
from typing import Final

from contracts.events.booking import COUNTER_ACCOUNT, MOVE_OVERTAKEN
from ops.audit.evidence import ACTIVE, HOLDING, UNPAID, BookingRow, Evidence, Hold
from ops.audit.findings import Finding, Kind, Store
from ops.audit.replay import check_events

TOLD: Final = frozenset(
    {
        *("awaiting_payment", "confirmed", "expired", "cancelled", "paid_no_seat", "displaced"),
        *("rescheduled", "incomplete", "served", "ready"),
    }
)
"""Steps whose holder is written to; the mail is called as the state."""
_OFFER: Final = "waitlist_offer"
"""How the request for payment is called where the places were offered to who was next in line."""


def judge(evidence: Evidence) -> list[Finding]:
    """
    All findings, in the order of the rules.
    """
    rules = (
        _valkey_balances,
        _valkey_counts_its_holds,
        _valkey_sells_once,
        _postgres_sells_once,
        _holds_are_recorded,
        _bookings_are_held,
        _acknowledgements_stand,
        _payments_stand,
        check_events,
        _mails_arrive_once,
    )
    return [finding for rule in rules for finding in rule(evidence)]


def _valkey_balances(evidence: Evidence) -> Iterator[Finding]:
    for slot in evidence.slots.values():
        if not slot.balanced:
            yield Finding(
                kind=Kind.UNBALANCED,
                store=Store.VALKEY,
                subject=slot.slot_id,
                sentence=f"capacity {slot.capacity} is not free {slot.free} + held {slot.held}"
                f" + confirmed {slot.confirmed} + withheld {slot.withheld}",
            )


def _valkey_counts_its_holds(evidence: Evidence) -> Iterator[Finding]:
    counted: collections.Counter[tuple[str, str]] = collections.Counter()
    for hold in evidence.holding():
        counted[hold.slot_id, hold.state] += len(hold.seats)
    for slot in evidence.slots.values():
        for state, counter in (("held", slot.held), ("confirmed", slot.confirmed)):
            found = counted[slot.slot_id, state]
            if found != counter:
                yield Finding(
                    kind=Kind.UNBALANCED,
                    store=Store.VALKEY,
                    subject=slot.slot_id,
                    sentence=f"counter {state} says {counter}, the holds add up to {found}",
                )


def _valkey_sells_once(evidence: Evidence) -> Iterator[Finding]:
    for slot_id, seats in evidence.seats_by_slot(evidence.holding()).items():
        slot = evidence.slots.get(slot_id)
        on_offer = set(slot.returned) | set(slot.withheld_seats) if slot else set()
        yield from _sold_twice(Store.VALKEY, slot_id, seats)
        for seat in sorted(on_offer.intersection(seats)):
            yield Finding(
                kind=Kind.OVERSOLD,
                store=Store.VALKEY,
                subject=f"{slot_id}#{seat}",
                sentence="the place is held and on offer at once",
            )


def _postgres_sells_once(evidence: Evidence) -> Iterator[Finding]:
    for slot_id, seats in evidence.seats_by_slot(evidence.active()).items():
        yield from _sold_twice(Store.POSTGRES, slot_id, seats)
        slot = evidence.slots.get(slot_id)
        if slot is not None and len(seats) > slot.capacity:
            yield Finding(
                kind=Kind.OVERSOLD,
                store=Store.POSTGRES,
                subject=slot_id,
                sentence=f"{len(seats)} places are booked of {slot.capacity}",
            )


def _sold_twice(store: Store, slot_id: str, seats: list[int]) -> Iterator[Finding]:
    for seat, count in collections.Counter(seats).items():
        if count > 1:
            yield Finding(
                kind=Kind.OVERSOLD,
                store=store,
                subject=f"{slot_id}#{seat}",
                sentence=f"the place is taken {count} times",
            )


def _holds_are_recorded(evidence: Evidence) -> Iterator[Finding]:
    for hold in evidence.holds.values():
        row = evidence.bookings.get(hold.reservation_id)
        if row is None:
            yield _lost(Store.POSTGRES, hold.reservation_id, "held in Valkey, never recorded in Postgres")
        elif (row.slot_id, sorted(row.seats)) != (hold.slot_id, sorted(hold.seats)):
            yield _lost(
                Store.POSTGRES,
                hold.reservation_id,
                f"Valkey holds {hold.slot_id} {sorted(hold.seats)}, Postgres has {row.slot_id} {sorted(row.seats)}",
            )
        elif hold.state in HOLDING and row.state not in ACTIVE:
            yield Finding(
                kind=Kind.UNBALANCED,
                store=Store.VALKEY,
                subject=hold.slot_id,
                sentence=f"{hold.reservation_id} is {row.state} and still keeps its places",
            )


def _bookings_are_held(evidence: Evidence) -> Iterator[Finding]:
    for row in evidence.active():
        hold = evidence.holds.get(row.booking_id)
        if hold is None or hold.state not in HOLDING:
            yield _lost(Store.VALKEY, row.booking_id, f"{row.state} in Postgres, {_state(hold)} in Valkey")
        elif (hold.state == "confirmed") != (row.state not in UNPAID):
            yield Finding(
                kind=Kind.UNBALANCED,
                store=Store.VALKEY,
                subject=row.slot_id,
                sentence=f"{row.booking_id} is {row.state} in Postgres and {hold.state} in Valkey",
            )


def _state(hold: Hold | None) -> str:
    return "unknown" if hold is None else hold.state


def _acknowledgements_stand(evidence: Evidence) -> Iterator[Finding]:
    for ack in evidence.acknowledged:
        row = evidence.bookings.get(ack.reservation_id)
        if row is None:
            yield _lost(Store.CLIENTS, ack.reservation_id, "answered 201, never recorded")
        elif (row.slot_id, row.account_id, sorted(row.seats)) != (ack.slot_id, ack.account_id, sorted(ack.seats)):
            yield _lost(Store.CLIENTS, ack.reservation_id, f"answered {ack.seats}, recorded {row.seats}")


def _payments_stand(evidence: Evidence) -> Iterator[Finding]:
    for payment in evidence.payments:
        row = evidence.bookings.get(payment.booking_id)
        if row is None or row.state in UNPAID | {"expired"} or _cancelled_unpaid(row):
            state = "unknown" if row is None else row.state
            yield _lost(Store.POSTGRES, payment.booking_id, f"paid with {payment.ntpn}, and the booking is {state}")


def _cancelled_unpaid(row: BookingRow) -> bool:
    # Whoever gives a paid place up forfeits the fee: that is known to him, and no money is lost.
    return row.state == "cancelled" and not any(step.state == "confirmed" for step in row.history)


def _mails_of(row: BookingRow) -> Iterator[tuple[str, str]]:
    """
    What the holder of a booking has been written, by template; who was booked at a counter has no address.
    """
    if row.account_id.startswith(COUNTER_ACCOUNT) or row.reason == MOVE_OVERTAKEN:
        return
    states = [step.state for step in row.history]
    for state in set(states) & TOLD:
        yield _OFFER if state == "awaiting_payment" and row.wished_for == "waitlist" else state, row.booking_id
    if states.count("no_show") == 1:
        yield "no_show", row.booking_id
    elif states.count("no_show"):
        yield "pardoned", row.booking_id


def _mails_arrive_once(evidence: Evidence) -> Iterator[Finding]:
    arrived: collections.Counter[tuple[str, str]] = collections.Counter()
    for mail in evidence.mails:
        arrived[mail.template, mail.subject] += 1
    expected = {mail for row in evidence.bookings.values() for mail in _mails_of(row)}
    expected |= {("activation", registration.email) for registration in evidence.registrations}
    # A broker that forgot a registration still told it once: then only a second mail is one too many.
    expected |= {subject for subject in arrived if subject[0] == "activation"}
    for template, subject in sorted(expected | set(arrived)):
        count = arrived[template, subject]
        if count == 0:
            yield Finding(
                kind=Kind.MAIL_MISSING, store=Store.MAILS, subject=f"{template} {subject}", sentence="never arrived"
            )
        elif count > 1 or (template, subject) not in expected:
            yield Finding(
                kind=Kind.MAIL_DUPLICATE,
                store=Store.MAILS,
                subject=f"{template} {subject}",
                sentence=f"arrived {count} times, expected {int((template, subject) in expected)}",
            )


def _lost(store: Store, booking_id: str, sentence: str) -> Finding:
    return Finding(kind=Kind.LOST, store=store, subject=booking_id, sentence=sentence)
