"""
The shape of a working week and of a release: sessions, shares and the window policy.

Read from `deploy/seed/calendar.toml` by the seed, kept as one JSON document in Postgres.
Clock times are the local wall clock of an office. Never knows which offices there are.
"""

import datetime as dt
import itertools
from collections.abc import Mapping, Sequence
from typing import Annotated, Final
from zoneinfo import ZoneInfo

import msgspec

from services.booking.domain.policies import WEEKDAYS, BadCalendar, Weekday, WindowPolicy, must_be_local
from services.booking.domain.releases import Local

SHARE_UNITS: Final = 10_000
"""Shares are counted in ten-thousandths, so that they add up exactly."""

Key = Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
Share = Annotated[float, msgspec.Meta(gt=0, le=1)]


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


class SpillOver(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    What one channel has not used some days before the visit goes over to another at a clock time.
    """

    source: Key
    target: Key
    days_before: Annotated[int, msgspec.Meta(ge=0, le=14)]
    at: dt.time
    open_minutes: Annotated[int, msgspec.Meta(ge=0, le=1440)] = 0
    """So long the target sells from then on if its window is over; 0: it is not opened again."""


class Calendar(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    All of it. Raises `BadCalendar` when its parts contradict each other.
    """

    working_days: Annotated[tuple[Weekday, ...], msgspec.Meta(min_length=1, max_length=7)]
    pay_seconds: Annotated[int, msgspec.Meta(ge=10, le=7 * 86_400)]
    sessions: Annotated[tuple[Session, ...], msgspec.Meta(min_length=1, max_length=24)]
    shares: Shares
    window: WindowPolicy
    publish_ahead_hours: Annotated[int, msgspec.Meta(ge=1, le=24 * 90)] = 72
    """So long before a window opens its slots are planned and published."""
    spill_over: Annotated[tuple[SpillOver, ...], msgspec.Meta(max_length=8)] = ()
    return_times: Annotated[tuple[dt.time, ...], msgspec.Meta(max_length=24)] = ()
    """When places that came back are offered again, every day; none: after a random delay each."""

    def __post_init__(self) -> None:
        """
        Refuse what would lose or double places.
        """
        _check_sessions(self.sessions)
        if any(moment.tzinfo or moment.second or moment.microsecond for moment in self.return_times):
            raise BadCalendar("return_times are local times in whole minutes")
        for name, shares in (("service", self.shares.service), ("channel", self.shares.channel)):
            if sum(share_units(share) for share in shares.values()) != SHARE_UNITS:
                raise BadCalendar(f"shares of {name} do not add up to 1")
        _check_spill_over(self.spill_over, self.shares.channel)

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


def _check_sessions(sessions: Sequence[Session]) -> None:
    for session in sessions:
        must_be_local(starts_at=session.starts_at, ends_at=session.ends_at)
        if session.minutes <= 0:
            raise BadCalendar(f"session {session.key} ends before it starts")
    if len({session.key for session in sessions}) != len(sessions):
        raise BadCalendar("two sessions have the same key")
    for before, after in itertools.pairwise(sorted(sessions, key=lambda session: session.starts_at)):
        if after.starts_at < before.ends_at:
            raise BadCalendar(f"session {after.key} starts before session {before.key} ends")


def _check_spill_over(spills: Sequence[SpillOver], channels: Mapping[str, float]) -> None:
    for spill in spills:
        must_be_local(at=spill.at)
        if spill.source == spill.target:
            raise BadCalendar(f"channel {spill.source} cannot spill over to itself")
        for channel in (spill.source, spill.target):
            if channel not in channels:
                raise BadCalendar(f"spill_over names channel {channel}, which has no share")
    if len({spill.source for spill in spills}) != len(spills):
        raise BadCalendar("a channel spills over once, to one other")
    if {spill.source for spill in spills} & {spill.target for spill in spills}:
        raise BadCalendar("a channel cannot both spill over and be spilled to")


class Edition(msgspec.Struct, frozen=True, kw_only=True):
    """
    A calendar in force for visits from a day on: of an office, or of the whole nation.
    """

    office_id: str | None
    effective_from: dt.date
    body: Calendar


class InForce(msgspec.Struct, frozen=True, kw_only=True):
    """
    The calendar of an office's day; `source` names the edition it comes from, None for the seed's.
    """

    calendar: Calendar
    source: str | None = None


class Calendars(msgspec.Struct, frozen=True, kw_only=True):
    """
    Every calendar there is: the seed's, editions of the nation and of offices, holidays and closed days.
    """

    base: Calendar
    editions: tuple[Edition, ...] = ()
    holidays: frozenset[dt.date] = frozenset()
    closures: Mapping[str, frozenset[dt.date]] = msgspec.field(default_factory=dict)

    def of(self, office_id: str, day: dt.date) -> InForce:
        """
        The office's own latest edition by that day, else the nation's, else the seed's.
        """
        for owner in (office_id, None):
            edition = max(
                (each for each in self.editions if each.office_id == owner and each.effective_from <= day),
                key=lambda each: each.effective_from,
                default=None,
            )
            if edition is not None:
                name = f"{owner or 'nation'}-{edition.effective_from:%Y%m%d}"
                return InForce(calendar=edition.body, source=name)
        return InForce(calendar=self.base)

    def local(self, office_id: str, timezone: str, day: dt.date) -> Local:
        """
        Zone, working days and days off of an office as they are in force on a day. Windows keep to these.
        """
        return Local(
            zone=ZoneInfo(timezone),
            working_days=self.of(office_id, day).calendar.working_days,
            days_off=self.holidays,
        )

    def serves_on(self, office_id: str, day: dt.date) -> bool:
        """
        Whether the office serves then: a working day, no holiday, not closed.
        """
        closed = self.closures.get(office_id, frozenset())
        return self.of(office_id, day).calendar.works_on(day) and day not in self.holidays and day not in closed
