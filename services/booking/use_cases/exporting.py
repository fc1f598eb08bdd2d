"""
Exporting: everything booking remembers, of one moment, as JSON lines for the audit.

Called by the export command. Reads only.
"""

from pathlib import Path

from kernel.postgres import Database
from services.booking.stores import bookings


async def export(database: Database, out: Path) -> int:
    """
    Write slots, bookings and watermarks to `out`. Returns the number of lines.
    """
    lines = 0
    with out.open("w", encoding="utf-8") as file:
        async with (
            database.connection() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            async for line in bookings.export(connection):
                file.write(f"{line}\n")
                lines += 1
    return lines
