"""
An office's slots as everybody may see them, worked out once for all who ask within a quarter of a second.

Called by routes. Reads plans from memory and free places from one small hash.
"""

import dataclasses
from datetime import date
from typing import NamedTuple

import msgspec

from services.quota.domain.availability import availability, tag_of
from services.quota.stores.catalogue import Catalogue
from services.quota.stores.free import OFFICE_AGE_MAX_SECONDS, OFFICES_MAX, FreePlaces, Moments

VIEWS_PER_MOMENT_MAX = 64
_encode = msgspec.json.Encoder().encode


class Wanted(NamedTuple):
    """
    Which of an office's slots: from when (None: today), how many days, of which service (empty: all).
    """

    from_day: date | None
    days: int
    service: str


class Shown(NamedTuple):
    """
    A view, ready to send.
    """

    body: bytes
    tag: str


@dataclasses.dataclass(frozen=True, slots=True)
class _Moment:
    free: dict[str, int]
    now_ms: int
    views: dict[Wanted, Shown] = dataclasses.field(default_factory=dict)


class Availability:
    """
    The board on the wall.
    """

    def __init__(self, catalogue: Catalogue, free: FreePlaces) -> None:
        self._catalogue = catalogue
        self._free = free
        self._moments: Moments[_Moment] = Moments(
            self._moment_of, age_max_seconds=OFFICE_AGE_MAX_SECONDS, keys_max=OFFICES_MAX
        )

    async def of(self, office_id: str, wanted: Wanted) -> Shown | None:
        """
        What to show of an office; None for an unknown one. Raises `Retryable` while Valkey is away.
        """
        plans = self._catalogue.offices.get(office_id)
        if not plans:
            return None
        moment = await self._moments.get(office_id)
        shown = moment.views.get(wanted)
        if shown is None:
            view = availability(
                plans,
                moment.free,
                from_day=wanted.from_day,
                days=wanted.days,
                service=wanted.service,
                now_ms=moment.now_ms,
            )
            shown = Shown(_encode(view), tag_of(view))
            if len(moment.views) < VIEWS_PER_MOMENT_MAX:
                moment.views[wanted] = shown
        return shown

    async def _moment_of(self, office_id: str) -> _Moment:
        return _Moment(await self._free.of_office(office_id), self._catalogue.now_ms())
