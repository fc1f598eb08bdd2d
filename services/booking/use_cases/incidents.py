"""
Incidents: an officer declares hours in which the office could not serve, and nobody is blocked for missing them.

Declared by officers' routes inside the transaction that also stores the answer. Who was blocked
before it was declared is pardoned at once, up to a limit; the worker pardons the rest.
"""

import dataclasses
import datetime as dt

from kernel.audit import entries
from kernel.audit.entries import Deed
from kernel.log import get_logger
from kernel.postgres import Connection, Database
from services.booking.domain.desk import Ground
from services.booking.domain.lifecycle import State
from services.booking.domain.record import BookingRecord
from services.booking.stores import bookings, incidents, offices
from services.booking.stores.bookings import Step
from services.booking.stores.incidents import Incident
from services.booking.use_cases.telling import tell_steps

log = get_logger(__name__)
PARDONED_AT_ONCE = 500


@dataclasses.dataclass(frozen=True, slots=True)
class Declared:
    """
    An incident, whom it pardoned at once, and how many booked in its hours are awaited still.
    """

    incident: Incident
    pardoned: list[BookingRecord]
    awaited: int


async def declare(
    connection: Connection,
    *,
    incident_id: str,
    office_id: str,
    starts_at: dt.datetime,
    ends_at: dt.datetime,
    kind: str,
    reason: str,
    actor: str,
) -> Declared:
    """
    Declare an incident.
    """
    incident = await incidents.declare(
        connection,
        incident_id=incident_id,
        office_id=office_id,
        starts_at=starts_at,
        ends_at=ends_at,
        kind=kind,
        reason=reason,
        declared_by=actor,
    )
    pardoned = await _pardon(connection, incident)
    awaited = await incidents.count_awaited(connection, incident)
    await entries.write(
        connection,
        Deed(
            actor=actor,
            action="declare_incident",
            subject=incident_id,
            office_id=office_id,
            reason=reason,
            details={
                "kind": kind,
                "starts_at": starts_at.isoformat(),
                "ends_at": ends_at.isoformat(),
                "pardoned": len(pardoned),
                "awaited": awaited,
            },
        ),
    )
    return Declared(incident, pardoned, awaited)


async def settle_one(database: Database) -> list[BookingRecord] | None:
    """
    Pardon whom an incident covers and who is still blocked, a bounded number at a time. None if no incident is open.
    """
    async with database.transaction() as connection:
        incident = await incidents.lock_unsettled(connection)
        if incident is None:
            return None
        return await _pardon(connection, incident)


async def _pardon(connection: Connection, incident: Incident) -> list[BookingRecord]:
    blocked = await incidents.lock_blocked(connection, incident, limit=PARDONED_AT_ONCE)
    now = await offices.read_now(connection)
    pardoned = await bookings.move(
        connection,
        [Step(booking_id=each, pardoned_at=now, reason=Ground.INCIDENT.value) for each in blocked],
        to=State.NO_SHOW,
        come_from=(State.NO_SHOW,),
    )
    await tell_steps(connection, pardoned)
    if len(blocked) < PARDONED_AT_ONCE:
        await incidents.settle(connection, incident.incident_id)
        log.info("incident_settled", incident_id=incident.incident_id, office_id=incident.office_id)
    return pardoned
