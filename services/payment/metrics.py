"""
What payment counts.
"""

from kernel.metrics import counter, gauge

invoices_issued = counter("payment_invoices_issued_total", "Invoices a citizen can pay.")
callbacks = counter("payment_callbacks_total", "Bank notifications, by what became of them.", ("bank", "outcome"))
received_rupiah = counter("payment_received_rupiah_total", "Money taken as payments, in whole rupiah.")
inquiries = counter("payment_inquiries_total", "Questions to banks, by what they said.", ("bank", "answer"))
unconfirmed = gauge("payment_unconfirmed_reports", "Reports whose bank has not yet said the same when asked.")
proofs = counter("payment_proofs_total", "Journal numbers payers gave, by what became of them.", ("outcome",))
refunds = counter("payment_refunds_total", "Steps of refunds, by what they became.", ("state",))
