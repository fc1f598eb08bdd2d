"""
What payment counts.
"""

from kernel.metrics import counter

invoices_issued = counter("payment_invoices_issued_total", "Invoices a citizen can pay.")
callbacks = counter("payment_callbacks_total", "Bank notifications, by what became of them.", ("bank", "outcome"))
received_rupiah = counter("payment_received_rupiah_total", "Money taken as payments, in whole rupiah.")
refunds = counter("payment_refunds_total", "Steps of refunds, by what they became.", ("state",))
