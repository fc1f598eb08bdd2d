"""
The audit trail: a line for every reading of other people's names.

Called by use cases in the transaction of the reading, so that no name leaves without its
line. Lines are only ever added.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from kernel.postgres import Connection
from services.identity.stores import SQL

_encode = msgspec.json.Encoder().encode


class Deed(msgspec.Struct, frozen=True, kw_only=True):
    """
    Who did what to what, and why. No names, no NIKs.
    """

    actor: str
    """The account of the member of staff."""
    action: str
    """A verb and a noun in snake_case, such as `read_names`."""
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
        _encode(dict(deed.details)).decode(),
    )
