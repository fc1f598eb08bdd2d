"""
Payment's doors: a citizen's invoice and refund, the banks' callbacks, staff's refunds, and the sandbox's bank.
"""

from services.payment.routes.callbacks import CALLBACK_ROUTES
from services.payment.routes.invoices import INVOICE_ROUTES
from services.payment.routes.keys import DATABASE, NOW_MS, SANDBOX_BANK, SECRETS
from services.payment.routes.refunds import REFUND_ROUTES
from services.payment.routes.sandbox import SANDBOX_ROUTES

__all__ = ("DATABASE", "NOW_MS", "ROUTES", "SANDBOX_BANK", "SECRETS")
ROUTES = (*INVOICE_ROUTES, *CALLBACK_ROUTES, *REFUND_ROUTES, *SANDBOX_ROUTES)
"""The table that is served and documented."""
