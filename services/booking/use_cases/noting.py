"""
Noting: people who came without a booking while a desk had no network are put on record, and get their places.

Called by the route of the leaf's uploads inside the transaction that also stores the answer, and by
paying when such places are paid for. They were served in fact: the note is kept whatever quota says, and
what finds no place is listed, never lost and never given two.
"""

import asyncio
import datetime as dt
from collections.abc import Sequence
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from kernel.audit import entries
from kernel.audit.entries import Deed
from kernel.postgres import Connection, Database
from services.booking.domain.counter import CHANNELS, pay_by_noted
from services.booking.domain.desk import How, day_at
from services.booking.domain.lifecycle import State
from services.booking.domain.noting import ASKED_AGAIN, WalkInOutcome, refused_at_the_door
from services.booking.domain.wishes import NOTED_GOOD_FOR, Why, Wish
from services.booking.stores import counter, noting, offices
from services.booking.stores.counter import Seating
from services.booking.stores.noting import Became, WalkInNote
from services.booking.use_cases import visiting, wishing
from services.booking.use_cases.seating import nameless
from services.booking.use_cases.visiting import Desk, Done
from services.booking.use_cases.wishing import wish_id

CHANNEL: Final = CHANNELS[Why.WALK_IN]
ATTEMPTS_MAX: Final = 10
LOOK_EVERY_SECONDS: Final = 0.1
PAID_LATER: Final = "noted without a network, paid afterwards"


class WalkInNoted(msgspec.Struct, frozen=True, kw_only=True):
    """
    People at the desk, as the upload has them.
    """

    entry_id: str
    service: str
    persons: int
    numbers: tuple[int, ...]
    at: dt.datetime
    by: str
    served: bool
    reason: str


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """
    What the upload meant for a note. `outcome` is set where nothing more will come of this upload for it.
    """

    entry_id: str
    outcome: WalkInOutcome | None = None


async def take(
    connection: Connection, noted: Sequence[WalkInNoted], desk_of: Desk, *, pay_seconds: int
) -> list[Taken] | None:
    """
    Keep notes and ask quota for their places, each once. None if there is no such office.
    """
    if not noted:
        return []
    # One upload of an office after the other, so that a note is looked up and kept in one step.
    timezone = await counter.lock(connection, desk_of.office_id)
    if timezone is None:
        return None
    now = await offices.read_now(connection)
    asking = _Asking(connection, desk_of, ZoneInfo(timezone), now, pay_seconds)
    return [await asking.take(entry) for entry in noted]


async def settled(
    database: Database, office_id: str, entry_ids: Sequence[str], *, within_seconds: float
) -> dict[str, Became]:
    """
    What has become of notes as soon as quota has answered for all, or when the time is up.
    """
    loop = asyncio.get_running_loop()
    until = loop.time() + within_seconds
    while True:
        async with database.connection() as connection:
            became = await noting.read(connection, office_id, entry_ids)
        if loop.time() >= until or all(one.outcome is not WalkInOutcome.PENDING for one in became.values()):
            return became
        await asyncio.sleep(LOOK_EVERY_SECONDS)


async def bring_in(connection: Connection, booking_ids: Sequence[str]) -> list[State]:
    """
    Bookings are confirmed: those whose people a desk has seen already are checked in at the hour that was noted, and
    served. Returns the steps taken. After their confirmation is told.
    """
    steps: list[State] = []
    for seen in await noting.seen_among(connection, booking_ids) if booking_ids else ():
        desk_of = Desk(office_id=seen.office_id, actor=seen.uploaded_by, reason=PAID_LATER)
        answer = await visiting.check_in(
            connection, seen.booking_id, desk_of, how=How.OFFLINE, at=seen.at, seen_by=seen.by_account
        )
        if isinstance(answer, Done):
            steps.append(State.CHECKED_IN)
            if seen.served:
                await visiting.step(connection, seen.booking_id, desk_of, to=State.SERVED)
                steps.append(State.SERVED)
    return steps


class _Asking:
    """
    One upload's notes, while the office is locked.
    """

    def __init__(
        self, connection: Connection, desk_of: Desk, zone: ZoneInfo, now: dt.datetime, pay_seconds: int
    ) -> None:
        self._connection = connection
        self._desk = desk_of
        self._zone = zone
        self._now = now
        self._pay_seconds = pay_seconds

    async def take(self, entry: WalkInNoted) -> Taken:
        """
        Keep a note, unless it is known; ask for its places, unless that is done.
        """
        refusal = refused_at_the_door(entry.at, self._now)
        if refusal is not None:
            return Taken(entry_id=entry.entry_id, outcome=refusal)
        note = self._note_of(entry)
        known = (await noting.read(self._connection, self._desk.office_id, [entry.entry_id])).get(entry.entry_id)
        if known is None:
            await noting.put(self._connection, self._desk.office_id, note, uploaded_by=self._desk.actor)
            await self._ask(note, entry.reason, attempt=1)
            return Taken(entry_id=entry.entry_id)
        if known.note != note:
            return Taken(entry_id=entry.entry_id, outcome=WalkInOutcome.CONTRADICTS)
        if known.outcome in ASKED_AGAIN and known.attempts < ATTEMPTS_MAX:
            await self._ask(note, entry.reason, attempt=known.attempts + 1)
        settled = WalkInOutcome.KNOWN if known.outcome is WalkInOutcome.MERGED else None
        return Taken(entry_id=entry.entry_id, outcome=settled)

    def _note_of(self, entry: WalkInNoted) -> WalkInNote:
        return WalkInNote(
            entry_id=entry.entry_id,
            day=day_at(entry.at, self._zone.key),
            service=entry.service,
            persons=entry.persons,
            numbers=entry.numbers,
            at=entry.at,
            by_account=entry.by,
            served=entry.served,
        )

    async def _ask(self, note: WalkInNote, reason: str, *, attempt: int) -> None:
        office_id = self._desk.office_id
        slot_id = await noting.slot_at(
            self._connection, office_id, note.day, service=note.service, channel=CHANNEL, at=note.at
        )
        if slot_id is not None:
            wish = self._wish(note, slot_id, attempt)
            await wishing.ask(self._connection, wish)
            seating = Seating(
                booking_id=wish.booking_id,
                office_id=office_id,
                day=note.day,
                why=Why.WALK_IN,
                ground=None,
                persons=note.persons,
            )
            await counter.put(self._connection, seating)
            await noting.asked(self._connection, office_id, note.entry_id, booking_id=wish.booking_id)
        await self._audit(note, slot_id, reason, attempt)

    def _wish(self, note: WalkInNote, slot_id: str, attempt: int) -> Wish:
        booking_id = wish_id(Why.WALK_IN, self._desk.office_id, "noted", note.entry_id, str(attempt))
        party = nameless(booking_id, note.persons)
        return Wish(
            booking_id=booking_id,
            why=Why.WALK_IN,
            account_id=party.account_id,
            person_ids=party.person_ids,
            slot_ids=(slot_id,),
            # What was handed out at the desk is kept where nobody has it; else others are had, and told.
            seats=note.numbers,
            actor=self._desk.actor,
            reason=Why.WALK_IN.value,
            pay_by=pay_by_noted(
                now=self._now,
                today=day_at(self._now, self._zone.key),
                zone=self._zone,
                pay_seconds=self._pay_seconds,
            ),
            good_until=self._now + NOTED_GOOD_FOR,
        )

    async def _audit(self, note: WalkInNote, slot_id: str | None, reason: str, attempt: int) -> None:
        deed = Deed(
            actor=self._desk.actor,
            action="note_walk_in",
            subject=f"{self._desk.office_id}:{note.entry_id}",
            office_id=self._desk.office_id,
            reason=reason,
            details={
                "day": note.day.isoformat(),
                "service": note.service,
                "persons": note.persons,
                "seen_by": note.by_account,
                "slot_id": slot_id,
                "attempt": attempt,
            },
        )
        await entries.write(self._connection, deed)
