"""
Payment's doors: a citizen's invoice, proof and refund, the banks' callbacks, the staff's lists, and the sandbox's bank.
"""

from services.payment.routes.callbacks import CALLBACK_ROUTES
from services.payment.routes.exceptions import EXCEPTION_ROUTES
from services.payment.routes.invoices import INVOICE_ROUTES
from services.payment.routes.keys import BANKS, DATABASE, KEYS, NOW_MS, SANDBOX_BANK
from services.payment.routes.proofs import PROOF_ROUTES
from services.payment.routes.refunds import REFUND_ROUTES
from services.payment.routes.sandbox import SANDBOX_ROUTES

__all__ = ("BANKS", "DATABASE", "KEYS", "NOW_MS", "ROUTES", "SANDBOX_BANK")
ROUTES = (*INVOICE_ROUTES, *PROOF_ROUTES, *CALLBACK_ROUTES, *EXCEPTION_ROUTES, *REFUND_ROUTES, *SANDBOX_ROUTES)
"""The table that is served and documented."""
