"""
Seating: an officer gives one of the office's own places, with a reason.

Called by the counter's routes inside their transaction. Counts what a cap allows under the
office's lock, writes the audit line and asks quota; whether there is a place is quota's.
"""

import datetime as dt
from typing import TypeAlias
from zoneinfo import ZoneInfo

import msgspec

from contracts.events.booking import COUNTER_ACCOUNT
from kernel.audit import entries
from kernel.audit.entries import Deed
from kernel.ids import derived
from kernel.postgres import Connection
from services.booking.domain.counter import CHANNELS, CounterTerms, Ground, Party, pay_by
from services.booking.domain.wishes import GOOD_FOR, Why, Wish
from services.booking.stores import counter, offices
from services.booking.stores.counter import Seating
from services.booking.use_cases import wishing
from services.booking.use_cases.wishing import wish_id


class SeatingAsked(msgspec.Struct, frozen=True, kw_only=True):
    """
    A place somebody at the counter is to have. Without a party it is for `persons` people without an account.
    """

    why: Why
    office_id: str
    officer: str
    """The officer's account."""
    key: str
    """The Idempotency-Key."""
    day: dt.date | None
    """None is today at the office."""
    service: str
    session: str | None
    party: Party | None
    persons: int
    ground: Ground | None
    reason: str


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """
    Quota is asked.
    """

    booking_id: str


class OfficeUnknown(msgspec.Struct, frozen=True):
    """
    There is no such office.
    """


class DayIsPast(msgspec.Struct, frozen=True, kw_only=True):
    """
    The day is over at the office.
    """

    today: dt.date


class NothingPlanned(msgspec.Struct, frozen=True):
    """
    The office has no such places that day, or their time is over.
    """


class CapReached(msgspec.Struct, frozen=True, kw_only=True):
    """
    The office has given as many as it may that day.
    """

    cap: int
    given: int


NotAsked: TypeAlias = OfficeUnknown | DayIsPast | NothingPlanned | CapReached


async def seat(connection: Connection, asked: SeatingAsked, terms: CounterTerms) -> Asked | NotAsked:
    """
    Ask quota for a place of the office's own.
    """
    timezone = await counter.lock(connection, asked.office_id)
    if timezone is None:
        return OfficeUnknown()
    zone = ZoneInfo(timezone)
    now = await offices.read_now(connection)
    today = now.astimezone(zone).date()
    day = asked.day or today
    if day < today:
        return DayIsPast(today=today)
    slot_ids = await counter.slot_ids(
        connection,
        office_id=asked.office_id,
        day=day,
        service=asked.service,
        channel=CHANNELS[asked.why],
        session=asked.session,
    )
    if not slot_ids:
        return NothingPlanned()
    if reached := await _cap_reached(connection, asked, day, terms):
        return reached
    until = pay_by(asked.why, now=now, day=day, zone=zone, pay_seconds=terms.pay_seconds)
    return await _ask(connection, asked, day, _wish(asked, slot_ids, pay_by=until, good_until=now + GOOD_FOR))


async def _cap_reached(
    connection: Connection, asked: SeatingAsked, day: dt.date, terms: CounterTerms
) -> CapReached | None:
    cap = terms.caps.get(asked.why)
    if cap is None:
        return None
    given = await counter.places_given(connection, office_id=asked.office_id, day=day, why=asked.why)
    return CapReached(cap=cap, given=given) if given + asked.persons > cap else None


def _wish(asked: SeatingAsked, slot_ids: tuple[str, ...], *, pay_by: dt.datetime, good_until: dt.datetime) -> Wish:
    booking_id = wish_id(asked.why, asked.office_id, asked.officer, asked.key)
    party = asked.party or nameless(booking_id, asked.persons)
    return Wish(
        booking_id=booking_id,
        why=asked.why,
        account_id=party.account_id,
        person_ids=party.person_ids,
        slot_ids=slot_ids,
        actor=asked.officer,
        # What the officer wrote stays in the audit log: it may say more about people than a booking should.
        reason=asked.why.value,
        pay_by=pay_by,
        good_until=good_until,
    )


def nameless(booking_id: str, persons: int) -> Party:
    """
    People without an account: ids of their own for every booking, so that no claim of theirs meets another's.
    """
    return Party(
        account_id=derived(COUNTER_ACCOUNT, booking_id),
        person_ids=tuple(derived("per", booking_id, str(number)) for number in range(1, persons + 1)),
    )


async def _ask(connection: Connection, asked: SeatingAsked, day: dt.date, wish: Wish) -> Asked:
    if not await wishing.ask(connection, wish):
        return Asked(booking_id=wish.booking_id)
    await counter.put(
        connection,
        Seating(
            booking_id=wish.booking_id,
            office_id=asked.office_id,
            day=day,
            why=asked.why,
            ground=asked.ground,
            persons=asked.persons,
        ),
    )
    details = {"day": day.isoformat(), "service": asked.service, "persons": asked.persons, "ground": asked.ground}
    await entries.write(
        connection,
        Deed(
            actor=asked.officer,
            action=f"seat_{asked.why.value}",
            subject=wish.booking_id,
            office_id=asked.office_id,
            reason=asked.reason,
            details=details,
        ),
    )
    return Asked(booking_id=wish.booking_id)
