"""
What a played release opens: a day that no earlier crowd has been at.
"""

import msgspec

from ops.release.offer import Office, Slot, untouched_day


def slot(date: str, session: str = "morning", **changes: object) -> Slot:
    opened = f"{date[:4]}-{date[4:6]}-{date[6:]}T14:00:00+07:00"
    fresh = Slot(
        slot_id=f"bandung.{date}.{session}.regular.online",
        date=date,
        channel="online",
        state="not_open",
        capacity=10,
        free=10,
        opens_at=opened,
    )
    return msgspec.structs.replace(fresh, **changes)


def days_of(*slots: Slot) -> list[str]:
    return [slot.slot_id for slot in untouched_day(Office(office_id="bandung", slots=slots))]


def test_the_first_coming_day_is_taken_whole() -> None:
    """
    Every online slot of it, and none of the days after.
    """
    tuesday, early, late = slot("20261201"), slot("20261130"), slot("20261130", "afternoon")

    assert [early.slot_id, late.slot_id] == days_of(tuesday, early, late)


def test_a_day_of_which_somebody_has_a_place_is_passed_over_whole() -> None:
    """
    A slot that an earlier release sold out never opens again, and its neighbours count less than is on the plan.
    """
    sold_out = slot("20261130", state="sold_out", free=0)
    beside, after = slot("20261130", "afternoon", state="open"), slot("20261201")

    assert [after.slot_id] == days_of(sold_out, beside, after)


def test_closed_slots_and_other_channels_neither_count_nor_spoil_a_day() -> None:
    """
    Walk-in places are handed out at the counter, whatever the release does.
    """
    closed = slot("20261130", "afternoon", state="closed", free=3)
    walk_in = slot("20261130", channel="walk_in", free=2)
    online = slot("20261130")

    assert [online.slot_id] == days_of(closed, walk_in, online)


def test_an_office_with_somebody_on_every_day_has_nothing_to_offer() -> None:
    """
    It is left out; the release says so when there is no other.
    """
    assert [] == days_of(slot("20261130", free=9), slot("20261201", state="sold_out", free=0))
