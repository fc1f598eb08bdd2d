"""
A line for every unsafe thing staff do.

Called by use cases in the transaction of the deed, so that neither is there without the
other. Lines are only ever added.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from kernel.audit.statements import SQL
from kernel.postgres import Connection


class Deed(msgspec.Struct, frozen=True, kw_only=True):
    """
    Who did what to what, and why. No names, no NIKs.
    """

    actor: str
    """The account of the member of staff, or the room itself."""
    action: str
    """A verb and a noun in snake_case."""
    subject: str
    """What it was done to, by id."""
    office_id: str | None = None
    reason: str
    details: Mapping[str, Any] = {}


async def write(connection: Connection, deed: Deed) -> None:
    """
    Add a line.
    """
    await connection.execute(
        SQL.write_audit_entry,
        deed.actor,
        deed.action,
        deed.subject,
        deed.office_id,
        deed.reason,
        msgspec.json.encode(deed.details).decode(),
    )
