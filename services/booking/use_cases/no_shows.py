"""
No-shows: when an office's day is over, whoever was awaited and did not come is blocked for some weeks.

Called by the worker as a task. Any number of sweepers may run; each skips what another, or a
desk, has in hand. Who was booked in the hours of an incident, or on a day that was closed, is
set free at the same moment: the booking ends as a no-show that is pardoned, so that its people
may reserve again and it can still be moved to another day.
"""

import asyncio
import datetime as dt
from collections.abc import Sequence

from kernel.errors import Retryable
from kernel.log import get_logger
from kernel.postgres import Connection, Database
from services.booking import metrics
from services.booking.domain.desk import Ground
from services.booking.domain.lifecycle import State
from services.booking.domain.record import BookingRecord
from services.booking.stores import bookings, incidents, offices
from services.booking.stores.bookings import Step
from services.booking.stores.incidents import Missed
from services.booking.use_cases.incidents import settle_one
from services.booking.use_cases.telling import tell_steps

log = get_logger(__name__)
SWEEP_ROWS_MAX = 500
PAUSE_SECONDS = 30.0
"""Days end seldom, and a block that begins half a minute late blocks nobody from anything."""


async def sweep_for_ever(database: Database, *, block_days: int, grace_seconds: float) -> None:
    """
    Sweep until cancelled: at once while there is work, else after a pause.
    """
    while True:
        try:
            swept = await sweep(database, block_days=block_days, grace_seconds=grace_seconds)
            pardoned = await settle_one(database)
            if len(swept) < SWEEP_ROWS_MAX and pardoned is None:
                await asyncio.sleep(PAUSE_SECONDS)
        except Retryable as error:
            log.warning("no_show_sweep_waits", error=str(error))
            await asyncio.sleep(PAUSE_SECONDS)


async def sweep(database: Database, *, block_days: int, grace_seconds: float) -> list[BookingRecord]:
    """
    End what nobody came for, a bounded number at a time. Returns each booking after its last step.
    """
    async with database.transaction() as connection:
        over = await incidents.slots_over(connection, grace_seconds=grace_seconds)
        if not over:
            return []
        missed = await incidents.lock_missed(connection, over, block_days=block_days, limit=SWEEP_ROWS_MAX)
        blocked = await _end(connection, [one for one in missed if not one.excused])
        excused = await _excuse(connection, [one for one in missed if one.excused])
    metrics.count_steps(record.state for record in (*blocked, *excused))
    metrics.count_no_shows(blocked=len(blocked), excused=len(excused))
    if blocked or excused:
        log.info("no_shows_swept", blocked=len(blocked), excused=len(excused), slots=len(over))
    return [*blocked, *excused]


async def end_day(database: Database, office_id: str, day: dt.date, *, block_days: int) -> int:
    """
    Let an office's day be over at once, and sweep. For sandboxes. Returns how many bookings were ended.
    """
    async with database.transaction() as connection:
        await incidents.end_day(connection, office_id, day)
    ended = 0
    while swept := await sweep(database, block_days=block_days, grace_seconds=0):
        ended += len(swept)
    return ended


async def _end(connection: Connection, missed: Sequence[Missed]) -> list[BookingRecord]:
    ended = await bookings.move(
        connection,
        [Step(booking_id=one.booking_id, blocked_until=one.blocked_until) for one in missed],
        to=State.NO_SHOW,
        come_from=(State.CONFIRMED,),
    )
    await tell_steps(connection, ended)
    return ended


async def _excuse(connection: Connection, missed: Sequence[Missed]) -> list[BookingRecord]:
    if not missed:
        return []
    # Blocked until this very moment, then pardoned: whoever follows only one of the two steps sets the people free too.
    now = await offices.read_now(connection)
    await _end(connection, [Missed(booking_id=one.booking_id, blocked_until=now, excused=True) for one in missed])
    pardoned = await bookings.move(
        connection,
        [Step(booking_id=one.booking_id, pardoned_at=now, reason=Ground.INCIDENT.value) for one in missed],
        to=State.NO_SHOW,
        come_from=(State.NO_SHOW,),
    )
    await tell_steps(connection, pardoned)
    return pardoned
