"""
The right fee on every day, boundaries included, whatever zone the office is in.
"""

import csv
import datetime as dt
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.payment.domain.billing import total_rupiah
from services.payment.domain.tariffs import ServiceItem, Tariff, fee, overlap, priced

SEED = Path(__file__).resolve().parents[2] / "deploy" / "seed"
ZONES = ("Asia/Jakarta", "Asia/Makassar", "Asia/Jayapura")
DAYS = st.dates(dt.date(2015, 1, 1), dt.date(2030, 12, 31))


def seeded() -> list[Tariff]:
    with (SEED / "tariffs.csv").open(encoding="utf-8", newline="") as file:
        return [
            Tariff(
                service=row["service"],
                validity_years=int(row["validity_years"]),
                amount_rupiah=int(row["amount_rupiah"]),
                valid_from=row["valid_from"],
                valid_until=row["valid_until"] or None,
            )
            for row in csv.DictReader(file)
        ]


def items() -> list[ServiceItem]:
    with (SEED / "services.csv").open(encoding="utf-8", newline="") as file:
        return [
            ServiceItem(service=row["service"], item=row["item"], validity_years=int(row["validity_years"]))
            for row in csv.DictReader(file)
        ]


@st.composite
def calendars(draw: st.DrawFn) -> list[Tariff]:
    """
    Fees of one service without overlap, some of which end before the next begins.
    """
    firsts = sorted(draw(st.sets(DAYS, min_size=1, max_size=8)))
    found = []
    for number, first in enumerate(firsts):
        days = (firsts[number + 1] - first).days if number + 1 < len(firsts) else 400
        last = draw(st.none() | st.integers(0, days - 1))
        found.append(
            Tariff(
                service="regular",
                validity_years=5,
                amount_rupiah=100_000 + number,
                valid_from=first.isoformat(),
                valid_until=None if last is None else (first + dt.timedelta(days=last)).isoformat(),
            )
        )
    return draw(st.permutations(found))


def _expected(calendar: list[Tariff], day: dt.date) -> int | None:
    """
    Said day by day: walk from the first day on and note what begins and what ends.
    """
    by_first = {dt.date.fromisoformat(tariff.valid_from): tariff for tariff in calendar}
    valid: Tariff | None = None
    walked = min(by_first)
    while walked <= day:
        if valid and valid.valid_until and walked.isoformat() > valid.valid_until:
            valid = None
        valid = by_first.get(walked, valid)
        walked += dt.timedelta(days=1)
    return valid.amount_rupiah if valid else None


@given(calendars(), st.sampled_from(ZONES), st.data())
def test_every_boundary_day_has_the_right_fee_in_the_offices_zone(
    calendar: list[Tariff], zone: str, data: st.DataObject
) -> None:
    """
    A minute before midnight of the office costs the old fee and midnight the new one, whatever the date in UTC.
    """
    edges = [tariff.valid_from for tariff in calendar] + [t.valid_until for t in calendar if t.valid_until]
    edge = dt.date.fromisoformat(data.draw(st.sampled_from(edges)))
    midnight = dt.datetime.combine(edge, dt.time(), tzinfo=ZoneInfo(zone)).astimezone(dt.UTC)
    for moment in (midnight - dt.timedelta(minutes=1), midnight, midnight + dt.timedelta(days=1)):
        day = moment.astimezone(ZoneInfo(zone)).date()
        found = fee(calendar, service="regular", validity_years=5, date=day.isoformat())

        assert _expected(calendar, day) == (found.amount_rupiah if found else None)


@given(calendars())
def test_fees_that_follow_each_other_do_not_overlap(calendar: list[Tariff]) -> None:
    """
    The day after a last day may be a first day.
    """
    assert overlap(calendar) is None


@given(calendars(), st.data())
def test_a_second_fee_on_a_day_is_found(calendar: list[Tariff], data: st.DataObject) -> None:
    """
    Whichever fee it runs into, by its first day or by the other's last.
    """
    victim = data.draw(st.sampled_from(calendar))
    same_day = Tariff(service="regular", validity_years=5, amount_rupiah=1, valid_from=victim.valid_from)
    earlier = (dt.date.fromisoformat(victim.valid_from) - dt.timedelta(days=3000)).isoformat()
    into = Tariff(
        service="regular", validity_years=5, amount_rupiah=1, valid_from=earlier, valid_until=victim.valid_from
    )

    assert overlap([*calendar, same_day]) is not None
    assert overlap([*calendar, into]) is not None
    assert overlap([*calendar, _of_ten_years(same_day)]) is None


def _of_ten_years(tariff: Tariff) -> Tariff:
    return Tariff(service="regular", validity_years=10, amount_rupiah=1, valid_from=tariff.valid_from)


@pytest.mark.parametrize(
    ("service", "date", "rupiah"),
    [
        ("regular", "2016-12-31", None),
        ("regular", "2017-01-01", [355_000]),
        ("electronic", "2019-10-15", [655_000]),
        ("regular", "2021-12-31", [355_000]),
        ("regular", "2022-01-01", [350_000]),
        ("electronic", "2022-01-01", [650_000]),
        ("regular_10", "2024-12-16", None),
        ("regular_10", "2024-12-17", [650_000]),
        ("electronic_10", "2024-12-17", [950_000]),
        ("regular_same_day", "2024-12-16", None),
        ("regular_same_day", "2024-12-17", [350_000, 1_000_000]),
        ("electronic_10_same_day", "2026-11-30", [950_000, 1_000_000]),
        ("diplomatic", "2026-11-30", None),
    ],
)
def test_the_published_fees_hold_on_their_days(service: str, date: str, rupiah: list[int] | None) -> None:
    """
    As the regulations give them, an item a line; a service of which a part has no fee has no price.
    """
    lines = priced(items(), seeded(), service=service, date=date, applicants=1)

    assert rupiah == (None if lines is None else [line.amount_rupiah for line in lines])


@given(st.sampled_from(sorted({part.service for part in items()})), st.integers(1, 5))
def test_a_family_pays_every_line_for_everybody_in_whole_rupiah(service: str, applicants: int) -> None:
    """
    The total is the sum of the lines, and a line is its unit times the family.
    """
    one = priced(items(), seeded(), service=service, date="2026-11-30", applicants=1)
    lines = priced(items(), seeded(), service=service, date="2026-11-30", applicants=applicants)

    assert one is not None
    assert lines is not None
    assert applicants * total_rupiah(one) == total_rupiah(lines)
    assert all(line.amount_rupiah == line.unit_rupiah * applicants for line in lines)
    assert all(isinstance(line.amount_rupiah, int) for line in lines)


def test_the_seeded_fees_do_not_overlap_and_every_seeded_service_has_a_price() -> None:
    """
    What an empty system is filled with can be charged.
    """
    services = {part.service for part in items()}

    assert overlap(seeded()) is None
    assert all(priced(items(), seeded(), service=name, date="2026-11-30", applicants=1) for name in services)
