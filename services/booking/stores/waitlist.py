"""
The waitlist: lines of families, by office and service.

Called by the waitlisting use case inside its transactions, and by its routes' readers. Who
offers places to a line holds the line's lock, so that no two offers overtake each other.
"""

import datetime as dt
from collections.abc import Collection, Iterable, Sequence

import msgspec

from kernel.postgres import Connection
from services.booking.domain.lifecycle import UNPAID, State
from services.booking.domain.waitlist import Standing, Waiting
from services.booking.stores.statements import SQL

SLOTS_LOOKED_AT = 1000
LISTED_MAX = 50


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """
    What somebody waits for.
    """

    entry_id: str
    account_id: str
    office_id: str
    service: str
    first_day: dt.date
    last_day: dt.date
    person_ids: tuple[str, ...]


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """
    An entry as its account sees it. `position` is 1 for who is next, null for who waits no more.
    """

    entry_id: str
    state: Standing
    office_id: str
    timezone: str
    service: str
    first_day: dt.date
    last_day: dt.date
    person_ids: tuple[str, ...]
    joined_at: dt.datetime
    position: int | None
    booking_id: str | None
    pay_by: dt.datetime | None


class WaitableSlot(msgspec.Struct, frozen=True, kw_only=True):
    """
    A slot as far as is recorded.
    """

    slot_id: str
    sold_now: bool
    places_left: int


class WantedSlot(msgspec.Struct, frozen=True, kw_only=True):
    """
    A slot somebody waits for. `opens_at`: who joined before it was on sale does not wait for it.
    """

    slot_id: str
    office_id: str
    service: str
    date: dt.date
    opens_at: dt.datetime


class RefusedOffer(msgspec.Struct, frozen=True, kw_only=True):
    """
    An entry whose offer quota refused.
    """

    entry_id: str
    place: int
    office_id: str
    service: str
    person_ids: tuple[str, ...]
    booking_id: str


class DecidedOffer(msgspec.Struct, frozen=True, kw_only=True):
    """
    An offer about which something is to be done.
    """

    entry_id: str
    state: Standing
    booking_id: str
    booking_state: State | None


async def waitable_slots(
    connection: Connection, *, office_id: str, service: str, first_day: dt.date, last_day: dt.date
) -> list[WaitableSlot]:
    """
    Slots of a range that have been on sale and are still to come.
    """
    rows = await connection.fetch(SQL.read_waitable_slots, office_id, service, first_day, last_day, SLOTS_LOOKED_AT)
    return [WaitableSlot(**row) for row in rows]


async def busy_persons(connection: Connection, person_ids: Sequence[str]) -> list[str]:
    """
    Those who have an active booking.
    """
    return [row["person_id"] for row in await connection.fetch(SQL.read_busy_persons, person_ids)]


async def length(connection: Connection, *, office_id: str, service: str) -> int:
    """
    How many wait in a line.
    """
    waiting: int = await connection.fetchval(SQL.count_waiting, office_id, service)
    return waiting


async def put(connection: Connection, entry: Entry) -> bool:
    """
    Join a line at its end. False, and the caller takes it back, if the account or one of the people waits already.
    """
    joined = await connection.fetchval(
        SQL.put_waitlist_entry,
        entry.entry_id,
        entry.account_id,
        entry.office_id,
        entry.service,
        entry.first_day,
        entry.last_day,
        entry.person_ids,
    )
    if joined is None:
        return False
    noted = await connection.fetch(SQL.put_waitlist_persons, entry.entry_id, entry.person_ids)
    return len(noted) == len(entry.person_ids)


async def read(connection: Connection, *, account_id: str, entry_id: str | None = None) -> list[Listed]:
    """
    An account's entries, or one of them, newest first.
    """
    rows = await connection.fetch(SQL.read_waitlist, account_id, entry_id, LISTED_MAX)
    return [msgspec.convert(dict(row), Listed) for row in rows]


async def lock(connection: Connection, entry_id: str, *, account_id: str) -> tuple[Standing, str | None] | None:
    """
    Where an account's entry stands, and its offer; nobody else changes it until the caller's transaction ends.
    """
    row = await connection.fetchrow(SQL.lock_waitlist_entry, entry_id, account_id)
    return None if row is None else (Standing(row["state"]), row["booking_id"])


async def refused_offers(connection: Connection, booking_ids: Collection[str]) -> list[RefusedOffer]:
    """
    Of refused wishes those that were offers to somebody who still wants one.
    """
    rows = await connection.fetch(SQL.read_refused_offers, list(booking_ids))
    return [msgspec.convert(dict(row), RefusedOffer) for row in rows]


async def wanted_slots(connection: Connection, slot_ids: Collection[str], *, ahead: dt.timedelta) -> list[WantedSlot]:
    """
    Of slots those somebody waits for and that begin later than `ahead` from now, the earliest first.
    """
    rows = await connection.fetch(SQL.read_slots_waited_for, list(slot_ids), ahead.total_seconds())
    return [WantedSlot(**row) for row in rows]


async def lock_lines(connection: Connection, lines: Iterable[tuple[str, str]]) -> None:
    """
    Be the only one to offer to these lines (office, service), locked in one order for everybody.
    """
    for office_id, service in sorted(set(lines)):
        await connection.execute(SQL.lock_waitlist_line, f"waitlist\n{office_id}\n{service}")


async def lock_next(
    connection: Connection, slot: WantedSlot, *, persons_max: int, behind: int, limit: int
) -> list[Waiting]:
    """
    The next in line whom a slot would do for.
    """
    rows = await connection.fetch(
        SQL.lock_next_in_line, slot.office_id, slot.service, slot.date, slot.opens_at, persons_max, behind, limit
    )
    return [msgspec.convert(dict(row), Waiting) for row in rows]


async def offer(connection: Connection, entry_id: str, *, booking_id: str) -> None:
    """
    Note that an offer is under way.
    """
    await connection.execute(SQL.offer_waitlist_entry, entry_id, booking_id)


async def requeue(connection: Connection, entry_ids: Sequence[str]) -> None:
    """
    Back to the place they had.
    """
    if entry_ids:
        await connection.execute(SQL.requeue_waitlist_entries, entry_ids)


async def end(
    connection: Connection, entry_ids: Sequence[str], standing: Standing, *, open_offer: bool = False
) -> None:
    """
    They wait no more. With `open_offer` the sweep looks after what was offered.
    """
    if entry_ids:
        await connection.execute(SQL.end_waitlist_entries, entry_ids, standing.value, open_offer)


async def lock_decided(connection: Connection, *, limit: int) -> list[DecidedOffer]:
    """
    Offers about which something is to be done, as far as nobody else has them in hand.
    """
    rows = await connection.fetch(SQL.lock_decided_offers, [state.value for state in UNPAID], limit)
    return [msgspec.convert(dict(row), DecidedOffer) for row in rows]


async def lock_past(connection: Connection, *, limit: int) -> list[str]:
    """
    Entries that wait for days that are over.
    """
    return [row["entry_id"] for row in await connection.fetch(SQL.lock_past_entries, limit)]
