"""
Payment's rows in Postgres. Statements live in `sql/queries.sql`.

Called by use cases, inside their transaction. Turns rows into the domain's words and back;
never decides.
"""

from collections.abc import AsyncIterator, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import msgspec

from kernel.postgres import Connection
from kernel.sql import load_queries
from services.payment.domain.billing import Line, Tariff
from services.payment.domain.settlement import Invoice, Payment, Report, Verdict

SCHEMA = "payment"
MIGRATIONS = Path(__file__).parent / "sql" / "migrations"
SQL = load_queries(Path(__file__).parent / "sql" / "queries.sql")

_encode = msgspec.json.Encoder().encode
_decode_lines = msgspec.json.Decoder(tuple[Line, ...]).decode


async def add_tariffs(connection: Connection, tariffs: Sequence[Tariff]) -> int:
    """
    Add fees not known yet. Returns how many.
    """
    added: int = await connection.fetchval(
        SQL.add_tariffs,
        [tariff.service for tariff in tariffs],
        [tariff.validity_years for tariff in tariffs],
        [date.fromisoformat(tariff.valid_from) for tariff in tariffs],
        [tariff.amount_rupiah for tariff in tariffs],
    )
    return added


async def tariffs(connection: Connection) -> list[Tariff]:
    """
    All fees.
    """
    return [msgspec.convert(dict(row), Tariff) for row in await connection.fetch(SQL.read_tariffs)]


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


async def lock_invoice(connection: Connection, billing_code: str) -> Invoice | None:
    """
    The invoice of a code, held until the transaction ends.
    """
    return _invoice(await connection.fetchrow(SQL.lock_invoice, billing_code))


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
    )
    await connection.execute(SQL.mark_paid, payment.booking_id)


async def insert_exception(connection: Connection, report: Report, verdict: Verdict) -> None:
    """
    Keep a report that is no payment.
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


async def export(connection: Connection) -> AsyncIterator[dict[str, Any]]:
    """
    Every invoice, payment and exception. The connection is in a transaction.
    """
    statements = {"invoice": SQL.export_invoices, "payment": SQL.export_payments, "exception": SQL.export_exceptions}
    for kind, statement in statements.items():
        async for row in connection.cursor(statement):
            yield {"kind": kind, **dict(row)}


def _invoice(row: Any) -> Invoice | None:
    return None if row is None else Invoice(**{**dict(row), "lines": _decode_lines(row["lines"])})
