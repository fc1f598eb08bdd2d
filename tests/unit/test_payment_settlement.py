"""
Each report ends in one verdict; what is no payment is for a person to look at.
"""

import msgspec
import pytest

from services.payment.domain.inquiry import Said
from services.payment.domain.settlement import Invoice, Payment, Report, Verdict, judge

INVOICE = Invoice(
    booking_id="rsv_1",
    account_id="acc_1",
    billing_code="812345678901234",
    virtual_account="988101234567890123",
    amount_rupiah=350_000,
    lines=(),
    pay_by_ms=1,
    timezone="Asia/Jakarta",
    state="open",
)
REPORT = Report(
    bank="sandbox",
    external_id="1",
    body_sha256="-",
    billing_code=INVOICE.billing_code,
    amount_value="350000.00",
    currency="IDR",
    ntpn="ABCDEFGH12345678",
    journal_number="1",
    paid_at_ms=1,
)
PAID = Payment(
    ntpn=REPORT.ntpn,
    bank="sandbox",
    journal_number="1",
    billing_code=INVOICE.billing_code,
    booking_id="rsv_1",
    amount_rupiah=350_000,
    paid_at_ms=1,
)


@pytest.mark.parametrize(
    ("change", "state", "known", "verdict"),
    [
        ({}, "open", None, Verdict.ACCEPTED),
        ({}, "closed", None, Verdict.ACCEPTED),
        ({}, "paid", None, Verdict.ALREADY_PAID),
        ({}, None, None, Verdict.UNKNOWN_CODE),
        ({"amount_value": "349999.00"}, "open", None, Verdict.PARTIAL),
        ({"amount_value": "350000.01"}, "open", None, Verdict.AMOUNT_DIFFERS),
        ({"amount_value": "350001.00"}, "open", None, Verdict.OVERPAID),
        ({"currency": "USD"}, "open", None, Verdict.AMOUNT_DIFFERS),
        ({}, "paid", PAID, Verdict.REPEATED),
        ({"external_id": "2"}, "paid", PAID, Verdict.REPEATED),
        ({"billing_code": "899999999999999"}, "open", PAID, Verdict.NTPN_REUSED),
        ({"bank": "other"}, "open", PAID, Verdict.NTPN_REUSED),
        ({"amount_value": "1.00"}, "paid", PAID, Verdict.NTPN_REUSED),
    ],
)
def test_a_report_has_one_verdict(
    change: dict[str, str], state: str | None, known: Payment | None, verdict: Verdict
) -> None:
    """
    To the rupiah, once, under an NTPN of its own; a closed invoice still takes the money.
    """
    invoice = None if state is None else msgspec.structs.replace(INVOICE, state=state)
    report = msgspec.structs.replace(REPORT, **change)

    assert verdict == judge(report, invoice=invoice, known=known, said=Said.SAME)


@pytest.mark.parametrize(
    ("said", "verdict"),
    [(Said.SAME, Verdict.ACCEPTED), (Said.UNKNOWN, Verdict.UNCONFIRMED), (Said.OTHER, Verdict.CONTRADICTED)],
)
@pytest.mark.parametrize("state", ["open", "closed"])
def test_only_a_bank_that_says_the_same_when_asked_is_believed(state: str, said: Said, verdict: Verdict) -> None:
    """
    A report alone moves nothing; silence is not no, another answer is for a person.
    """
    assert verdict == judge(REPORT, invoice=msgspec.structs.replace(INVOICE, state=state), known=None, said=said)


def test_what_the_bank_says_later_never_turns_a_wrong_report_into_a_payment() -> None:
    """
    No answer to an inquiry helps a wrong amount, an unknown code or a second payment.
    """
    wrong = msgspec.structs.replace(REPORT, amount_value="1.00")
    paid = msgspec.structs.replace(INVOICE, state="paid")

    for said in Said:
        assert Verdict.PARTIAL == judge(wrong, invoice=INVOICE, known=None, said=said)
        assert Verdict.UNKNOWN_CODE == judge(REPORT, invoice=None, known=None, said=said)
        assert Verdict.ALREADY_PAID == judge(REPORT, invoice=paid, known=None, said=said)


def test_only_payments_and_their_repeats_are_a_success() -> None:
    """
    The bank hears Successful when the money is taken, In Progress while it is asked, else what a person will see.
    """
    assert {Verdict.ACCEPTED, Verdict.REPEATED} == {verdict for verdict in Verdict if verdict.code.status == 200}
    assert {Verdict.UNCONFIRMED} == {verdict for verdict in Verdict if verdict.code.status == 202}
    assert all(verdict.is_exception == (verdict.code.status >= 400) for verdict in Verdict)
