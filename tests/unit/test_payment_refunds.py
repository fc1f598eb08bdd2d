"""
No sequence of steps gives money back without two persons, or twice.
"""

import datetime as dt

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.payment.domain.refunds import (
    COME_FROM,
    Refund,
    RefundState,
    Refusal,
    StandingPayment,
    may_ask,
    may_become,
)

PEOPLE = ("acc_ann", "acc_ben", "acc_cat")
AT = dt.datetime(2026, 11, 27, tzinfo=dt.UTC)
ASKED = Refund(
    refund_id="rfd_1",
    booking_id="rsv_1",
    account_id="acc_payer",
    ntpn="ABCDEFGH12345678",
    bank="teller",
    journal_number="J-1",
    billing_code="812345678901234",
    paid_rupiah=350_000,
    amount_rupiah=350_000,
    reason="no place",
    state=RefundState.REQUESTED,
    requested_by="acc_ann",
    requested_at=AT,
    approved_by=None,
    approved_at=None,
    rejected_by=None,
    rejected_at=None,
    batch_id=None,
    reported_at=None,
    timezone="Asia/Makassar",
)


@given(st.lists(st.tuples(st.sampled_from(RefundState), st.sampled_from(PEOPLE)), max_size=12))
def test_what_is_reported_was_approved_by_another_and_rejected_by_nobody(
    steps: list[tuple[RefundState, str]],
) -> None:
    """
    Whoever tries what in whichever order.
    """
    refund, taken = ASKED, [RefundState.REQUESTED]
    approver = ""
    for state, actor in steps:
        if state is RefundState.REQUESTED or may_become(refund, state, actor=actor) is not None:
            continue
        approver = actor if state is RefundState.APPROVED else approver
        refund = msgspec.structs.replace(refund, state=state)
        taken.append(state)

    assert len(set(taken)) == len(taken)
    assert RefundState.REPORTED not in taken or approver not in {"", ASKED.requested_by}
    assert not {RefundState.REPORTED, RefundState.REJECTED} <= set(taken)


def test_nothing_leaves_an_end() -> None:
    """
    Rejected stays rejected; a file of the treasury is not taken back.
    """
    ends = {RefundState.REJECTED, RefundState.REPORTED}

    assert set() == ends & {before for states in COME_FROM.values() for before in states}


@pytest.mark.parametrize(
    ("moved_to", "amount_rupiah", "refusal"),
    [
        (None, None, None),
        (None, 350_000, None),
        (None, 350_001, Refusal.ABOVE_PAYMENT),
        ("rsv_1", None, None),
        ("rsv_2", None, Refusal.MOVED),
    ],
)
def test_money_is_asked_for_where_it_is(
    moved_to: str | None, amount_rupiah: int | None, refusal: Refusal | None
) -> None:
    """
    Of the booking it belongs to now, and no more than came.
    """
    paid = StandingPayment(ntpn=ASKED.ntpn, account_id="acc_payer", amount_rupiah=350_000, moved_to=moved_to)

    assert refusal is may_ask(paid, booking_id="rsv_1", amount_rupiah=amount_rupiah)
    assert Refusal.NOTHING_PAID is may_ask(None, booking_id="rsv_1", amount_rupiah=amount_rupiah)
