"""
The judge of the audit: silent on a true story, and naming the store when any one of them lies.
"""

import msgspec
import pytest

from contracts.events import (
    PlacesRefused,
    QuotaEvent,
    ReservationConfirmed,
    ReservationHeld,
    ReservationReleased,
    SlotApplied,
)
from ops.audit.compare import judge
from ops.audit.evidence import BookingRow, Evidence, Hold, Mail, PaymentRow, Registration, SlotCount, Step
from ops.audit.findings import Finding, Kind, Store, zeros
from ops.release.tally import Acknowledged

SLOT = "bandung.20261130.morning.regular.online"


def steps(*states: str) -> tuple[Step, ...]:
    return tuple(Step(state=state) for state in states)


def told(seq: int, kind: type[QuotaEvent], **fields: object) -> QuotaEvent:
    return kind(partition=7, epoch=1, seq=seq, slot_id=SLOT, at_ms=seq, **fields)  # type: ignore[arg-type]


def held(seq: int, reservation_id: str, *seats: int) -> QuotaEvent:
    people = tuple(f"per_{seat}" for seat in seats)
    return told(
        seq,
        ReservationHeld,
        reservation_id=reservation_id,
        account_id=f"acc_{reservation_id}",
        person_ids=people,
        seats=seats,
        pay_by_ms=99,
    )


TRUE_STORY = Evidence(
    slots={
        SLOT: SlotCount(
            slot_id=SLOT, capacity=10, free=5, held=2, confirmed=3, withheld=0, next_seat=8, returned=(6, 7)
        )
    },
    holds={
        "a": Hold(reservation_id="a", slot_id=SLOT, account_id="acc_a", seats=(1, 2, 3), state="confirmed"),
        "b": Hold(reservation_id="b", slot_id=SLOT, account_id="acc_b", seats=(4, 5), state="held"),
        "c": Hold(reservation_id="c", slot_id=SLOT, account_id="acc_c", seats=(6, 7), state="released"),
    },
    bookings={
        "a": BookingRow(
            booking_id="a",
            slot_id=SLOT,
            account_id="acc_a",
            seats=(1, 2, 3),
            state="confirmed",
            history=steps("held", "awaiting_payment", "confirmed"),
        ),
        "b": BookingRow(
            booking_id="b",
            slot_id=SLOT,
            account_id="acc_b",
            seats=(4, 5),
            state="awaiting_payment",
            history=steps("held", "awaiting_payment"),
        ),
        "c": BookingRow(
            booking_id="c",
            slot_id=SLOT,
            account_id="acc_c",
            seats=(6, 7),
            state="expired",
            history=steps("held", "awaiting_payment", "expired"),
        ),
    },
    payments=(PaymentRow(booking_id="a", ntpn="N1"),),
    quota_events={
        7: (
            told(1, SlotApplied, version=1, capacity=10, free=10, held=0, confirmed=0, withheld=0),
            held(2, "a", 1, 2, 3),
            held(3, "b", 4, 5),
            held(4, "c", 6, 7),
            held(3, "b", 4, 5),
            told(5, ReservationConfirmed, reservation_id="a", seats=(1, 2, 3)),
            told(6, ReservationReleased, reservation_id="c", seats=(6, 7), reason="expired"),
        )
    },
    mails=(
        Mail(n=1, template="activation", to=("a@contoh.example",)),
        *(Mail(n=n, template="awaiting_payment", booking_id=b) for n, b in enumerate("abc", start=2)),
        Mail(n=5, template="confirmed", booking_id="a"),
        Mail(n=6, template="expired", booking_id="c"),
    ),
    registrations=(Registration(account_id="acc_a", email="a@contoh.example"),),
    acknowledged=tuple(
        Acknowledged(reservation_id=r, slot_id=SLOT, account_id=f"acc_{r}", seats=seats)
        for r, seats in (("a", (1, 2, 3)), ("b", (4, 5)), ("c", (6, 7)))
    ),
)


def with_slot(**changes: object) -> Evidence:
    return msgspec.structs.replace(TRUE_STORY, slots={SLOT: msgspec.structs.replace(TRUE_STORY.slots[SLOT], **changes)})


def with_hold(key: str, **changes: object) -> Evidence:
    changed = msgspec.structs.replace(TRUE_STORY.holds[key], **changes)
    return msgspec.structs.replace(TRUE_STORY, holds=TRUE_STORY.holds | {key: changed})


def with_booking(key: str, **changes: object) -> Evidence:
    changed = msgspec.structs.replace(TRUE_STORY.bookings[key], **changes)
    return msgspec.structs.replace(TRUE_STORY, bookings=TRUE_STORY.bookings | {key: changed})


def with_events(*events: QuotaEvent) -> Evidence:
    return msgspec.structs.replace(TRUE_STORY, quota_events={7: events})


def without_booking(key: str) -> Evidence:
    kept = {known: row for known, row in TRUE_STORY.bookings.items() if known != key}
    return msgspec.structs.replace(TRUE_STORY, bookings=kept)


def named(findings: list[Finding]) -> set[tuple[Kind, Store]]:
    return {(finding.kind, finding.store) for finding in findings}


def test_a_true_story_has_no_findings() -> None:
    """
    Nothing is found where nothing is wrong, repeated events included.
    """
    assert [] == judge(TRUE_STORY)
    assert {kind.value: 0 for kind in Kind} == zeros([])


def test_an_offer_to_the_waitlist_has_a_mail_of_its_own() -> None:
    """
    And with it none that asks for payment as for any hold.
    """
    offered = with_booking("b", wished_for="waitlist")
    mails = tuple(
        msgspec.structs.replace(mail, template="waitlist_offer")
        if (mail.template, mail.booking_id) == ("awaiting_payment", "b")
        else mail
        for mail in offered.mails
    )

    assert [] == judge(msgspec.structs.replace(offered, mails=mails))
    assert {(Kind.MAIL_MISSING, Store.MAILS), (Kind.MAIL_DUPLICATE, Store.MAILS)} == named(judge(offered))


@pytest.mark.parametrize("state", ["checked_in", "incomplete", "no_show", "processing", "ready", "collected"])
def test_a_visit_keeps_the_places_confirmed(state: str) -> None:
    """
    Whoever came, and whoever did not, has the numbers of that day; Valkey calls them confirmed and nothing else.
    """
    assert [] == judge(with_booking("a", state=state))
    assert Kind.UNBALANCED in {finding.kind for finding in judge(with_booking("b", state=state))}


def test_a_move_and_a_refused_wish_are_no_findings() -> None:
    """
    The old places are free, the new ones confirmed, and a refusal is a number of the stream like any other.
    """
    events = (
        *EVENTS,
        told(7, PlacesRefused, reservation_id="w", account_id="acc_w", reason="sold_out"),
        held(8, "m", 6, 7),
        told(9, ReservationReleased, reservation_id="a", seats=(1, 2, 3), reason="rescheduled"),
        told(10, ReservationConfirmed, reservation_id="m", seats=(6, 7)),
    )
    old, new = TRUE_STORY.holds["a"], TRUE_STORY.holds["c"]
    moved = msgspec.structs.replace(TRUE_STORY.bookings["c"], booking_id="m", state="confirmed", history=())
    story = msgspec.structs.replace(
        with_booking("a", state="rescheduled"),
        slots=with_slot(free=6, confirmed=2, returned=(1, 2, 3)).slots,
        holds=TRUE_STORY.holds
        | {
            "a": msgspec.structs.replace(old, state="released"),
            "m": msgspec.structs.replace(new, reservation_id="m", state="confirmed"),
        },
        quota_events={7: events},
    )

    assert [] == judge(msgspec.structs.replace(story, bookings=story.bookings | {"m": moved}))


EVENTS = TRUE_STORY.quota_events[7]
LIES = {
    "a counter that is off": (with_slot(free=6), Kind.UNBALANCED, Store.VALKEY),
    "counters that add up and are not the holds": (with_slot(held=1, confirmed=4), Kind.UNBALANCED, Store.VALKEY),
    "a place held and on offer": (with_slot(returned=(5, 6, 7)), Kind.OVERSOLD, Store.VALKEY),
    "a place held twice": (with_hold("b", seats=(3, 5)), Kind.OVERSOLD, Store.VALKEY),
    "a place booked twice": (with_booking("b", seats=(3, 5)), Kind.OVERSOLD, Store.POSTGRES),
    "a booking gone": (without_booking("b"), Kind.LOST, Store.POSTGRES),
    "a booking gone that a client was promised": (without_booking("b"), Kind.LOST, Store.CLIENTS),
    "other places recorded than held": (with_booking("b", seats=(4, 8)), Kind.LOST, Store.POSTGRES),
    "a hold given away under a booking": (with_hold("a", state="released"), Kind.LOST, Store.VALKEY),
    "a hold kept after its booking expired": (with_hold("c", state="held"), Kind.UNBALANCED, Store.VALKEY),
    "a paid booking that is not confirmed": (with_booking("a", state="expired"), Kind.LOST, Store.POSTGRES),
    "an event missing": (with_events(*EVENTS[:3], *EVENTS[5:]), Kind.LOST, Store.EVENTS),
    "a place announced twice": (
        with_events(*EVENTS, held(7, "a", 1)),
        Kind.OVERSOLD,
        Store.EVENTS,
    ),
    "an announcement nobody recorded": (with_events(*EVENTS, held(7, "z", 9)), Kind.LOST, Store.EVENTS),
    "two events of one number": (with_events(*EVENTS, held(6, "z", 9)), Kind.LOST, Store.EVENTS),
    "a release never made": (with_events(*EVENTS[:-1]), Kind.UNBALANCED, Store.EVENTS),
    "a mail missing": (
        msgspec.structs.replace(TRUE_STORY, mails=TRUE_STORY.mails[:-1]),
        Kind.MAIL_MISSING,
        Store.MAILS,
    ),
    "a mail twice": (
        msgspec.structs.replace(TRUE_STORY, mails=(*TRUE_STORY.mails, TRUE_STORY.mails[4])),
        Kind.MAIL_DUPLICATE,
        Store.MAILS,
    ),
    "a mail about nothing": (
        msgspec.structs.replace(TRUE_STORY, mails=(*TRUE_STORY.mails, Mail(n=9, template="expired", booking_id="a"))),
        Kind.MAIL_DUPLICATE,
        Store.MAILS,
    ),
    "an activation mail missing": (
        msgspec.structs.replace(TRUE_STORY, mails=TRUE_STORY.mails[1:]),
        Kind.MAIL_MISSING,
        Store.MAILS,
    ),
}


@pytest.mark.parametrize("lie", LIES, ids=str)
def test_a_lie_is_found_and_its_store_named(lie: str) -> None:
    """
    Each store, corrupted once in each way, is caught under the right name.
    """
    evidence, kind, store = LIES[lie]
    findings = judge(evidence)

    assert (kind, store) in named(findings)
    assert zeros(findings)[kind.value] >= 1


def test_a_broker_that_forgot_the_beginning_is_not_a_lie() -> None:
    """
    Events from seq 5 on are checked as far as they go.
    """
    assert [] == judge(with_events(*EVENTS[5:]))
