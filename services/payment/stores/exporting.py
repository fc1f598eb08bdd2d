"""
Everything of the room, row by row, for the audit.

Called by the export command.
"""

from collections.abc import AsyncIterator
from typing import Any

from kernel.postgres import Connection
from services.payment.stores.statements import SQL


async def export(connection: Connection) -> AsyncIterator[dict[str, Any]]:
    """
    Every invoice, payment and exception. The connection is in a transaction.
    """
    statements = {"invoice": SQL.export_invoices, "payment": SQL.export_payments, "exception": SQL.export_exceptions}
    for kind, statement in statements.items():
        async for row in connection.cursor(statement):
            yield {"kind": kind, **dict(row)}
