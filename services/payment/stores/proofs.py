"""
Attempts to prove a payment.

Called by the use case that checks proofs, inside its transaction. Never decides.
"""

import msgspec

from kernel.postgres import Connection
from services.payment.domain.proofs import WINDOW_SECONDS, Proof
from services.payment.domain.settlement import Payment
from services.payment.stores.statements import SQL


class Attempts(msgspec.Struct, frozen=True, kw_only=True):
    """
    How often an account was wrong lately, this request included or not.
    """

    of_account: int
    of_booking: int
    of_request: int
    account_wait_seconds: int | None
    booking_wait_seconds: int | None


async def attempts(connection: Connection, proof: Proof) -> Attempts:
    """
    Count, and let nobody else count for this account until the transaction ends.
    """
    await connection.execute(SQL.lock_attempts, proof.account_id)
    row = await connection.fetchrow(
        SQL.count_attempts,
        proof.account_id,
        proof.booking_id,
        WINDOW_SECONDS,
        proof.key,
        proof.journal_number,
    )
    return msgspec.convert(dict(row or {}), Attempts)


async def insert_attempt(connection: Connection, proof: Proof) -> None:
    """
    An attempt that is wrong until it turns out not to be.
    """
    await connection.execute(SQL.insert_attempt, *_key(proof))


async def forgive_attempt(connection: Connection, proof: Proof) -> None:
    """
    It was not wrong.
    """
    await connection.execute(SQL.delete_attempt, *_key(proof))


async def forget_attempts(connection: Connection, *, rows_max: int) -> None:
    """
    Make room.
    """
    await connection.execute(SQL.delete_attempts, WINDOW_SECONDS, rows_max)


async def payment_of_booking(connection: Connection, booking_id: str) -> Payment | None:
    """
    The payment of a booking.
    """
    row = await connection.fetchrow(SQL.read_payment_of_booking, booking_id)
    return None if row is None else msgspec.convert(dict(row), Payment)


def _key(proof: Proof) -> tuple[str, str, str, str]:
    return proof.account_id, proof.booking_id, proof.key, proof.journal_number
