"""
Issue invoices for bookings, settle what banks report, load fees.

Called by consumers (a booking was held, or came to nothing), by routes (a bank reports, a
citizen asks) and by commands. Each runs in the caller's transaction, with the event it
announces in the outbox of the same transaction. Nothing here reads the clock.
"""

import csv
from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import Path

from contracts.envelope import seal
from contracts.events import (
    Booking,
    BookingCancelled,
    BookingExpired,
    BookingHeld,
    Event,
    InvoiceIssued,
    PaymentReceived,
)
from kernel import outbox
from kernel.errors import Retryable
from kernel.kafka.message import Message
from kernel.postgres import Connection
from services.payment import stores
from services.payment.domain import billing
from services.payment.domain.billing import Tariff
from services.payment.domain.settlement import Invoice, Payment, Report, Verdict, judge
from services.payment.domain.snap import Code

ROOM = "payment"


async def follow_bookings(connection: Connection, events: Sequence[Event], *, now_ms: int) -> int:
    """
    Invoice what is held, close what came to nothing, in any order. Returns how many invoices were issued.

    A booking that ends before it is heard of gets a closed invoice that is told to nobody,
    so that the late news of its hold finds it and issues nothing.
    """
    held = {event.booking.booking_id: event.booking for event in events if isinstance(event, BookingHeld)}
    ended = {
        event.booking.booking_id: event.booking
        for event in events
        if isinstance(event, BookingExpired | BookingCancelled)
    }
    issued = await _insert(connection, held.values(), state="open")
    await outbox.append(connection, [_issued(invoice, now_ms) for invoice in issued])
    await _insert(connection, ended.values(), state="closed")
    await stores.close_invoices(connection, sorted(ended))
    return len(issued)


async def settle(connection: Connection, report: Report, *, now_ms: int) -> tuple[Verdict | None, Code]:
    """
    Take a verified report once. Returns the verdict, None for a repeated notification, and the answer.
    """
    await stores.lock_report(connection, report)
    seen = await stores.callback_seen(connection, report)
    if seen is not None:
        body_sha256, before = seen
        return None, before.code if body_sha256 == report.body_sha256 else Code.CONFLICT
    known = await stores.payment_of(connection, report.ntpn)
    invoice = await stores.lock_invoice(connection, report.billing_code)
    verdict = judge(report, invoice=invoice, known=known)
    if verdict is Verdict.ACCEPTED and invoice is not None:
        await _take(connection, report, invoice, now_ms=now_ms)
    elif verdict.is_exception:
        await stores.insert_exception(connection, report, verdict)
    await stores.remember_callback(connection, report, verdict)
    return verdict, verdict.code


class TariffChanged(Exception):
    """
    A file gives another fee for a day and service that already has one. Nothing was changed.
    """


async def load_tariffs(connection: Connection, path: Path) -> int:
    """
    Add the fees of a file; again changes nothing. Returns how many are new. Raises `TariffChanged`.
    """
    with path.open(encoding="utf-8", newline="") as file:
        asked = [_tariff(row) for row in csv.DictReader(file)]
    added = await stores.add_tariffs(connection, asked)
    stored = await stores.tariffs(connection)
    changed = [tariff for tariff in asked if tariff not in stored]
    if changed:
        raise TariffChanged(f"{path}: {changed[0]} contradicts a stored fee; add a row with a new first day instead")
    return added


async def _take(connection: Connection, report: Report, invoice: Invoice, *, now_ms: int) -> None:
    payment = Payment(
        ntpn=report.ntpn,
        bank=report.bank,
        journal_number=report.journal_number,
        billing_code=report.billing_code,
        booking_id=invoice.booking_id,
        amount_rupiah=invoice.amount_rupiah,
        paid_at_ms=report.paid_at_ms,
    )
    await stores.insert_payment(connection, payment)
    received = PaymentReceived(
        booking_id=payment.booking_id,
        billing_code=payment.billing_code,
        bank=payment.bank,
        journal_number=payment.journal_number,
        ntpn=payment.ntpn,
        amount_rupiah=payment.amount_rupiah,
        paid_at_ms=payment.paid_at_ms,
        at_ms=now_ms,
    )
    event_id = f"p.{payment.booking_id}.received"
    await outbox.append(connection, [seal(received, event_id=event_id, key=payment.booking_id, source=ROOM)])


async def _insert(connection: Connection, bookings: Iterable[Booking], *, state: str) -> list[Invoice]:
    bookings = list(bookings)
    if not bookings:
        return []
    fees = await stores.tariffs(connection)
    numbers = await stores.invoice_numbers(connection, len(bookings))
    invoices = [_invoice(booking, number, fees, state) for booking, number in zip(bookings, numbers, strict=True)]
    stored = await stores.insert_invoices(connection, invoices)
    return [invoice for invoice in invoices if invoice.booking_id in stored]


def _invoice(booking: Booking, number: int, fees: Sequence[Tariff], state: str) -> Invoice:
    fee = billing.fee(fees, service=booking.service, date=booking.date)
    if fee is None:
        # Somebody adds the row, and the waiting booking gets its invoice.
        raise Retryable(f"no tariff for {booking.service} on {booking.date}")
    lines = billing.lines_of(fee, applicants=len(booking.person_ids))
    return Invoice(
        booking_id=booking.booking_id,
        account_id=booking.account_id,
        billing_code=billing.billing_code(number),
        virtual_account=billing.virtual_account(number),
        amount_rupiah=billing.total_rupiah(lines),
        lines=lines,
        pay_by_ms=booking.pay_by_ms,
        timezone=booking.timezone,
        state=state,
    )


def _issued(invoice: Invoice, now_ms: int) -> Message:
    event = InvoiceIssued(
        booking_id=invoice.booking_id,
        billing_code=invoice.billing_code,
        virtual_account=invoice.virtual_account,
        amount_rupiah=invoice.amount_rupiah,
        pay_by_ms=invoice.pay_by_ms,
        at_ms=now_ms,
    )
    return seal(event, event_id=f"p.{invoice.booking_id}.issued", key=invoice.booking_id, source=ROOM)


def _tariff(row: dict[str, str]) -> Tariff:
    return Tariff(
        service=row["service"],
        validity_years=int(row["validity_years"]),
        amount_rupiah=int(row["amount_rupiah"]),
        valid_from=date.fromisoformat(row["valid_from"]).isoformat(),
    )
