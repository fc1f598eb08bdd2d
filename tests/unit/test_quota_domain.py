"""
What quota means by free, open, nearest and the same request. No network, no clock.
"""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.events import GiveBackAsked, ReservationHeld, ReservationReleased, SlotPlanned
from kernel.settings import BadSettings, load
from services.quota.domain.availability import (
    Offers,
    PublicSlots,
    availability,
    local_time,
    slot_state,
    steady_until_ms,
    timeless,
    utc_time,
    window_of,
)
from services.quota.domain.facts import event_id, event_of
from services.quota.domain.records import HoldRecord, packed
from services.quota.domain.returning import Delay, Returns, offer_of
from services.quota.routes import ReservationBody
from services.quota.settings import ApiSettings, ReturnSettings
from services.quota.use_cases.reservations import ask_of

NOON_MS = 1_796_018_400_000
HOUR_MS = 3_600_000
PLACES = {
    "bandung": ("Kota Bandung", "Jawa Barat", "Asia/Jakarta", "+07:00"),
    "cimahi": ("Kota Bandung", "Jawa Barat", "Asia/Jakarta", "+07:00"),
    "bogor": ("Kota Bogor", "Jawa Barat", "Asia/Jakarta", "+07:00"),
    "jayapura": ("Kota Jayapura", "Papua", "Asia/Jayapura", "+09:00"),
}


def _plan(office: str = "bandung", day: str = "2026-11-30", *, clock: str = "08", **changes: Any) -> SlotPlanned:
    city, province, timezone, offset = PLACES[office]
    facts: dict[str, Any] = {
        "slot_id": f"{office}.{day.replace('-', '')}.s{clock}.regular.online",
        "version": 1,
        "office_id": office,
        "office_name": office.title(),
        "city": city,
        "province": province,
        "timezone": timezone,
        "date": day,
        "session": f"s{clock}",
        "starts_at": f"{day}T{clock}:00:00{offset}",
        "ends_at": f"{day}T23:00:00{offset}",
        "service": "regular",
        "channel": "online",
        "capacity": 10,
        "opens_at_ms": NOON_MS - HOUR_MS,
        "closes_at_ms": NOON_MS + HOUR_MS,
    }
    return SlotPlanned(**(facts | changes))


def test_a_slot_is_open_from_its_opening_to_the_moment_before_its_close() -> None:
    """
    The edges belong to the later state, as in the script that decides.
    """
    plan = _plan()
    moments = (plan.opens_at_ms - 1, plan.opens_at_ms, plan.closes_at_ms - 1, plan.closes_at_ms)

    assert ["not_open", "open", "open", "closed"] == [slot_state(plan, 1, at) for at in moments]
    assert ("sold_out", "closed") == (slot_state(plan, 0, NOON_MS), slot_state(_plan(closed=True), 9, NOON_MS))


def test_the_window_shown_is_the_open_one_else_the_next_else_the_last() -> None:
    """
    A long and a short horizon side by side: what people can act on comes first.
    """
    over = _plan(clock="06", closes_at_ms=NOON_MS - 1, next_opens_at_ms=NOON_MS + 9 * HOUR_MS)
    opened = _plan(clock="08")
    coming = _plan(clock="10", opens_at_ms=NOON_MS + 2 * HOUR_MS, closes_at_ms=NOON_MS + 3 * HOUR_MS)

    windows = [window_of(plans, NOON_MS) for plans in ([over, coming, opened], [over, coming], [over], [])]

    assert ["open", "not_open", "closed", None] == [window and window.state for window in windows]
    assert windows[2] is not None
    assert local_time(NOON_MS + 9 * HOUR_MS, "Asia/Jakarta") == windows[2].next_opens_at


def test_times_are_told_in_the_offices_own_zone() -> None:
    """
    One moment, three zones.
    """
    assert [
        "2026-11-30T05:00:00+07:00",
        "2026-11-30T06:00:00+08:00",
        "2026-11-30T07:00:00+09:00",
    ] == [local_time(1_795_989_600_000, zone) for zone in ("Asia/Jakarta", "Asia/Makassar", "Asia/Jayapura")]
    assert "2026-11-29T22:00:00Z" == utc_time(1_795_989_600_000)


def test_availability_is_the_asked_days_in_order_of_the_day() -> None:
    """
    Days count from the one asked for; a slot nobody has loaded yet has nothing free.
    """
    plans = [_plan(day=day, clock=clock) for day in ("2026-12-01", "2026-11-30") for clock in ("10", "08")]
    by_id = {plan.slot_id: plan for plan in plans}
    first = plans[3].slot_id

    view = availability(by_id, {first: 4}, from_day=None, days=2, service="", now_ms=1_795_989_600_000)
    narrow = availability(by_id, {first: 4}, from_day=None, days=1, service="regular", now_ms=1_795_989_600_000)

    assert ["s08", "s10", "s08", "s10"] == [slot.session for slot in view.slots]
    assert [4, 0] == [slot.free for slot in narrow.slots]


def test_a_tag_changes_with_the_places_and_not_with_the_time() -> None:
    """
    A client that looks every second is answered 304 until something moves.
    """
    plan = _plan()

    def tag(free: int, now_ms: int) -> str:
        return timeless(
            availability({plan.slot_id: plan}, {plan.slot_id: free}, from_day=None, days=31, service="", now_ms=now_ms)
        ).tag

    assert tag(3, NOON_MS) == tag(3, NOON_MS + 1)
    assert tag(3, NOON_MS) != tag(2, NOON_MS)


def test_a_view_kept_without_its_time_is_the_view_at_any_time() -> None:
    """
    What is sent is what encoding the whole view would give.
    """
    plan = _plan()
    view = availability({plan.slot_id: plan}, {}, from_day=None, days=31, service="", now_ms=NOON_MS)

    assert msgspec.json.encode(view) == timeless(view).at(NOON_MS)


def test_what_is_shown_is_steady_until_the_next_opening_closing_or_midnight() -> None:
    """
    Each edge of the clock that changes a state, a window or a first day; the earliest of them.
    """
    plan = _plan()
    moments = (plan.opens_at_ms - 1, plan.opens_at_ms, plan.closes_at_ms)
    midnight_ms = next(
        at_ms
        for at_ms in range(NOON_MS, NOON_MS + 25 * HOUR_MS, HOUR_MS)
        if "T00:00" in local_time(at_ms, plan.timezone)
    )

    assert [plan.opens_at_ms, plan.closes_at_ms, midnight_ms] == [steady_until_ms([plan], at) for at in moments]


def test_alternatives_come_nearest_first_with_room_for_the_family() -> None:
    """
    Same office, same city, same province, anywhere; never the slot asked for, never one without room.
    """
    asked = _plan()
    others = [_plan("jayapura"), _plan("bogor"), _plan("cimahi"), _plan(clock="10"), _plan(clock="12")]
    free = {plan.slot_id: 5 for plan in (asked, *others)} | {others[4].slot_id: 2}
    offers = Offers(PublicSlots([asked, *others], NOON_MS), free, NOON_MS)

    for_three = [one.office_id for one in offers.instead_of(asked, 3)]
    for_two = [(one.office_id, one.session) for one in offers.instead_of(asked, 2)]

    assert ["bandung", "cimahi", "bogor"] == for_three
    assert [("bandung", "s10"), ("bandung", "s12"), ("cimahi", "s08")] == for_two
    assert () == offers.instead_of(asked, 6)


def test_alternatives_are_only_what_can_be_had_now() -> None:
    """
    Not another service, not an officer's channel, not closed, not tomorrow's window.
    """
    asked = _plan()
    others = [
        _plan(clock="09", service="electronic"),
        _plan(clock="10", channel="walk_in"),
        _plan(clock="11", closed=True),
        _plan(clock="12", opens_at_ms=NOON_MS + 1),
    ]
    offers = Offers(PublicSlots([asked, *others], NOON_MS), {plan.slot_id: 5 for plan in others}, NOON_MS)

    assert () == offers.instead_of(asked, 1)


def test_the_same_request_has_the_same_id_and_any_other_another() -> None:
    """
    Account, key and slot make the id; the persons are the body, which the hold itself remembers.
    """
    first = ask_of("acc_1", "key-1", "slot-1", ("per_1", "per_2"))
    same = ask_of("acc_1", "key-1", "slot-1", ("per_1", "per_2"))
    others = [
        ask_of("acc_2", "key-1", "slot-1", ("per_1",)),
        ask_of("acc_1", "key-2", "slot-1", ("per_1",)),
        ask_of("acc_1", "key-1", "slot-2", ("per_1",)),
    ]

    assert first == same
    assert 4 == len({first.reservation_id, *(one.reservation_id for one in others)})
    assert (4 + 32, "rsv_") == (len(first.reservation_id), first.reservation_id[:4])


def test_a_stream_entry_is_its_event_and_a_strange_one_is_refused() -> None:
    """
    Fields become the struct booking reads; what no script of ours writes stops the relay.
    """
    place = {b"slot_id": b"s", b"at_ms": b"7", b"reservation_id": b"rsv_1"}
    hold = packed(HoldRecord("held", "s", "acc_1", ("per_1", "per_2"), (4, 5), 7, 9))

    held = event_of(3, 1, 9, {b"held": b"rsv_1", b"hold": hold})
    released = event_of(3, 1, 9, {**place, b"type": b"released", b"seats": b"4,5", b"reason": b"expired"})
    asked = event_of(3, 1, 9, {**place, b"type": b"give_back_asked", b"account_id": b"acc_1"})

    where: dict[str, Any] = {
        "partition": 3,
        "epoch": 1,
        "seq": 9,
        "slot_id": "s",
        "at_ms": 7,
        "reservation_id": "rsv_1",
    }
    family: dict[str, Any] = {"account_id": "acc_1", "person_ids": ("per_1", "per_2"), "seats": (4, 5)}
    assert ReservationHeld(**where, **family, pay_by_ms=9) == held
    assert ReservationReleased(**where, seats=(4, 5), reason="expired") == released
    assert GiveBackAsked(**where, account_id="acc_1") == asked
    assert "q3:1:9" == event_id(3, 1, 9)
    with pytest.raises(ValueError, match=r"entry 1-9 of partition 3 has no fact in it: KeyError\(b'seats'\)"):
        event_of(3, 1, 9, {**place, b"type": b"released", b"reason": b"expired"})
    with pytest.raises(ValueError, match="entry 1-9 of partition 3 has no fact in it"):
        event_of(3, 1, 9, {b"held": b"rsv_1", b"hold": b"text"})


@pytest.mark.parametrize(
    "body",
    [
        {"slot_id": "bandung.20261130.morning.regular.online", "person_ids": []},
        {"slot_id": "bandung.20261130.morning.regular.online", "person_ids": [f"per_{n}" for n in range(6)]},
        {"slot_id": "bandung.20261130.morning.regular", "person_ids": ["per_1"]},
        {"slot_id": "bandung.20261130.morning.regular.online\n", "person_ids": ["per_1"]},
        {"slot_id": "bandung.20261130.morning.regular.online", "person_ids": ["per_1,per_2"]},
        {"slot_id": "bandung.20261130.morning.regular.online", "person_ids": ["per_1"], "seat": 1},
    ],
)
def test_a_body_that_is_none_does_not_decode(body: dict[str, Any]) -> None:
    """
    Too few, too many, half an id, a hidden separator, a field nobody knows.
    """
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(body, ReservationBody)


def test_bad_settings_name_their_variables() -> None:
    """
    Keys that are none and a durability nobody knows stop the boot, without showing a secret.
    """
    environ = {"VALKEY_URL": "redis://x", "HTTP_PORT": "0", "JWKS_URL": "http://x"}

    with pytest.raises(BadSettings) as keys:
        load(ApiSettings, environ | {"PASS_KEYS": "k1:c2VjcmV0"})
    with pytest.raises(BadSettings) as durability:
        load(ApiSettings, environ | {"PASS_KEYS": f"k1:{'A' * 43}=", "VALKEY_DURABILITY": "perhaps"})

    assert "PASS_KEYS" in str(keys.value)
    assert "c2VjcmV0" not in str(keys.value)
    assert "VALKEY_DURABILITY" in str(durability.value)


def test_a_delay_is_drawn_from_its_whole_range() -> None:
    """
    From the least to the most, evenly; a range of one point is that point.
    """
    delay = Delay(seconds_min=60, seconds_max=1800)

    assert [60_000, 930_000, 1_800_000] == [delay.drawn(chance).after_ms for chance in (0, 0.5, 1)]
    assert [0, 0] == [Delay(seconds_min=0, seconds_max=0).drawn(chance).after_ms for chance in (0, 1)]


@pytest.mark.parametrize("zone", ["Asia/Jakarta", "Asia/Makassar", "Asia/Jayapura"])
@given(
    at_ms=st.integers(NOON_MS, NOON_MS + 400 * 24 * HOUR_MS),
    clocks=st.lists(st.times().map(lambda moment: f"{moment:%H:%M}"), min_size=1, max_size=24),
)
def test_places_come_back_at_the_next_published_time_of_the_office(zone: str, at_ms: int, clocks: list[str]) -> None:
    """
    Later than now, within a day, on one of the times by the office's own clock, and none of them in between.
    """
    offer = offer_of(Returns(timezone=zone, return_times=tuple(clocks)), Delay(), chance=0.5, now_ms=at_ms)
    passed = {
        local_time(minute * 60_000, zone)[11:16] for minute in range(at_ms // 60_000 + 1, offer.from_ms // 60_000)
    }

    assert 0 < offer.from_ms - at_ms <= 24 * HOUR_MS
    assert local_time(offer.from_ms, zone)[11:19] in {f"{clock}:00" for clock in clocks}
    assert not passed & set(clocks)
    assert 0 == offer.after_ms


def test_a_plan_without_times_leaves_it_to_chance() -> None:
    """
    So does a slot whose plan is not known.
    """
    given_times = [Returns(timezone="Asia/Jakarta"), None]

    assert [Delay().drawn(0.25)] * 2 == [offer_of(one, Delay(), chance=0.25, now_ms=NOON_MS) for one in given_times]


def test_a_range_that_ends_before_it_begins_stops_the_boot() -> None:
    """
    The sentence names both variables.
    """
    with pytest.raises(BadSettings, match="RETURN_DELAY_SECONDS_MIN must be at most RETURN_DELAY_SECONDS_MAX"):
        load(ReturnSettings, {"RETURN_DELAY_SECONDS_MIN": "61", "RETURN_DELAY_SECONDS_MAX": "60"})
