"""
Offices and slots to sell: as many as the country has, open for as long as the bench runs.

Called by the stand. Only names and plans; nothing is loaded here.
"""

import time
from collections.abc import Sequence
from typing import Final

from contracts.events import SlotPlanned

DAYS: Final = 5
SESSIONS: Final = ("morning", "noon", "afternoon")
_HOUR_MS: Final = 3_600_000
_DAY_MS: Final = 24 * _HOUR_MS


def slot_ids(offices: int) -> list[str]:
    """
    Every slot with places: neighbours in the list are of different offices.
    """
    return [
        f"office-{office:03d}.{_day(number)}.{session}.regular.online"
        for number in range(1, DAYS + 1)
        for session in SESSIONS
        for office in range(offices)
    ]


def sold_out_ids(offices: int) -> list[str]:
    """
    One slot per office that has a single place.
    """
    return [f"office-{office:03d}.{_day(DAYS + 1)}.morning.regular.online" for office in range(offices)]


def _day(number: int) -> str:
    return time.strftime("%Y%m%d", time.gmtime(time.time() + number * 86_400))


def plans(ids: Sequence[str], *, capacity: int) -> list[SlotPlanned]:
    """
    Each slot as booking would plan it, open now and for hours.
    """
    now_ms = time.time_ns() // 1_000_000
    return [_plan(slot_id, capacity, now_ms) for slot_id in ids]


def _plan(slot_id: str, capacity: int, now_ms: int) -> SlotPlanned:
    office_id, day, session, service, channel = slot_id.split(".")
    iso = f"{day[:4]}-{day[4:6]}-{day[6:]}"
    return SlotPlanned(
        slot_id=slot_id,
        version=1,
        office_id=office_id,
        office_name=f"Kantor {office_id}",
        city=f"Kota {office_id}",
        province="Jawa Barat",
        timezone="Asia/Jakarta",
        date=iso,
        session=session,
        starts_at=f"{iso}T08:00:00+07:00",
        ends_at=f"{iso}T10:00:00+07:00",
        service=service,
        channel=channel,
        capacity=capacity,
        opens_at_ms=now_ms - _HOUR_MS,
        closes_at_ms=now_ms + _DAY_MS,
        next_opens_at_ms=now_ms + 7 * _DAY_MS,
    )
