"""
Invoices in Postgres.

Called by use cases and routes, inside their transaction. Never decides.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from kernel.postgres import Connection
from services.payment.domain.billing import Line
from services.payment.domain.settlement import Invoice
from services.payment.stores.statements import SQL

_encode = msgspec.json.Encoder().encode
_decode_lines = msgspec.json.Decoder(tuple[Line, ...]).decode


async def invoice_numbers(connection: Connection, count: int) -> list[int]:
    """
    Running numbers nobody else gets.
    """
    return [row["number"] for row in await connection.fetch(SQL.take_invoice_numbers, count)]


async def insert_invoices(connection: Connection, invoices: Sequence[Invoice]) -> set[str]:
    """
    Store invoices of bookings that have none. Returns the bookings that got theirs now.
    """
    rows = await connection.fetch(
        SQL.insert_invoices,
        [invoice.booking_id for invoice in invoices],
        [invoice.account_id for invoice in invoices],
        [invoice.billing_code for invoice in invoices],
        [invoice.virtual_account for invoice in invoices],
        [invoice.amount_rupiah for invoice in invoices],
        [_encode(invoice.lines).decode() for invoice in invoices],
        [invoice.pay_by_ms for invoice in invoices],
        [invoice.timezone for invoice in invoices],
        [invoice.state for invoice in invoices],
    )
    return {row["booking_id"] for row in rows}


async def close_invoices(connection: Connection, booking_ids: Sequence[str]) -> None:
    """
    Expect no money for these any more.
    """
    await connection.execute(SQL.close_invoices, booking_ids)


async def invoice_of(connection: Connection, *, booking_id: str, account_id: str) -> Invoice | None:
    """
    An account's own invoice.
    """
    return _invoice(await connection.fetchrow(SQL.read_invoice, booking_id, account_id))


async def amount_of(connection: Connection, billing_code: str) -> int | None:
    """
    What a code costs, or None for a code nobody issued.
    """
    amount: int | None = await connection.fetchval(SQL.read_amount, billing_code)
    return amount


async def invoice_by_code(connection: Connection, billing_code: str) -> Invoice | None:
    """
    The invoice of a code as it is now.
    """
    return _invoice(await connection.fetchrow(SQL.read_invoice_by_code, billing_code))


async def lock_invoice(connection: Connection, billing_code: str) -> Invoice | None:
    """
    The invoice of a code, held until the transaction ends.
    """
    return _invoice(await connection.fetchrow(SQL.lock_invoice, billing_code))


def _invoice(row: Any) -> Invoice | None:
    return None if row is None else Invoice(**{**dict(row), "lines": _decode_lines(row["lines"])})
