"""
Reports in doubt.

Called by use cases. Never decides.
"""

from kernel.postgres import Connection
from services.payment.domain.inquiry import ASK_PAUSE_SECONDS_MAX, pause_seconds
from services.payment.domain.settlement import Report, Verdict
from services.payment.stores.statements import SQL


async def insert_unconfirmed(connection: Connection, report: Report) -> None:
    """
    Keep a report whose bank was asked once and did not say the same.
    """
    await connection.execute(
        SQL.insert_unconfirmed,
        report.bank,
        report.external_id,
        report.body_sha256,
        report.billing_code,
        report.amount_value,
        report.currency,
        report.ntpn,
        report.journal_number,
        report.paid_at_ms,
        pause_seconds(1),
    )


async def claim_unconfirmed(connection: Connection, *, rows_max: int) -> list[tuple[Report, int]]:
    """
    Reports to ask about now, each with how often its bank will have been asked.
    """
    rows = await connection.fetch(SQL.claim_unconfirmed, rows_max, ASK_PAUSE_SECONDS_MAX)
    return [(Report(**{name: row[name] for name in Report.__struct_fields__}), row["asked"]) for row in rows]


async def count_unconfirmed(connection: Connection) -> int:
    """
    How many reports wait.
    """
    waiting: int = await connection.fetchval(SQL.count_unconfirmed)
    return waiting


async def is_unconfirmed(connection: Connection, report: Report) -> bool:
    """
    Whether a report still waits.
    """
    waits: bool = await connection.fetchval(SQL.is_unconfirmed, report.bank, report.external_id)
    return waits


async def is_journal_unconfirmed(connection: Connection, *, billing_code: str, journal_number: str) -> bool:
    """
    Whether any bank's report of this payment waits.
    """
    waits: bool = await connection.fetchval(SQL.is_journal_unconfirmed, billing_code, journal_number)
    return waits


async def end_doubt(connection: Connection, report: Report, verdict: Verdict) -> None:
    """
    A report waits no longer; its notification, repeated, is answered with the verdict.
    """
    await connection.execute(SQL.delete_unconfirmed, report.bank, report.external_id)
    await answer_callback(connection, report.bank, report.external_id, verdict)


async def answer_callback(connection: Connection, bank: str, external_id: str, verdict: Verdict) -> None:
    """
    A notification that had another end, repeated, is answered with this one.
    """
    await connection.execute(SQL.update_callback, bank, external_id, verdict.value)


async def resolve_doubts(connection: Connection, ntpn: str) -> None:
    """
    What was listed as unconfirmed has been taken after all.
    """
    await connection.execute(SQL.resolve_doubts, ntpn)
