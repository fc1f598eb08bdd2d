"""
Notify's rows in Postgres. Statements live in `sql/queries.sql`.

Called by use cases, the sender and routes. Turns rows into the domain's words and back;
never decides.
"""

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec

from contracts.events import Booking
from kernel.postgres import Connection
from kernel.sql import load_queries
from services.notify.domain import Letter, Payload, Template

SCHEMA = "notify"
MIGRATIONS = Path(__file__).parent / "sql" / "migrations"
SQL = load_queries(Path(__file__).parent / "sql" / "queries.sql")

_encode = msgspec.json.Encoder().encode
_decode_payload = msgspec.json.Decoder(Payload).decode
_decode_booking = msgspec.json.Decoder(Booking).decode


class Contact(msgspec.Struct, frozen=True, kw_only=True):
    """
    Where an account's mails go, and in which language.
    """

    account_id: str
    email: str
    locale: str
    at_ms: int


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """
    A mail this sender may send until its lease ends.
    """

    letter: Letter
    attempts: int
    """Which claim of the mail this is; only the latest may say what became of it."""
    tries: int
    """Hand-overs before this one that were refused or unanswered."""
    in_doubt: bool
    """Whether an earlier try may have reached the relay."""
    email: str
    locale: str


async def upsert_contacts(connection: Connection, contacts: Sequence[Contact]) -> None:
    """
    Know addresses. Of several for one account the newest counts.
    """
    newest: dict[str, Contact] = {}
    for contact in contacts:
        known = newest.get(contact.account_id)
        if known is None or known.at_ms <= contact.at_ms:
            newest[contact.account_id] = contact
    await connection.execute(
        SQL.upsert_contacts,
        list(newest),
        [contact.email for contact in newest.values()],
        [contact.locale for contact in newest.values()],
        [contact.at_ms for contact in newest.values()],
    )


async def insert_messages(connection: Connection, letters: Sequence[Letter]) -> None:
    """
    Queue mails, each once for ever.
    """
    await connection.execute(
        SQL.insert_messages,
        [letter.message_id for letter in letters],
        [letter.account_id for letter in letters],
        [letter.booking_id for letter in letters],
        [letter.template.value for letter in letters],
        [_encode(letter.payload).decode() for letter in letters],
    )


async def upsert_tickets(connection: Connection, bookings: Sequence[Booking]) -> None:
    """
    Keep the newest version of each booking.
    """
    newest: dict[str, Booking] = {}
    for booking in bookings:
        known = newest.get(booking.booking_id)
        if known is None or known.version < booking.version:
            newest[booking.booking_id] = booking
    await connection.execute(
        SQL.upsert_tickets,
        list(newest),
        [booking.account_id for booking in newest.values()],
        [booking.state for booking in newest.values()],
        [booking.version for booking in newest.values()],
        [_encode(booking).decode() for booking in newest.values()],
    )


async def booking_of(connection: Connection, *, booking_id: str, account_id: str) -> Booking | None:
    """
    An account's own booking as last heard.
    """
    raw = await connection.fetchval(SQL.read_ticket, booking_id, account_id)
    return None if raw is None else _decode_booking(raw)


async def any_due(connection: Connection) -> bool:
    """
    Whether there is something to claim.
    """
    due: bool = await connection.fetchval(SQL.any_due)
    return due


async def claim(connection: Connection, *, rows_max: int, lease_seconds: float) -> list[Claim]:
    """
    Take due mails whose address is known. Committed before anything is sent.
    """
    rows = await connection.fetch(SQL.claim_messages, rows_max, timedelta(seconds=lease_seconds))
    return [_claim(row) for row in rows]


async def mark_sent(connection: Connection, claim: Claim) -> None:
    """
    The relay has it.
    """
    await connection.execute(SQL.mark_sent, claim.letter.message_id, claim.attempts)


async def mark_refused(connection: Connection, claim: Claim, *, wait_seconds: float, reason: str) -> None:
    """
    The relay has it not; try again after a while.
    """
    wait = timedelta(seconds=wait_seconds)
    await connection.execute(SQL.mark_refused, claim.letter.message_id, claim.attempts, wait, reason)


async def mark_unknown(connection: Connection, claim: Claim, *, reason: str) -> None:
    """
    No answer; in doubt when the lease ends.
    """
    await connection.execute(SQL.mark_unknown, claim.letter.message_id, claim.attempts, reason)


async def mark_failed(connection: Connection, claim: Claim, *, reason: str) -> None:
    """
    Nobody tries any more.
    """
    await connection.execute(SQL.mark_failed, claim.letter.message_id, claim.attempts, reason)


async def count_unsent(connection: Connection) -> int:
    """
    How many mails wait, counted up to a bound.
    """
    count: int = await connection.fetchval(SQL.count_unsent)
    return count


async def export(connection: Connection) -> AsyncIterator[dict[str, Any]]:
    """
    Every mail. The connection is in a transaction.
    """
    async for row in connection.cursor(SQL.export_messages):
        yield {"kind": "message", **dict(row)}


def _claim(row: Any) -> Claim:
    letter = Letter(
        message_id=row["message_id"],
        account_id=row["account_id"],
        booking_id=row["booking_id"],
        template=Template(row["template"]),
        payload=_decode_payload(row["payload"]),
    )
    return Claim(
        letter=letter,
        attempts=row["attempts"],
        tries=row["tries"],
        in_doubt=row["in_doubt"],
        email=row["email"],
        locale=row["locale"],
    )
