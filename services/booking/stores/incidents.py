"""
Incidents, no-shows and what joins them: who is blocked, and whom an incident excuses.

Called by the use cases of no-shows and incidents, inside their transactions.
"""

import datetime as dt
from collections.abc import Sequence
from typing import Any

import msgspec

from kernel.postgres import Connection
from services.booking.stores.statements import SQL


class Incident(msgspec.Struct, frozen=True, kw_only=True):
    """
    Hours in which an office could not serve.
    """

    incident_id: str
    office_id: str
    starts_at: dt.datetime
    ends_at: dt.datetime
    kind: str
    reason: str
    declared_by: str
    declared_at: dt.datetime


class Missed(msgspec.Struct, frozen=True, kw_only=True):
    """
    A booking nobody came for, until when that blocks, and whether the office could not have served.
    """

    booking_id: str
    blocked_until: dt.datetime
    excused: bool


async def declare(
    connection: Connection,
    *,
    incident_id: str,
    office_id: str,
    starts_at: dt.datetime,
    ends_at: dt.datetime,
    kind: str,
    reason: str,
    declared_by: str,
) -> Incident:
    """
    Write an incident down.
    """
    row = await connection.fetchrow(
        SQL.put_incident, incident_id, office_id, starts_at, ends_at, kind, reason, declared_by
    )
    return _incident(row)


async def read(connection: Connection, office_id: str, *, limit: int) -> list[Incident]:
    """
    An office's incidents, newest first.
    """
    return [_incident(row) for row in await connection.fetch(SQL.read_incidents, office_id, limit)]


async def lock_unsettled(connection: Connection) -> Incident | None:
    """
    An incident that may still cover somebody who is blocked, and that nobody else has in hand.
    """
    row = await connection.fetchrow(SQL.lock_unsettled_incident)
    return None if row is None else _incident(row)


async def settle(connection: Connection, incident_id: str) -> None:
    """
    Nobody the incident covers is blocked any more.
    """
    await connection.execute(SQL.settle_incident, incident_id)


async def lock_blocked(connection: Connection, incident: Incident, *, limit: int) -> list[str]:
    """
    Blocked bookings an incident covers.
    """
    rows = await connection.fetch(SQL.lock_blocked, incident.office_id, incident.starts_at, incident.ends_at, limit)
    return [row["booking_id"] for row in rows]


async def count_awaited(connection: Connection, incident: Incident) -> int:
    """
    How many bookings in an incident's hours are not blocked, and now never will be for missing them.
    """
    number: int = await connection.fetchval(SQL.count_awaited, incident.office_id, incident.starts_at, incident.ends_at)
    return number


async def slots_over(connection: Connection, *, grace_seconds: float) -> list[str]:
    """
    Slots of days that are over, where somebody is still awaited.
    """
    return [row["slot_id"] for row in await connection.fetch(SQL.read_slots_over, grace_seconds)]


async def end_day(connection: Connection, office_id: str, day: dt.date) -> None:
    """
    Put the sessions of an office's day behind us. For sandboxes.
    """
    await connection.execute(SQL.end_day, office_id, day)


async def lock_missed(connection: Connection, slot_ids: Sequence[str], *, block_days: int, limit: int) -> list[Missed]:
    """
    Bookings of those slots nobody came for. Until the transaction ends no incident is declared.
    """
    await connection.execute(SQL.keep_incidents_still)
    rows = await connection.fetch(SQL.lock_missed, slot_ids, block_days, limit)
    return [Missed(**row) for row in rows]


def _incident(row: Any) -> Incident:
    return Incident(**row)
