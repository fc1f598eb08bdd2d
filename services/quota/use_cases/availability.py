"""
An office's slots as everybody may see them, worked out once for all who ask within a quarter of a second.

Called by routes and by streams. Reads plans from memory and places from two small
keys. What is the same as a quarter of a second ago is not worked out again.
"""

import dataclasses
from datetime import date
from typing import NamedTuple

from services.quota.domain.availability import Timeless, availability, steady_until_ms, timeless
from services.quota.stores.catalogue import Catalogue
from services.quota.stores.free import OFFICE_AGE_MAX_SECONDS, OFFICES_MAX, FreePlaces, Moments, Places

VIEWS_PER_BOARD_MAX = 64


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
class _Board:
    """
    What is worked out from the same plans and places, as long as the clock changes nothing either.
    """

    places: Places
    revision: int
    until_ms: int
    views: dict[Wanted, Timeless] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True)
class _Moment:
    board: _Board
    now_ms: int
    views: dict[Wanted, Shown] = dataclasses.field(default_factory=dict)


class Availability:
    """
    The board on the wall.
    """

    def __init__(self, catalogue: Catalogue, free: FreePlaces) -> None:
        self._catalogue = catalogue
        self._free = free
        self._boards: dict[str, _Board] = {}
        self._moments: Moments[_Moment] = Moments(
            self._moment_of, age_max_seconds=OFFICE_AGE_MAX_SECONDS, keys_max=OFFICES_MAX
        )

    async def of(self, office_id: str, wanted: Wanted) -> Shown | None:
        """
        What to show of an office; None for an unknown one. Raises `Retryable` while Valkey is away.
        """
        if not self._catalogue.offices.get(office_id):
            return None
        moment = await self._moments.get(office_id)
        shown = moment.views.get(wanted)
        if shown is None:
            view = self._view_of(office_id, moment, wanted)
            if view is None:
                return None
            shown = Shown(view.at(moment.now_ms), view.tag)
            if len(moment.views) < VIEWS_PER_BOARD_MAX:
                moment.views[wanted] = shown
        return shown

    def _view_of(self, office_id: str, moment: _Moment, wanted: Wanted) -> Timeless | None:
        board = moment.board
        view = board.views.get(wanted)
        plans = self._catalogue.offices.get(office_id)
        if view is None and plans:
            view = timeless(
                availability(
                    plans,
                    board.places.free,
                    returning=board.places.returning,
                    from_day=wanted.from_day,
                    days=wanted.days,
                    service=wanted.service,
                    now_ms=moment.now_ms,
                )
            )
            if len(board.views) < VIEWS_PER_BOARD_MAX:
                board.views[wanted] = view
        return view

    async def _moment_of(self, office_id: str) -> _Moment:
        places = await self._free.of_office(office_id, list(self._catalogue.offices.get(office_id, ())))
        plans, revision = self._catalogue.offices.get(office_id, {}), self._catalogue.revision
        now_ms = self._catalogue.now_ms()
        board = self._boards.get(office_id)
        if board is None or (board.places, board.revision) != (places, revision) or now_ms >= board.until_ms:
            if len(self._boards) >= OFFICES_MAX:
                self._boards.clear()
            until_ms = steady_until_ms(plans.values(), now_ms) if plans else now_ms
            board = self._boards[office_id] = _Board(places, revision, until_ms)
        return _Moment(board, now_ms)
