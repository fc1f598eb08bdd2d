"""
What payment counts.
"""

from kernel.metrics import counter, gauge

invoices_issued = counter("payment_invoices_issued_total", "Invoices a citizen can pay.")
callbacks = counter("payment_callbacks_total", "Bank notifications, by what became of them.", ("bank", "outcome"))
received_rupiah = counter("payment_received_rupiah_total", "Money taken as payments, in whole rupiah.")
inquiries = counter("payment_inquiries_total", "Questions to banks, by what they said.", ("bank", "answer"))
unconfirmed = gauge("payment_unconfirmed_reports", "Reports whose bank has not yet said the same when asked.")
bank_tokens = counter("payment_bank_tokens_total", "Access tokens asked of banks, by what came.", ("bank", "outcome"))
proofs = counter("payment_proofs_total", "Journal numbers payers gave, by what became of them.", ("outcome",))
refunds = counter("payment_refunds_total", "Steps of refunds, by what they became.", ("state",))
exceptions_resolved = counter(
    "payment_exceptions_resolved_total", "Reports that are no payment, by their end.", ("end",)
)
exceptions_open = gauge("payment_exceptions_open", "Reports that are no payment and have no end yet.")
exception_oldest_seconds = gauge("payment_exception_oldest_seconds", "How long the oldest of them has waited.")
refund_oldest_seconds = gauge(
    "payment_refund_oldest_seconds",
    "How long the oldest refund has been requested, or approved and not reported.",
    ("state",),
)
