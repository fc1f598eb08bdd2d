"""
The books of the sandbox's bank.

Called by the sandbox bank alone; a real bank keeps its own.
"""

import msgspec

from kernel.postgres import Connection
from services.payment.stores.statements import SQL


class Booked(msgspec.Struct, frozen=True, kw_only=True):
    """
    A line in the sandbox bank's books.
    """

    ntpn: str
    journal_number: str
    external_id: str
    paid_at_ms: int


async def remember_sandbox_payment(
    connection: Connection, *, billing_code: str, amount_rupiah: int, booked: Booked
) -> Booked:
    """
    Write `booked`, unless the same payment stands there already. Returns what stands there.
    """
    row = await connection.fetchrow(
        SQL.remember_sandbox_payment,
        billing_code,
        amount_rupiah,
        booked.ntpn,
        booked.journal_number,
        booked.external_id,
        booked.paid_at_ms,
    )
    return msgspec.convert(dict(row), Booked) if row is not None else booked


class Entry(Booked, frozen=True, kw_only=True):
    """
    A line with what was paid.
    """

    amount_rupiah: int


async def find_sandbox_payment(connection: Connection, *, billing_code: str, journal_number: str) -> Entry | None:
    """
    What the books say of a payment, if anything.
    """
    row = await connection.fetchrow(SQL.find_sandbox_payment, billing_code, journal_number)
    return None if row is None else msgspec.convert(dict(row), Entry)
