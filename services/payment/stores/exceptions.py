"""
Reports that are no payment, and how they ended, in Postgres.

Called by use cases, inside their transaction, and by the list. Never decides.
"""

import datetime as dt

import msgspec

from kernel.postgres import Connection
from services.payment.domain.bank_day import ZONE
from services.payment.domain.exceptions import End, Evidence, KeptReport, Told
from services.payment.domain.inquiry import Said
from services.payment.stores.statements import SQL


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """
    A row as staff read it.
    """

    number: int
    bank: str
    external_id: str
    reason: str
    billing_code: str
    amount_value: str
    amount_rupiah: int | None
    currency: str
    ntpn: str
    journal_number: str
    paid_at_ms: int
    recorded_at: dt.datetime
    state: str
    resolved_at: dt.datetime | None
    resolved_by: str | None
    resolution: str | None
    refund_id: str | None
    matched_code: str | None


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """
    Reports nobody has resolved.
    """

    reports: int
    oldest_seconds: float


async def waiting(connection: Connection) -> Waiting:
    """
    How many there are, and how long the oldest has been there.
    """
    return msgspec.convert(dict(await connection.fetchrow(SQL.count_open_exceptions) or {}), Waiting)


async def read(connection: Connection, number: int) -> KeptReport | None:
    """
    A report as it was kept.
    """
    row = await connection.fetchrow(SQL.read_kept_report, number)
    return None if row is None else msgspec.convert(dict(row), KeptReport)


async def lock(connection: Connection, number: int) -> KeptReport | None:
    """
    A report, for nobody else to end, nor to work on its NTPN, until the transaction ends.
    """
    kept = await read(connection, number)
    if kept is None:
        return None
    await connection.execute(SQL.lock_report, f"{kept.bank} {kept.external_id}", kept.ntpn)
    await connection.execute(SQL.lock_exception, number)
    return await read(connection, number)


async def evidence(connection: Connection, kept: KeptReport, *, said: Said) -> Evidence:
    """
    What is known of the money besides what the bank says now.
    """
    day = dt.datetime.fromtimestamp(kept.paid_at_ms / 1000, ZONE).date()
    row = await connection.fetchrow(SQL.read_evidence, kept.ntpn, kept.bank, kept.billing_code, kept.amount_rupiah, day)
    if row is None:
        raise LookupError("an aggregate without groups is one row")
    return Evidence(said=said, told=Told(row["told"]), is_taken=row["is_taken"], is_given_back=row["is_given_back"])


async def end(connection: Connection, number: int, end: End, *, actor: str, reason: str) -> None:
    """
    A report has its end.
    """
    await connection.execute(SQL.end_exception, number, end.value, actor, reason)


async def reopen(connection: Connection, number: int) -> None:
    """
    Its end came to nothing: somebody has to look again.
    """
    await connection.execute(SQL.reopen_exception, number)


async def page(connection: Connection, state: str, *, after: int, rows_max: int) -> list[Listed]:
    """
    Reports of one state, in the order they came.
    """
    rows = await connection.fetch(SQL.read_exceptions, after, rows_max, state, None)
    return [msgspec.convert(dict(row), Listed) for row in rows]


async def listed(connection: Connection, number: int) -> Listed | None:
    """
    One row as staff read it.
    """
    row = await connection.fetchrow(SQL.read_exceptions, 0, 1, None, number)
    return None if row is None else msgspec.convert(dict(row), Listed)
