"""
Where and when slots are, as events tell it, kept in memory and asked for again when a plan has changed.

Called by the recording use case inside its transaction: what it returns is what Postgres
says now, but only slots whose version has moved are read. Never remembers that a slot is unknown.
"""

from collections.abc import Collection, Mapping
from typing import NamedTuple

from kernel.postgres import Connection
from services.booking.domain.record import Visit, words_of
from services.booking.stores.statements import SQL

VISITS_MAX = 50_000
"""Several weeks of the whole nation."""


class _Known(NamedTuple):
    version: int
    words: dict[str, str]


class Visits:
    """
    What a worker knows of slots.
    """

    def __init__(self) -> None:
        self._known: dict[str, _Known] = {}

    async def words(self, connection: Connection, slot_ids: Collection[str]) -> Mapping[str, Mapping[str, str]]:
        """
        The words of those slots that are planned.
        """
        if len(self._known) > VISITS_MAX:
            self._known.clear()
        asked = list(slot_ids)
        versions = [known.version if (known := self._known.get(slot_id)) else 0 for slot_id in asked]
        for row in await connection.fetch(SQL.read_changed_visits, asked, versions):
            visit = Visit(**{name: row[name] for name in Visit.__struct_fields__})
            self._known[visit.slot_id] = _Known(row["version"], words_of(visit))
        return {slot_id: self._known[slot_id].words for slot_id in asked if slot_id in self._known}
