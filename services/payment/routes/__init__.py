"""
Payment's doors: a citizen's invoice, the banks' callbacks, and the sandbox's bank.
"""

from services.payment.routes.callbacks import CALLBACK_ROUTES
from services.payment.routes.invoices import INVOICE_ROUTES
from services.payment.routes.keys import DATABASE, NOW_MS, SANDBOX_BANK, SECRETS
from services.payment.routes.sandbox import SANDBOX_ROUTES

__all__ = ("DATABASE", "NOW_MS", "ROUTES", "SANDBOX_BANK", "SECRETS")
ROUTES = (*INVOICE_ROUTES, *CALLBACK_ROUTES, *SANDBOX_ROUTES)
"""The table that is served and documented."""
