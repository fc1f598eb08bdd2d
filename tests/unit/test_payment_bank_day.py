"""
A bank's report is read whole or refused by its line; and a line means one thing.
"""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.payment.domain.bank_day import COLUMNS, LINES_MAX, BadReport, Outcome, compare, read
from services.payment.domain.settlement import Payment

HEAD = ",".join(COLUMNS) + "\n"
GOOD = "sandbox,2026-11-27,ABCDEFGH12345678,812345678901234,J-1,350000,2026-11-27T15:00:00+08:00\n"


def test_a_report_is_read_as_it_stands() -> None:
    """
    Bank, day and payments; the moment in milliseconds, the line as an editor counts it.
    """
    day = read([HEAD, GOOD])
    [line] = day.lines

    assert ("sandbox", dt.date(2026, 11, 27)) == (day.bank, day.settled_on)
    assert (2, "ABCDEFGH12345678", 350_000, 1_795_762_800_000) == (
        line.line_number,
        line.ntpn,
        line.amount_rupiah,
        line.paid_at_ms,
    )
    assert day.begins_ms <= line.paid_at_ms < day.ends_ms
    assert 86_400_000 == day.ends_ms - day.begins_ms


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("sandbox,2026-11-27,ABCDEFGH1234567,812345678901234,J-1,350000,2026-11-27T15:00:00+08:00", "ntpn"),
        ("sandbox,2026-11-27,ABCDEFGH12345678,81234567890123,J-1,350000,2026-11-27T15:00:00+08:00", "billing_code"),
        ("sandbox,2026-11-27,ABCDEFGH12345678,812345678901234,J 1,350000,2026-11-27T15:00:00+08:00", "journal_number"),
        ("sandbox,2026-11-27,ABCDEFGH12345678,812345678901234,J-1,350000.00,2026-11-27T15:00:00+08:00", "amount"),
        ("sandbox,2026-11-27,ABCDEFGH12345678,812345678901234,J-1,0,2026-11-27T15:00:00+08:00", "amount"),
        ("sandbox,2026-11-27,ABCDEFGH12345678,812345678901234,J-1,350000,2026-11-27T15:00:00", "offset"),
        ("sandbox,2026-11-27,ABCDEFGH12345678,812345678901234,J-1,350000,2026-11-28T00:00:00+07:00", "another day"),
        ("sandbox,2026-11-27,ABCDEFGH12345678,812345678901234,J-1,350000,2026-11-27T00:59:59+08:00", "another day"),
        ("sandbox,2026-02-30,ABCDEFGH12345678,812345678901234,J-1,350000,2026-11-27T15:00:00+08:00", "no date"),
        ("other,2026-11-27,ABCDEFGH12345678,812345678901234,J-1,350000,2026-11-27T15:00:00+08:00", "another bank"),
        ("sandbox,2026-11-28,ABCDEFGH12345678,812345678901234,J-1,350000,2026-11-28T15:00:00+08:00", "or day"),
        ("sandbox,2026-11-27,ABCDEFGH12345678,812345678901234,J-1,350000,0001-01-01T00:00:00+23:59", "paid_at"),
        ("sandbox,2026-11-27,ABCDEFGH12345678,812345678901234,J-1,350000,9999-12-31T23:59:59-23:59", "paid_at"),
        ("sandbox,2026-11-27,ABCDEFGH12345678", "7 fields"),
        ("", "7 fields"),
        ('sandbox,2026-11-27,"ABC\nDEF",812345678901234,J-1,350000,2026-11-27T15:00:00+08:00', "7 fields"),
        ('"sandbox"x,2026-11-27,A,8,J,1,2', "not CSV"),
    ],
)
def test_a_bad_line_is_refused_by_its_number(line: str, why: str) -> None:
    """
    The third line of the file, behind a good one; and what is wrong with it.
    """
    with pytest.raises(BadReport, match=why) as refused:
        read((HEAD + GOOD + line + "\n").splitlines(keepends=True))

    assert refused.value.line_number in {3, 4}
    assert (4 if "\n" in line else 3) - refused.value.line_number in {0, 1}


@pytest.mark.parametrize("text", ["", "ntpn,amount\n", GOOD])
def test_a_file_without_our_columns_is_refused(text: str) -> None:
    """
    The header row is not guessed.
    """
    with pytest.raises(BadReport) as refused:
        read(text.splitlines(keepends=True))

    assert 1 == refused.value.line_number


def test_a_day_without_payments_has_to_be_named() -> None:
    """
    A report of nothing says neither whose nor when.
    """
    with pytest.raises(BadReport, match="whose report"):
        read([HEAD])

    assert () == read([HEAD], bank="sandbox", settled_on=dt.date(2026, 11, 27)).lines


@pytest.mark.parametrize(
    ("bank", "day"), [("sandbox", dt.date.max), ("sandbox", dt.date.min), ("no bank", dt.date(2026, 11, 27))]
)
def test_a_bank_and_a_day_that_cannot_be_are_refused(bank: str, day: dt.date) -> None:
    """
    Given beside the file as well as in it.
    """
    line = GOOD.replace("2026-11-27", day.isoformat()).replace("sandbox", bank)
    for text in ([HEAD], [HEAD, line]):
        with pytest.raises(BadReport):
            read(text, bank=bank, settled_on=day)


def test_what_is_given_must_be_what_the_report_says() -> None:
    """
    A file of yesterday is not taken for today's.
    """
    with pytest.raises(BadReport, match="another bank or day"):
        read([HEAD, GOOD], settled_on=dt.date(2026, 11, 26))


def test_a_report_has_a_bound() -> None:
    """
    One payment too many, and none is taken.
    """
    with pytest.raises(BadReport, match="more than") as refused:
        read([HEAD, *[GOOD] * (LINES_MAX + 1)])

    assert LINES_MAX + 2 == refused.value.line_number


@given(st.lists(st.sampled_from([("A", 1), ("A", 2), ("B", 1), ("C", 1)]), max_size=30))
def test_of_lines_with_one_ntpn_all_but_the_first_are_repeats(told: list[tuple[str, int]]) -> None:
    """
    And those that name another amount are known to say something else.
    """
    lines = [GOOD.replace("ABCDEFGH12345678", name * 16).replace("350000", str(rupiah)) for name, rupiah in told]
    day = read([HEAD, *lines], bank="sandbox", settled_on=dt.date(2026, 11, 27))
    first: dict[str, int] = {}
    for number, (name, rupiah) in enumerate(told):
        line = day.lines[number]
        expected = first.setdefault(name, number)

        assert (None if expected == number else expected + 2) == line.repeats
        assert (expected != number and told[expected][1] == rupiah) == line.says_the_same


@given(st.text(max_size=200))
def test_whatever_is_in_a_file_it_is_read_or_refused(text: str) -> None:
    """
    No file ends in a crash.
    """
    lines, refused_at = (), 0
    try:
        lines = read((HEAD + text).splitlines(keepends=True)).lines
    except BadReport as error:
        refused_at = error.line_number

    assert (refused_at >= 1) != bool(lines)


@pytest.mark.parametrize(
    ("bank", "code", "rupiah", "outcome"),
    [
        ("sandbox", "812345678901234", 350_000, Outcome.MATCHED),
        ("sandbox", "812345678901234", 350_001, Outcome.AMOUNT_DIFFERS),
        ("sandbox", "812345678901235", 350_000, Outcome.DETAILS_DIFFER),
        ("other", "812345678901234", 350_000, Outcome.DETAILS_DIFFER),
    ],
)
def test_a_line_matches_a_payment_in_bank_code_and_amount(bank: str, code: str, rupiah: int, outcome: Outcome) -> None:
    """
    Whatever differs is called by its name.
    """
    [line] = read([HEAD, GOOD]).lines
    payment = Payment(
        ntpn=line.ntpn,
        bank=bank,
        journal_number="J-1",
        billing_code=code,
        booking_id="rsv_1",
        amount_rupiah=rupiah,
        paid_at_ms=line.paid_at_ms,
    )

    assert outcome is compare(line, payment, bank="sandbox")
