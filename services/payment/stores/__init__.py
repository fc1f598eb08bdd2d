"""
Payment's tables, each file one kind of them: rows in and out, and nothing decided.

Called by use cases inside a transaction they hold, as `stores.<name>`. Statements are the named
blocks of the files in `sql/`.
"""

from services.payment.stores.books import Booked, remember_sandbox_payment
from services.payment.stores.exporting import export
from services.payment.stores.invoices import (
    amount_of,
    close_invoices,
    insert_invoices,
    invoice_numbers,
    invoice_of,
    lock_invoice,
)
from services.payment.stores.payments import (
    callback_seen,
    forget_callbacks,
    insert_exception,
    insert_payment,
    lock_report,
    payment_of,
    remember_callback,
)
from services.payment.stores.statements import MIGRATIONS, SCHEMA
from services.payment.stores.tariffs import add_service_items, add_tariffs, lock_tariffs, service_items, tariffs

__all__ = (
    "MIGRATIONS",
    "SCHEMA",
    "Booked",
    "add_service_items",
    "add_tariffs",
    "amount_of",
    "callback_seen",
    "close_invoices",
    "export",
    "forget_callbacks",
    "insert_exception",
    "insert_invoices",
    "insert_payment",
    "invoice_numbers",
    "invoice_of",
    "lock_invoice",
    "lock_report",
    "lock_tariffs",
    "payment_of",
    "remember_callback",
    "remember_sandbox_payment",
    "service_items",
    "tariffs",
)
