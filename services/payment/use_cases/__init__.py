"""
What payment does: invoice, take what banks report and confirm, check proofs, load fees.

Called by consumers, routes, tasks of the worker and commands. Each runs in one transaction with
the event it announces.
"""

from services.payment.use_cases.invoicing import follow_bookings
from services.payment.use_cases.taking import settle
from services.payment.use_cases.tariffs import (
    TariffChanged,
    TariffsOverlap,
    TariffUnreadable,
    load_services,
    load_tariffs,
)

__all__ = (
    "TariffChanged",
    "TariffUnreadable",
    "TariffsOverlap",
    "follow_bookings",
    "load_services",
    "load_tariffs",
    "settle",
)
