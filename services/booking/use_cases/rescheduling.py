"""
Rescheduling: a booking is to have another time, by its holder, by its office, or by the choice of who paid in vain.

Called by routes, inside the transaction that also stores the answer. Only asks: quota says
whether the places are had, settling moves the booking then. The old place is untouched
until the new one stands.
"""

import dataclasses
import datetime as dt
import enum
from collections.abc import Sequence
from typing import TypeAlias
from zoneinfo import ZoneInfo

from kernel.audit import entries
from kernel.audit.entries import Deed
from kernel.postgres import Connection
from services.booking.domain.lifecycle import KEEPS_PLACES, Reschedule, State, reschedule_means
from services.booking.domain.record import BookingRecord
from services.booking.domain.wishes import GOOD_FOR, Why, Wish, may_move
from services.booking.stores import bookings, moves, offices
from services.booking.stores.moves import Alternative, Target
from services.booking.use_cases.wishing import ask, wish_id

PUBLIC_CHANNEL = "online"
ALTERNATIVES_MAX = 3


class No(enum.StrEnum):
    """
    Why quota is not even asked.
    """

    NOT_MOVABLE = "not_movable"
    TOO_LATE = "too_late"
    NONE_LEFT = "none_left"
    UNDER_WAY = "under_way"
    REFUND_ASKED = "refund_asked"
    SLOT_UNKNOWN = "slot_unknown"
    SLOT_CLOSED = "slot_closed"
    SLOT_NOT_RELEASED = "slot_not_released"
    SLOT_BEGUN = "slot_begun"
    SLOT_OF_OTHER_SERVICE = "slot_of_other_service"
    SLOT_NOT_PUBLIC = "slot_not_public"
    SLOT_OF_OTHER_OFFICE = "slot_of_other_office"
    SLOT_IS_THE_SAME = "slot_is_the_same"


SLOT_REFUSALS = frozenset(each for each in No if each.value.startswith("slot_"))
_HOLDERS = {
    Reschedule.NOT_CONFIRMED: No.NOT_MOVABLE,
    Reschedule.TOO_LATE: No.TOO_LATE,
    Reschedule.NONE_LEFT: No.NONE_LEFT,
}


@dataclasses.dataclass(frozen=True, slots=True)
class Asked:
    """
    Quota is asked for places under this id, which the new booking will have.
    """

    move_id: str


@dataclasses.dataclass(frozen=True, slots=True)
class Absent:
    """
    The caller has no such booking.
    """


@dataclasses.dataclass(frozen=True, slots=True)
class NotAsked:
    """
    It stays as it is. `alternatives` where another slot would do.
    """

    why: No
    record: BookingRecord
    alternatives: tuple[Alternative, ...] = ()


Answer: TypeAlias = Asked | Absent | NotAsked


async def ask_by_holder(
    connection: Connection, booking_id: str, *, account_id: str, slot_id: str, key: str, moves_max: int
) -> Answer:
    """
    Ask for another time for a confirmed booking of that account. The same `key` asks once.
    """
    record = await _locked(connection, booking_id)
    if record is None or record.account_id != account_id:
        return Absent()
    meaning = reschedule_means(
        record.state,
        today=_today_at(record, await offices.read_now(connection)),
        visit_on=record.visit.date,
        moves_made=await moves.count(connection, booking_id, Why.RESCHEDULE),
        moves_max=moves_max,
    )
    if meaning is not Reschedule.GRANTED:
        return NotAsked(_HOLDERS[meaning], record)
    target = await moves.read_target(connection, slot_id)
    no = _not_for_move(target, record) or _not_for_public(target)
    if no is not None or target is None:
        return await _with_alternatives(connection, record, no or No.SLOT_UNKNOWN, target)
    return await _ask(connection, record, target, why=Why.RESCHEDULE, actor=account_id, reason="by_holder", key=key)


async def ask_by_office(
    connection: Connection, booking_id: str, *, office_id: str, officer: str, slot_id: str, reason: str, key: str
) -> Answer:
    """
    Move a booking of that office within it, at any time. The audit log keeps who did it and why.
    """
    record = await _locked(connection, booking_id)
    if record is None or record.visit.office_id != office_id:
        return Absent()
    why = Why.REBOOK if may_move(Why.REBOOK, record.state, ntpn=record.ntpn) else Why.RESEAT
    no = _not_for_office(record, why)
    if no is not None:
        return NotAsked(no, record)
    target = await moves.read_target(connection, slot_id)
    no = _not_for_move(target, record)
    if no is None and target is not None and target.office_id != office_id:
        no = No.SLOT_OF_OTHER_OFFICE
    if no is not None or target is None:
        return await _with_alternatives(connection, record, no or No.SLOT_UNKNOWN, target)
    answer = await _ask(connection, record, target, why=why, actor=officer, reason="by_office", key=key)
    if isinstance(answer, Asked):
        details = {"slot_id": slot_id, "from_slot_id": record.visit.slot_id, "move_id": answer.move_id}
        deed = Deed(
            actor=officer,
            action="reschedule_booking",
            subject=booking_id,
            office_id=office_id,
            reason=reason,
            details=details,
        )
        await entries.write(connection, deed)
    return answer


async def choose_slot(connection: Connection, booking_id: str, *, account_id: str, slot_id: str, key: str) -> Answer:
    """
    Who paid in time but found no place chooses one, also where the window is still to open.
    """
    record = await _locked(connection, booking_id)
    if record is None or record.account_id != account_id:
        return Absent()
    no = _not_for_choice(record)
    if no is not None:
        return NotAsked(no, record)
    target = await moves.read_target(connection, slot_id)
    no = _not_for_move(target, record)
    if no is None and target is not None and target.channel != PUBLIC_CHANNEL:
        no = No.SLOT_NOT_PUBLIC
    if no is not None or target is None:
        return await _with_alternatives(connection, record, no or No.SLOT_UNKNOWN, target)
    return await _ask(connection, record, target, why=Why.RESEAT, actor=account_id, reason="by_choice", key=key)


async def choose_refund(connection: Connection, booking_id: str, *, account_id: str) -> Absent | NotAsked | dt.datetime:
    """
    Note that the money is wanted back: no places are sought for it from then on. Returns since when.
    """
    record = await _locked(connection, booking_id)
    if record is None or record.account_id != account_id:
        return Absent()
    if record.state is not State.PAID_NO_SEAT:
        return NotAsked(No.NOT_MOVABLE, record)
    if await moves.is_under_way(connection, booking_id):
        return NotAsked(No.UNDER_WAY, record)
    since = await moves.ask_refund(connection, booking_id)
    return NotAsked(No.NOT_MOVABLE, record) if since is None else since


async def alternatives_to(
    connection: Connection, record: BookingRecord, *, near: dt.date | None = None, but_not: Sequence[str] = ()
) -> tuple[Alternative, ...]:
    """
    Other places of the same service, at the office before the city.
    """
    found = await moves.read_alternatives(
        connection,
        record,
        near=near or record.visit.date,
        channel=PUBLIC_CHANNEL,
        but_not=but_not,
        limit=ALTERNATIVES_MAX,
    )
    return tuple(found)


async def _ask(
    connection: Connection, record: BookingRecord, target: Target, *, why: Why, actor: str, reason: str, key: str
) -> Answer:
    now = await offices.read_now(connection)
    wish = Wish(
        booking_id=wish_id(why, record.booking_id, key),
        why=why,
        account_id=record.account_id,
        person_ids=record.person_ids,
        slot_ids=(target.slot_id,),
        replaces=record.booking_id,
        actor=actor,
        reason=reason,
        pay_by=now + GOOD_FOR + dt.timedelta(seconds=target.pay_seconds),
        good_until=now + GOOD_FOR,
    )
    return Asked(wish.booking_id) if await ask(connection, wish) else NotAsked(No.UNDER_WAY, record)


async def _locked(connection: Connection, booking_id: str) -> BookingRecord | None:
    return (await bookings.lock(connection, [booking_id])).get(booking_id)


async def _with_alternatives(connection: Connection, record: BookingRecord, no: No, target: Target | None) -> NotAsked:
    near, but_not = (None, ()) if target is None else (target.date, (target.slot_id,))
    return NotAsked(no, record, await alternatives_to(connection, record, near=near, but_not=but_not))


def _today_at(record: BookingRecord, now: dt.datetime) -> dt.date:
    return now.astimezone(ZoneInfo(record.visit.timezone)).date()


def _not_for_office(record: BookingRecord, why: Why) -> No | None:
    if record.refund_asked_at is not None:
        return No.REFUND_ASKED
    # A booking its holder has cancelled has its payment too, but nobody owes it places: only late money is seated.
    owed = why is Why.REBOOK or record.unseated_at is not None
    return None if owed and may_move(why, record.state, ntpn=record.ntpn) else No.NOT_MOVABLE


def _not_for_choice(record: BookingRecord) -> No | None:
    if record.state is not State.PAID_NO_SEAT:
        return No.NOT_MOVABLE
    return None if record.refund_asked_at is None else No.REFUND_ASKED


def _not_for_move(target: Target | None, record: BookingRecord) -> No | None:
    if target is None:
        return No.SLOT_UNKNOWN
    if target.service != record.visit.service:
        return No.SLOT_OF_OTHER_SERVICE
    if target.slot_id == record.visit.slot_id and record.state in KEEPS_PLACES:
        return No.SLOT_IS_THE_SAME
    if target.closed:
        return No.SLOT_CLOSED
    return No.SLOT_BEGUN if target.begun else None


def _not_for_public(target: Target | None) -> No | None:
    if target is None or target.channel != PUBLIC_CHANNEL:
        return No.SLOT_NOT_PUBLIC
    return None if target.released else No.SLOT_NOT_RELEASED
