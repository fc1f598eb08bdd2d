"""
The shape of a working week and of a release: sessions, shares and the window policy.

Read from `deploy/seed/calendar.toml` by the seed, kept as one JSON document in Postgres.
Clock times are the local wall clock of an office. Never knows which offices there are.
"""

import datetime as dt
from typing import Annotated, Final

import msgspec

WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
SHARE_UNITS: Final = 10_000
"""Shares are counted in ten-thousandths, so that they add up exactly."""

Weekday = Annotated[str, msgspec.Meta(pattern=f"^({'|'.join(WEEKDAYS)})$")]
Key = Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
Share = Annotated[float, msgspec.Meta(gt=0, le=1)]


class BadCalendar(ValueError):
    """
    The calendar cannot be used; the message says what is wrong.
    """


class Session(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    An arrival interval of a working day. `key` is part of every slot id.
    """

    key: Key
    starts_at: dt.time
    ends_at: dt.time

    @property
    def minutes(self) -> int:
        """
        How long it lasts.
        """
        return (self.ends_at.hour - self.starts_at.hour) * 60 + self.ends_at.minute - self.starts_at.minute


class Shares(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    How places are divided by service and by channel.
    """

    service: dict[Key, Share]
    channel: dict[Key, Share]


class WindowPolicy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    When places are released week by week, and how far ahead.
    """

    opens_on: Weekday
    opens_at: dt.time
    closes_on: Weekday
    closes_at: dt.time
    weeks_ahead: Annotated[int, msgspec.Meta(ge=1, le=52)]


class Calendar(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    All of it. Raises `BadCalendar` when its parts contradict each other.
    """

    working_days: Annotated[tuple[Weekday, ...], msgspec.Meta(min_length=1, max_length=7)]
    pay_seconds: Annotated[int, msgspec.Meta(ge=10, le=7 * 86_400)]
    sessions: Annotated[tuple[Session, ...], msgspec.Meta(min_length=1, max_length=24)]
    shares: Shares
    window: WindowPolicy
    return_times: Annotated[tuple[dt.time, ...], msgspec.Meta(max_length=24)] = ()
    """When places that came back are offered again, every day; none: after a random delay each."""

    def __post_init__(self) -> None:
        """
        Refuse what would lose or double places.
        """
        for session in self.sessions:
            if session.minutes <= 0:
                raise BadCalendar(f"session {session.key} ends before it starts")
        if len({session.key for session in self.sessions}) != len(self.sessions):
            raise BadCalendar("two sessions have the same key")
        if any(moment.tzinfo or moment.second or moment.microsecond for moment in self.return_times):
            raise BadCalendar("return_times are local times in whole minutes")
        for name, shares in (("service", self.shares.service), ("channel", self.shares.channel)):
            if sum(share_units(share) for share in shares.values()) != SHARE_UNITS:
                raise BadCalendar(f"shares of {name} do not add up to 1")

    def works_on(self, day: dt.date) -> bool:
        """
        Whether offices serve on that weekday, holidays aside.
        """
        return WEEKDAYS[day.weekday()] in self.working_days


def share_units(share: float) -> int:
    """
    A share in ten-thousandths.
    """
    return round(share * SHARE_UNITS)
