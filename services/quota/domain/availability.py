"""
What is free and when it opens, as people see it, and what else is free when a slot is not.

Called by use cases with plans, free counts and the deciding server's time. Pure.
"""

import functools
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from types import MappingProxyType
from typing import Final, Literal, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from contracts.events import SlotPlanned

PUBLIC_CHANNEL = "online"
ALTERNATIVES_MAX = 3
NOTHING: Final[Mapping[str, int]] = MappingProxyType({})
_TIME = b'{"server_time_ms":'
"""How an availability begins: with the only part of it that changes all the time."""

SlotState = Literal["not_open", "open", "sold_out", "closed"]
WindowState = Literal["not_open", "open", "closed"]


class WindowView(msgspec.Struct, frozen=True, kw_only=True):
    """
    The office's current, next or last window, in the office's own time.
    """

    state: WindowState
    opens_at: str
    closes_at: str
    next_opens_at: str | None


class SlotView(msgspec.Struct, frozen=True, kw_only=True):
    """
    A slot and what is free in it.
    """

    slot_id: str
    date: str
    session: str
    starts_at: str
    ends_at: str
    service: str
    channel: str
    capacity: int
    free: int
    """What may be taken now."""
    returning: int
    """Places that came back and are offered again later; when, is not told."""
    state: SlotState
    opens_at: str
    closes_at: str


class AvailabilityView(msgspec.Struct, frozen=True, kw_only=True):
    """
    An office's slots of some days. At most a quarter of a second old.
    """

    server_time_ms: int
    office_id: str
    timezone: str
    window: WindowView | None
    slots: tuple[SlotView, ...]


class Alternative(msgspec.Struct, frozen=True, kw_only=True):
    """
    A slot that had places a moment ago.
    """

    slot_id: str
    office_id: str
    office_name: str
    date: str
    session: str
    starts_at: str
    free: int


@functools.lru_cache(maxsize=8192)
def local_time(at_ms: int, timezone: str) -> str:
    """
    RFC 3339 with the offset of `timezone`.
    """
    return datetime.fromtimestamp(at_ms / 1000, ZoneInfo(timezone)).isoformat(timespec="seconds")


def utc_time(at_ms: int) -> str:
    """
    RFC 3339 in UTC, to the second.
    """
    return _utc_second(at_ms // 1000)


@functools.lru_cache(maxsize=1024)
def _utc_second(at_seconds: int) -> str:
    return datetime.fromtimestamp(at_seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def today_in(timezone: str, now_ms: int) -> date:
    """
    The calendar day it is there.
    """
    return datetime.fromtimestamp(now_ms / 1000, ZoneInfo(timezone)).date()


def slot_state(plan: SlotPlanned, free: int, now_ms: int) -> SlotState:
    """
    What asking for one place would lead to.
    """
    if plan.closed or now_ms >= plan.closes_at_ms:
        return "closed"
    if now_ms < plan.opens_at_ms:
        return "not_open"
    return "open" if free > 0 else "sold_out"


def window_of(plans: Iterable[SlotPlanned], now_ms: int) -> WindowView | None:
    """
    The window that matters now: one that is open, else the next to open, else the last that was.
    """
    public = [plan for plan in plans if plan.channel == PUBLIC_CHANNEL]
    if not public:
        return None
    opened = [plan for plan in public if plan.opens_at_ms <= now_ms < plan.closes_at_ms]
    coming = [plan for plan in public if now_ms < plan.opens_at_ms]
    if opened:
        return _window("open", max(opened, key=lambda plan: plan.closes_at_ms))
    if coming:
        return _window("not_open", min(coming, key=lambda plan: plan.opens_at_ms))
    return _window("closed", max(public, key=lambda plan: plan.closes_at_ms))


def _window(state: WindowState, plan: SlotPlanned) -> WindowView:
    return WindowView(
        state=state,
        opens_at=local_time(plan.opens_at_ms, plan.timezone),
        closes_at=local_time(plan.closes_at_ms, plan.timezone),
        next_opens_at=next_opening(plan),
    )


def next_opening(plan: SlotPlanned) -> str | None:
    """
    When the slot's office opens a window again, in its own time.
    """
    return None if plan.next_opens_at_ms is None else local_time(plan.next_opens_at_ms, plan.timezone)


def availability(
    office_plans: Mapping[str, SlotPlanned],
    free: Mapping[str, int],
    *,
    from_day: date | None,
    days: int,
    service: str,
    now_ms: int,
    returning: Mapping[str, int] = NOTHING,
) -> AvailabilityView:
    """
    An office's slots of `days` days from `from_day` (None: its today). An empty `service` is all of them.
    """
    some = next(iter(office_plans.values()))
    first = from_day or today_in(some.timezone, now_ms)
    last = first + timedelta(days=days - 1)
    wanted = [
        plan
        for plan in office_plans.values()
        if first.isoformat() <= plan.date <= last.isoformat() and service in ("", plan.service)
    ]
    wanted.sort(key=lambda plan: (plan.starts_at, plan.service, plan.channel))
    return AvailabilityView(
        server_time_ms=now_ms,
        office_id=some.office_id,
        timezone=some.timezone,
        window=window_of(office_plans.values(), now_ms),
        slots=tuple(
            _slot_view(plan, free.get(plan.slot_id, 0), returning.get(plan.slot_id, 0), now_ms) for plan in wanted
        ),
    )


def _slot_view(plan: SlotPlanned, free: int, returning: int, now_ms: int) -> SlotView:
    return SlotView(
        slot_id=plan.slot_id,
        date=plan.date,
        session=plan.session,
        starts_at=plan.starts_at,
        ends_at=plan.ends_at,
        service=plan.service,
        channel=plan.channel,
        capacity=plan.capacity,
        free=free,
        returning=returning,
        state=slot_state(plan, free, now_ms),
        opens_at=local_time(plan.opens_at_ms, plan.timezone),
        closes_at=local_time(plan.closes_at_ms, plan.timezone),
    )


class Timeless(NamedTuple):
    """
    A view as JSON without the time of asking, and an ETag that changes when anything else does.
    """

    body: bytes
    tag: str

    def at(self, now_ms: int) -> bytes:
        """
        The whole of it, asked for at a time.
        """
        return b"%b%d%b" % (_TIME, now_ms, self.body)


def timeless(view: AvailabilityView) -> Timeless:
    """
    Encoded once for as long as it stays true.
    """
    body = msgspec.json.encode(msgspec.structs.replace(view, server_time_ms=0)).removeprefix(_TIME + b"0")
    return Timeless(body, f'W/"{hashlib.blake2b(body, digest_size=12).hexdigest()}"')


def steady_until_ms(plans: Iterable[SlotPlanned], now_ms: int) -> int:
    """
    Until when the clock alone changes nothing that is shown: the next opening, closing or midnight.
    """
    known = list(plans)
    edges = [edge for plan in known for edge in (plan.opens_at_ms, plan.closes_at_ms) if edge > now_ms]
    return min([*edges, *(_midnight_ms(zone, now_ms) for zone in {plan.timezone for plan in known})])


def _midnight_ms(timezone: str, now_ms: int) -> int:
    tomorrow = today_in(timezone, now_ms) + timedelta(days=1)
    return int(datetime.combine(tomorrow, time(), ZoneInfo(timezone)).timestamp() * 1000)


@functools.lru_cache(maxsize=8192)
def _seconds_of(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()


class PublicSlots:
    """
    Slots people may still ask for by service and place, first ones first: put in order once for as long as plans stay.
    """

    def __init__(self, plans: Iterable[SlotPlanned], now_ms: int) -> None:
        self.by_office: dict[str, list[str]] = {}
        """Slot ids."""
        self._lists: dict[tuple[str, ...], list[SlotPlanned]] = {}
        public = [plan for plan in plans if plan.channel == PUBLIC_CHANNEL and now_ms < plan.closes_at_ms]
        public.sort(key=lambda plan: (_seconds_of(plan.starts_at), plan.slot_id))
        for plan in public:
            self.by_office.setdefault(plan.office_id, []).append(plan.slot_id)
            for place in _places_of(plan):
                self._lists.setdefault((plan.service, *place), []).append(plan)

    def near(self, service: str, place: tuple[str, ...]) -> Sequence[SlotPlanned]:
        """
        Those of a service in a place.
        """
        return self._lists.get((service, *place), ())


class Offers:
    """
    What had places at one moment: answers "what else?" in microseconds; looks through a place when first asked of it.
    """

    def __init__(self, slots: PublicSlots, free: Mapping[str, int], now_ms: int) -> None:
        self._slots = slots
        self._free = free
        self._now_ms = now_ms
        self._open: dict[tuple[str, ...], list[SlotPlanned]] = {}
        self._known: dict[tuple[str, int], tuple[Alternative, ...]] = {}

    def instead_of(self, plan: SlotPlanned, count: int) -> tuple[Alternative, ...]:
        """
        Up to three slots with `count` places: the same office first, then its city, its province, then anywhere.
        """
        known = self._known.get((plan.slot_id, count))
        if known is None:
            found: dict[str, Alternative] = {}
            for offer in self._nearest(plan, count):
                found.setdefault(offer.slot_id, self._alternative(offer))
                if len(found) == ALTERNATIVES_MAX:
                    break
            known = self._known[plan.slot_id, count] = tuple(found.values())
        return known

    def _nearest(self, plan: SlotPlanned, count: int) -> Iterator[SlotPlanned]:
        for place in _places_of(plan):
            for offer in self._open_in(plan.service, place):
                if self._free[offer.slot_id] >= count and offer.slot_id != plan.slot_id:
                    yield offer

    def _open_in(self, service: str, place: tuple[str, ...]) -> Sequence[SlotPlanned]:
        found = self._open.get((service, *place))
        if found is None:
            free, now_ms = self._free, self._now_ms
            found = self._open[service, *place] = [
                plan
                for plan in self._slots.near(service, place)
                if (left := free.get(plan.slot_id, 0)) > 0 and slot_state(plan, left, now_ms) == "open"
            ]
        return found

    def _alternative(self, plan: SlotPlanned) -> Alternative:
        return Alternative(
            slot_id=plan.slot_id,
            office_id=plan.office_id,
            office_name=plan.office_name,
            date=plan.date,
            session=plan.session,
            starts_at=plan.starts_at,
            free=self._free[plan.slot_id],
        )


def _places_of(plan: SlotPlanned) -> tuple[tuple[str, ...], ...]:
    return (("office", plan.office_id), ("city", plan.city), ("province", plan.province), ("country",))
