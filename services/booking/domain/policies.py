"""
Window policies: the rules by which places of a day are released, as calendars hold them.

Part of the calendar document, told apart by `kind`. Each refuses what contradicts itself
with a sentence. When a policy opens, in a zone, is worked out in `releases.py`.
"""

import datetime as dt
from typing import Annotated, Final, Literal, TypeAlias

import msgspec

WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
ALL_PERCENT: Final = 100
SPAN_DAYS_MAX: Final = 400
"""From anything a plan names to anything else: a little more than a year."""

Weekday = Annotated[str, msgspec.Meta(pattern=f"^({'|'.join(WEEKDAYS)})$")]


class BadCalendar(ValueError):
    """
    The calendar cannot be used; the message says what is wrong.
    """


class Weekly(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="weekly"):
    """
    Opens and closes once a week; releases the `weeks_ahead`-th calendar week after the one in which it opens.
    """

    opens_on: Weekday
    opens_at: dt.time
    closes_on: Weekday
    closes_at: dt.time
    weeks_ahead: Annotated[int, msgspec.Meta(ge=1, le=52)]

    def __post_init__(self) -> None:
        """
        Refuse clock times that are nobody's wall clock.
        """
        must_be_local(opens_at=self.opens_at, closes_at=self.closes_at)


class Monthly(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="monthly"):
    """
    Opens on the first or last working day of a month; releases the `months_ahead`-th month after it.
    """

    opens_on: Literal["first_working_day", "last_working_day"]
    opens_at: dt.time
    closes_after_days: Annotated[int, msgspec.Meta(ge=0, le=60)]
    closes_at: dt.time
    months_ahead: Annotated[int, msgspec.Meta(ge=1, le=12)]

    def __post_init__(self) -> None:
        """
        Refuse a window that is over before it begins.
        """
        must_be_local(opens_at=self.opens_at, closes_at=self.closes_at)
        if self.closes_after_days == 0 and self.closes_at <= self.opens_at:
            raise BadCalendar("the monthly window closes before it opens: let it close later, or after some days")


class Stage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    A part of every slot's places, and how many months before the visit it is released.
    """

    months_ahead: Annotated[int, msgspec.Meta(ge=1, le=12)]
    percent: Annotated[int, msgspec.Meta(ge=1, le=100)]


class Staged(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="staged"):
    """
    Releases every day on its own and in parts: each stage adds places, to be had until shortly before the day.
    """

    stages: Annotated[tuple[Stage, ...], msgspec.Meta(min_length=1, max_length=12)]
    opens_at: dt.time
    closes_days_before: Annotated[int, msgspec.Meta(ge=0, le=27)]
    closes_at: dt.time

    def __post_init__(self) -> None:
        """
        Refuse stages that lose places, or do not follow each other.
        """
        must_be_local(opens_at=self.opens_at, closes_at=self.closes_at)
        months = [stage.months_ahead for stage in self.stages]
        if months != sorted(set(months), reverse=True):
            raise BadCalendar("each stage opens later than the one before: months_ahead must fall from stage to stage")
        if (total := sum(stage.percent for stage in self.stages)) != ALL_PERCENT:
            raise BadCalendar(f"the stages release {total} percent of the places, not {ALL_PERCENT}")


class OneOff(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="one_off"):
    """
    Opens once, for some days. Clock times are local to each office.
    """

    opens_on: dt.date
    opens_at: dt.time
    closes_on: dt.date
    closes_at: dt.time
    first_day: dt.date
    last_day: dt.date

    def __post_init__(self) -> None:
        """
        Refuse what ends before it begins.
        """
        must_be_local(opens_at=self.opens_at, closes_at=self.closes_at)
        if (self.closes_on, self.closes_at) <= (self.opens_on, self.opens_at):
            raise BadCalendar("the one-off window closes before it opens")
        if self.last_day < self.first_day:
            raise BadCalendar("the one-off window releases days that end before they begin")
        if (max(self.closes_on, self.last_day) - min(self.opens_on, self.first_day)).days > SPAN_DAYS_MAX:
            raise BadCalendar(f"the one-off window and its days span more than {SPAN_DAYS_MAX} days")
        if self.last_day < self.opens_on:
            raise BadCalendar("the one-off window releases days that are over when it opens")


WindowPolicy: TypeAlias = Weekly | Monthly | Staged | OneOff


def must_be_local(**moments: dt.time) -> None:
    """
    Raises `BadCalendar` for a clock time with an offset or with seconds: offices have wall clocks.
    """
    for name, moment in moments.items():
        if moment.tzinfo or moment.second or moment.microsecond:
            raise BadCalendar(f"{name} must be a local time in whole minutes")
