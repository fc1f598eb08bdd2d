"""
Payment's tables, each file one kind of them: rows in and out, and nothing decided.

Called by use cases inside a transaction they hold, as `stores.<name>`. Statements are the named
blocks of the files in `sql/`.
"""

from services.payment.stores.books import Booked, Entry, find_sandbox_payment, remember_sandbox_payment
from services.payment.stores.confirming import (
    answer_callback,
    claim_unconfirmed,
    count_unconfirmed,
    end_doubt,
    insert_unconfirmed,
    is_journal_unconfirmed,
    is_unconfirmed,
    resolve_doubts,
)
from services.payment.stores.exporting import export
from services.payment.stores.invoices import (
    amount_of,
    close_invoices,
    insert_invoices,
    invoice_by_code,
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
from services.payment.stores.proofs import (
    Attempts,
    attempts,
    forget_attempts,
    forgive_attempt,
    insert_attempt,
    payment_of_booking,
)
from services.payment.stores.refunds import is_given_back
from services.payment.stores.statements import MIGRATIONS, SCHEMA
from services.payment.stores.tariffs import add_service_items, add_tariffs, lock_tariffs, service_items, tariffs

__all__ = (
    "MIGRATIONS",
    "SCHEMA",
    "Attempts",
    "Booked",
    "Entry",
    "add_service_items",
    "add_tariffs",
    "amount_of",
    "answer_callback",
    "attempts",
    "callback_seen",
    "claim_unconfirmed",
    "close_invoices",
    "count_unconfirmed",
    "end_doubt",
    "export",
    "find_sandbox_payment",
    "forget_attempts",
    "forget_callbacks",
    "forgive_attempt",
    "insert_attempt",
    "insert_exception",
    "insert_invoices",
    "insert_payment",
    "insert_unconfirmed",
    "invoice_by_code",
    "invoice_numbers",
    "invoice_of",
    "is_given_back",
    "is_journal_unconfirmed",
    "is_unconfirmed",
    "lock_invoice",
    "lock_report",
    "lock_tariffs",
    "payment_of",
    "payment_of_booking",
    "remember_callback",
    "remember_sandbox_payment",
    "resolve_doubts",
    "service_items",
    "tariffs",
)
