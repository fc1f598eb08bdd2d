"""
Wishes under way and how they ended.

Called by the wishing use case, inside its caller's transaction. Never decides anything.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from kernel.postgres import Connection
from services.booking.domain.wishes import Why, Wish
from services.booking.stores.statements import SQL, as_json


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """
    A wish as somebody who waits for it sees it: `asked`, `held` or `refused` with why.
    """

    booking_id: str
    why: Why
    state: str
    refusal: str | None


async def put(connection: Connection, wish: Wish) -> bool:
    """
    Write a wish down. False if it is known, or another move of the same booking is under way.
    """
    return (
        await connection.fetchval(
            SQL.put_wish,
            wish.booking_id,
            wish.why.value,
            wish.account_id,
            wish.person_ids,
            wish.slot_ids,
            wish.seats,
            wish.replaces,
            wish.actor,
            wish.reason,
            wish.pay_by,
            wish.good_until,
        )
        is not None
    )


async def settle(connection: Connection, answers: Mapping[str, str | None]) -> list[Wish]:
    """
    Note quota's answers: by booking_id why it refused, None for places had. Returns those that were open.
    """
    if not answers:
        return []
    rows = [{"booking_id": booking_id, "refusal": refusal} for booking_id, refusal in answers.items()]
    return [_wish_of(row) for row in await connection.fetch(SQL.settle_wishes, as_json(rows))]


async def read(connection: Connection, booking_id: str) -> Standing | None:
    """
    How a wish stands.
    """
    row = await connection.fetchrow(SQL.read_wish, booking_id)
    return None if row is None else Standing(**dict(row) | {"why": Why(row["why"])})


async def asked_among(connection: Connection, booking_ids: Sequence[str]) -> dict[str, Wish]:
    """
    Those of these bookings that quota was asked for and has not answered until now.
    """
    return {row["booking_id"]: _wish_of(row) for row in await connection.fetch(SQL.read_asked_wishes, booking_ids)}


async def offered_among(connection: Connection, booking_ids: Sequence[str]) -> dict[str, str]:
    """
    Those of these bookings whose places came back and were offered, each with to whom: the waitlist.
    """
    if not booking_ids:
        return {}
    return {row["booking_id"]: row["why"] for row in await connection.fetch(SQL.read_offered, booking_ids)}


async def unsettled(connection: Connection, *, after_seconds: float, limit: int) -> Sequence[Wish]:
    """
    Wishes without an answer for too long.
    """
    return [_wish_of(row) for row in await connection.fetch(SQL.read_unsettled_wishes, after_seconds, limit)]


async def unanswered_seconds(connection: Connection) -> float:
    """
    How long ago the oldest open wish should have been answered; 0 where none is late.
    """
    seconds: float = await connection.fetchval(SQL.read_oldest_unanswered)
    return seconds


def _wish_of(row: Any) -> Wish:
    return Wish(
        booking_id=row["booking_id"],
        why=Why(row["why"]),
        account_id=row["account_id"],
        person_ids=tuple(row["person_ids"]),
        slot_ids=tuple(row["slot_ids"]),
        seats=tuple(row["seats"]),
        replaces=row["replaces"],
        actor=row["actor"],
        reason=row["reason"],
        pay_by=row["pay_by"],
        good_until=row["good_until"],
    )
