"""
Issue invoices for bookings, and close those that came to nothing.

Called by the consumer of booking's events, in its transaction, with the event it announces in
the outbox of the same transaction.
"""

from collections.abc import Iterable, Sequence

from contracts.envelope import seal
from contracts.events import (
    Booking,
    BookingCancelled,
    BookingConfirmed,
    BookingExpired,
    BookingHeld,
    Event,
    InvoiceIssued,
)
from kernel import outbox
from kernel.errors import Retryable
from kernel.kafka.message import Message
from kernel.postgres import Connection
from services.payment import stores
from services.payment.domain import billing
from services.payment.domain.settlement import Invoice
from services.payment.domain.tariffs import ServiceItem, Tariff, priced

ROOM = "payment"


async def follow_bookings(connection: Connection, events: Sequence[Event], *, now_ms: int) -> int:
    """
    Invoice what is held, close what needs no money any more, in any order. Returns how many invoices were issued.

    A booking that ends before it is heard of gets a closed invoice that is told to nobody,
    so that the late news of its hold finds it and issues nothing. One that is confirmed by the payment of
    the booking it replaces expects none of its own: a booking has one live code, and only while it is unpaid.
    """
    held = {event.booking.booking_id: event.booking for event in events if isinstance(event, BookingHeld)}
    ended = {
        event.booking.booking_id: event.booking
        for event in events
        if isinstance(event, BookingExpired | BookingCancelled)
    }
    confirmed = {event.booking.booking_id for event in events if isinstance(event, BookingConfirmed)}
    issued = await _insert(connection, held.values(), state="open")
    await outbox.append(connection, [_issued(invoice, now_ms) for invoice in issued])
    await _insert(connection, ended.values(), state="closed")
    await stores.close_invoices(connection, sorted(confirmed | ended.keys()))
    return len(issued)


async def _insert(connection: Connection, bookings: Iterable[Booking], *, state: str) -> list[Invoice]:
    bookings = list(bookings)
    if not bookings:
        return []
    fees, items = await stores.tariffs(connection), await stores.service_items(connection)
    numbers = await stores.invoice_numbers(connection, len(bookings))
    invoices = [
        _invoice(booking, number, items, fees, state) for booking, number in zip(bookings, numbers, strict=True)
    ]
    stored = await stores.insert_invoices(connection, invoices)
    return [invoice for invoice in invoices if invoice.booking_id in stored]


def _invoice(
    booking: Booking, number: int, items: Sequence[ServiceItem], fees: Sequence[Tariff], state: str
) -> Invoice:
    lines = priced(items, fees, service=booking.service, date=booking.date, applicants=len(booking.person_ids))
    if lines is None:
        # Somebody adds the row, and the waiting booking gets its invoice.
        raise Retryable(f"no tariff for {booking.service} on {booking.date}")
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
