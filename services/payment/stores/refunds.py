"""
Refunds and the files they are told in, in Postgres.

Called by use cases, inside their transaction. Never decides.
"""

from collections.abc import Sequence

import msgspec

from kernel.postgres import Connection
from services.payment.domain.refunds import Refund, RefundState, StandingPayment
from services.payment.stores.statements import SQL


async def paid_for(connection: Connection, booking_id: str) -> StandingPayment | None:
    """
    The payment that stands for a booking, held until the transaction ends.
    """
    row = await connection.fetchrow(SQL.read_paid, booking_id)
    return None if row is None else msgspec.convert(dict(row), StandingPayment)


async def move_payment(connection: Connection, booking_id: str, *, moved_to: str) -> None:
    """
    The money of a booking is another's from now on.
    """
    await connection.execute(SQL.move_payment, booking_id, moved_to)


async def insert(
    connection: Connection,
    *,
    refund_id: str,
    booking_id: str,
    paid: StandingPayment,
    amount_rupiah: int,
    reason: str,
    actor: str,
) -> bool:
    """
    Ask, unless the payment has a refund that is not rejected. Returns whether it was asked now.
    """
    added = await connection.fetchval(
        SQL.insert_refund,
        refund_id,
        booking_id,
        paid.ntpn,
        paid.account_id,
        paid.amount_rupiah,
        amount_rupiah,
        reason,
        actor,
    )
    return added is not None


async def insert_for_exception(
    connection: Connection, *, refund_id: str, exception_number: int, reason: str, actor: str
) -> bool:
    """
    Ask for money that is no payment, unless its NTPN has a refund that is not rejected. Returns whether it was asked.
    """
    added = await connection.fetchval(SQL.insert_refund_of_exception, refund_id, exception_number, reason, actor)
    return added is not None


async def is_given_back(connection: Connection, ntpn: str) -> bool:
    """
    Whether money of an NTPN that was no payment goes back, or has gone.
    """
    goes: bool = await connection.fetchval(SQL.is_given_back, ntpn)
    return goes


async def read(connection: Connection, refund_id: str) -> Refund | None:
    """
    A refund as it is.
    """
    row = await connection.fetchrow(SQL.read_refund, refund_id)
    return None if row is None else msgspec.convert(dict(row), Refund)


async def lock(connection: Connection, refund_id: str) -> Refund | None:
    """
    A refund, for nobody else to decide on until the transaction ends.
    """
    await connection.execute(SQL.lock_refund, refund_id)
    return await read(connection, refund_id)


async def of_booking(connection: Connection, booking_id: str, *, account_id: str) -> Refund | None:
    """
    The newest refund of an account's booking.
    """
    row = await connection.fetchrow(SQL.read_refund_of_booking, booking_id, account_id)
    return None if row is None else msgspec.convert(dict(row), Refund)


async def page(connection: Connection, state: RefundState, *, after: str | None, limit: int) -> list[Refund]:
    """
    Refunds of one state, oldest first.
    """
    rows = await connection.fetch(SQL.read_refunds, state.value, after, limit)
    return [msgspec.convert(dict(row), Refund) for row in rows]


async def approve(connection: Connection, refund_id: str, *, actor: str) -> None:
    """
    A second person agrees.
    """
    await connection.execute(SQL.approve_refund, refund_id, actor)


async def reject(connection: Connection, refund_id: str, *, actor: str) -> None:
    """
    The money stays.
    """
    await connection.execute(SQL.reject_refund, refund_id, actor)


async def live_of(connection: Connection, booking_id: str) -> list[str]:
    """
    Refunds of a booking's payment that can still be rejected, held until the transaction ends.
    """
    return [row["refund_id"] for row in await connection.fetch(SQL.read_live_refunds, booking_id)]


async def waiting_seconds(connection: Connection) -> dict[RefundState, float]:
    """
    How long the oldest refund has waited to be decided, and to be reported; 0 where none does.
    """
    ages = {row["state"]: row["seconds"] for row in await connection.fetch(SQL.read_oldest_refunds)}
    return {state: ages.get(state.value, 0.0) for state in (RefundState.REQUESTED, RefundState.APPROVED)}


async def take_approved(connection: Connection, *, rows_max: int) -> list[str]:
    """
    The refunds approved first, held until the transaction ends.
    """
    return [row["refund_id"] for row in await connection.fetch(SQL.take_approved_refunds, rows_max)]


async def insert_batch(connection: Connection, batch_id: str, refund_ids: Sequence[str]) -> int:
    """
    These refunds are told in this file. Returns when, in milliseconds since 1970 UTC.
    """
    at_ms: int = await connection.fetchval(SQL.insert_refund_batch, batch_id)
    await connection.execute(SQL.report_refunds, batch_id, refund_ids)
    return at_ms


async def of_batch(connection: Connection, batch_id: str) -> list[Refund]:
    """
    What a file holds, always in the same order.
    """
    rows = await connection.fetch(SQL.read_refund_batch, batch_id)
    return [msgspec.convert(dict(row), Refund) for row in rows]
