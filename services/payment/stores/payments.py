"""
What banks reported, and the money that came, in Postgres.

Called by use cases, inside their transaction. Never decides.
"""

from datetime import timedelta

import msgspec

from kernel.postgres import Connection
from services.payment.domain.settlement import Payment, Report, Verdict
from services.payment.stores.statements import SQL


async def lock_report(connection: Connection, report: Report) -> None:
    """
    Let nobody else work on the same notification or the same NTPN.
    """
    await connection.execute(SQL.lock_report, f"{report.bank} {report.external_id}", report.ntpn)


async def callback_seen(connection: Connection, report: Report) -> tuple[str, Verdict] | None:
    """
    Body hash and verdict of the notification with this id, if there was one.
    """
    row = await connection.fetchrow(SQL.read_callback, report.bank, report.external_id)
    return None if row is None else (row["body_sha256"], Verdict(row["verdict"]))


async def remember_callback(connection: Connection, report: Report, verdict: Verdict) -> None:
    """
    The same notification gets the same answer from now on.
    """
    await connection.execute(SQL.insert_callback, report.bank, report.external_id, report.body_sha256, verdict.value)


async def forget_callbacks(connection: Connection, *, older_than: timedelta, rows_max: int) -> None:
    """
    Make room.
    """
    await connection.execute(SQL.delete_callbacks, older_than, rows_max)


async def payment_of(connection: Connection, ntpn: str) -> Payment | None:
    """
    The payment an NTPN stands for.
    """
    row = await connection.fetchrow(SQL.read_payment, ntpn)
    return None if row is None else msgspec.convert(dict(row), Payment)


async def insert_payment(connection: Connection, payment: Payment) -> None:
    """
    Store the payment and mark its invoice paid.
    """
    await connection.execute(
        SQL.insert_payment,
        payment.ntpn,
        payment.bank,
        payment.journal_number,
        payment.billing_code,
        payment.booking_id,
        payment.amount_rupiah,
        payment.paid_at_ms,
        payment.told_code,
    )
    await connection.execute(SQL.mark_paid, payment.booking_id)


async def insert_exception(connection: Connection, report: Report, verdict: Verdict) -> None:
    """
    Keep a report that is no payment, once for the same money however often the bank tells of it.
    """
    await connection.execute(
        SQL.insert_exception,
        report.bank,
        report.external_id,
        verdict.value,
        report.billing_code,
        report.amount_value,
        report.currency,
        report.ntpn,
        report.journal_number,
        report.paid_at_ms,
    )
